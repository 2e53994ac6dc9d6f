/* What SQL may do: the authorizer, set once per connection (setting it again
 * would expire every prepared statement) and steered by its mode.
 *
 * Forbidden in users' SQL: ATTACH and DETACH, extensions, temp objects,
 * transactions and savepoints of their own, PRAGMAs but a short list, names
 * beginning with ddb_ (also sqlite_stat* for writing), virtual table modules
 * but FTS and R-tree, and in operations everything whose result differs between nodes:
 * pragma_* and dbstat and kin, rootpage, sqlite_version() and kin,
 * fts3_tokenizer(). */
#ifndef DDB_SQL_AUTHZ_H
#define DDB_SQL_AUTHZ_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

enum authz_mode {
	AUTHZ_INTERNAL,  /* our own SQL: everything */
	AUTHZ_OP,        /* an operation: reads and writes what replicates */
	AUTHZ_QUERY      /* a query: reads only */
};

/* What the statement that was prepared last does (traits). */
enum {
	AUTHZ_SAW_DDL   = 1 << 0,   /* changes schema or statistics */
	AUTHZ_SAW_VTAB  = 1 << 1,   /* touches a virtual table */
	AUTHZ_SAW_WRITE = 1 << 2,
	AUTHZ_SAW_NOW   = 1 << 3,   /* date and time functions, random(): the same SQL may answer differently */
	AUTHZ_SAW_DEFER = 1 << 4    /* PRAGMA defer_foreign_keys */
};

struct authz {
	enum authz_mode mode;
	unsigned saw;
	bool own_schema_work;       /* ANALYZE, DROP and ALTER: SQLite itself uses sqlite_stat* and rootpage */
	char denied[160];           /* what was refused and why; "" when nothing was */
	char **vtab;                /* names of the file's virtual tables, lower case */
	size_t vtab_n;
};

void authz_install(struct authz *a, sqlite3 *db);

/* The first statement of sql is about to be prepared: forgets what was seen
 * of the one before. True if it is one that reads or changes rows: what it
 * does to the schema (nothing) cannot depend on when it is prepared, as that
 * of CREATE … IF NOT EXISTS does. */
bool authz_statement(struct authz *a, const char *sql, size_t len);

/* The first byte that is neither white space, nor a comment, nor ';'. */
const char *authz_skip_blank(const char *sql, const char *end);

/* Reads again which virtual tables the file has; after each change of schema. */
void authz_schema_changed(struct authz *a, sqlite3 *db);

/* Whether the schema holds names that belong to DDB alone but were not made by
 * it (ALTER … RENAME and shadow tables escape the authorizer). Writes the
 * first such name to out. */
bool authz_schema_trespasses(sqlite3 *db, char *out, size_t size);

void authz_release(struct authz *a);

#endif
