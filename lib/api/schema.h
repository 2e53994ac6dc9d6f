/* A table as the API needs it: its columns with their affinity, and the key by
 * which a row is addressed. Tables of DDB and of SQLite itself are unknown here. */
#ifndef DDB_API_SCHEMA_H
#define DDB_API_SCHEMA_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/sql/conn.h"

enum schema_type { SCHEMA_TABLE, SCHEMA_VIEW, SCHEMA_VIRTUAL, SCHEMA_SHADOW };

/* How a value given as text is meant when it meets the column. */
enum schema_affinity {
	SCHEMA_NONE,       /* as it looks: a number is a number */
	SCHEMA_TEXTUAL,    /* always text */
	SCHEMA_NUMERIC     /* a number where it is one */
};

enum schema_key {
	SCHEMA_PRIMARY,    /* a primary key of one column */
	SCHEMA_ROWID,      /* no such key, but the table has rowids */
	SCHEMA_COMPOSITE,  /* WITHOUT ROWID, several columns */
	SCHEMA_KEYLESS     /* a view; a virtual table without rowids; a table whose columns take all names of the rowid */
};

struct schema_column {
	char *name;
	char *type;                 /* as declared; "" without */
	char *fallback;             /* text of the DEFAULT clause; NULL without */
	int pk;                     /* place in the primary key from 1; 0: not in it */
	bool notnull;               /* declared NOT NULL */
	bool never_null;            /* no row has NULL there: declared so, the rowid, or in a WITHOUT ROWID key */
	bool hidden;                /* of a virtual table: not in SELECT * */
	bool generated;             /* cannot be written */
	enum schema_affinity affinity;
	bool boolean;               /* declared BOOL…: true and false are 1 and 0 */
	char *key_collation;        /* by which a WITHOUT ROWID key sorts it, where the column sorts otherwise; NULL: none */
};

#define SCHEMA_THE_ROWID -1         /* the rowid where a column's index is expected */

struct schema_table {
	char *name;                 /* as the schema spells it */
	enum schema_type type;
	bool without_rowid, strict;
	struct schema_column *column;
	int column_n;
	enum schema_key key;
	int *key_column;            /* indexes into column in the key's order; { SCHEMA_THE_ROWID } for SCHEMA_ROWID */
	int key_n;                  /* 0 for SCHEMA_KEYLESS */
	const char *rowid;          /* a name of the rowid that no column has taken; NULL: none */
	int rowid_column;           /* the column that is the rowid (INTEGER PRIMARY KEY); -1: none */
};

/* The table of that name (case does not count), within the transaction that is
 * open on c. Belongs to c and is valid until the next call for c.
 * ERR_TABLE_UNKNOWN; ERR_SQL for a view that cannot be read. */
enum err_code schema_find(struct conn *c, const char *name, const struct schema_table **out, struct err *e);

/* The index of a column by its name (case does not count); SCHEMA_THE_ROWID for
 * the rowid by the name t->rowid; -2: there is none. */
int schema_column(const struct schema_table *t, const char *name);

/* The name of a column or of the rowid. */
const char *schema_column_name(const struct schema_table *t, int column);

/* Adds a name in double quotes. */
void schema_quote(struct buf *sql, const char *name);

/* Adds "table"."column": never taken for a string, as a quoted name alone would be
 * if the column went away meanwhile. */
void schema_add_column(struct buf *sql, const struct schema_table *t, int column);

/* For tests: parses what pragmas say of a declared type. */
enum schema_affinity schema_affinity_of(const char *type, bool strict);

#endif
