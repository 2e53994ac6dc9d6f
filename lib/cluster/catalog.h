/* The databases of this node: files, writers, names, kept in step with the
 * system database _ddb. */
#ifndef DDB_CLUSTER_CATALOG_H
#define DDB_CLUSTER_CATALOG_H

#include "lib/cluster/node.h"
#include "lib/journal/writer.h"

#define CATALOG_SYSTEM "_ddb"
#define CATALOG_NAME_LEN 64

struct catalog;

struct database {
	char name[CATALOG_NAME_LEN];
	char id[JOURNAL_ID_LEN];
	char path[PATH_MAX];
	_Atomic(struct writer *) writer;   /* NULL: known from _ddb, but its file is not here yet, or damaged */
	int refs;                      /* the catalog's own */
	struct catalog *catalog;
};

/* Opens _ddb and every database it names. Files that _ddb does not name go to
 * <data>/dropped/. committed: see writer_events; called with the database's
 * struct database as arg2. */
enum err_code catalog_open(struct catalog **out, struct node *node,
	void (*committed)(void *arg, struct database *db, const struct journal_pos *head, int64_t row_bytes), void *arg,
	struct err *e);
void catalog_close(struct catalog *c);

/* A counted reference by name or id; a dropped database is closed when the last
 * one is given back, so hold it shortly. NULL when there is none. Give back with
 * catalog_put(). Functions that change the set (catalog_refresh() and those below
 * it) wait for references to be given back: call them with none in hand. */
struct database *catalog_get(struct catalog *c, const char *name);
struct database *catalog_get_id(struct catalog *c, const char *id);
void catalog_put(struct catalog *c, struct database *db);

/* References to all databases, _ddb first; the caller puts each and frees the array. */
size_t catalog_all(struct catalog *c, struct database ***out);

/* Whether nothing changes the set just now. Does not wait, so that it can be asked with references in hand. */
bool catalog_at_rest(struct catalog *c);

/* Brings the set in step with _ddb: after a batch was applied to it. New names
 * get a struct database without a file; dropped ones are closed, their file
 * moves to <data>/dropped/. */
enum err_code catalog_refresh(struct catalog *c, struct err *e);

/* As master: creates or drops a database on this node by an operation in _ddb.
 * ERR_BAD_NAME, ERR_EXISTS (create; *out is the existing one), ERR_DATABASE_UNKNOWN. */
enum err_code catalog_create(struct catalog *c, const char *name, struct database **out, struct err *e);
enum err_code catalog_drop(struct catalog *c, const char *name, char *kept, size_t kept_size, struct err *e);

/* As slave: makes the empty file of a database that _ddb names (id must
 * match), to be filled from row 1. For CATALOG_SYSTEM on a new node: id as the master says. */
enum err_code catalog_make_file(struct catalog *c, const char *name, const char *id, struct err *e);

/* As slave: puts the file at `from` (complete, checked) in place of a missing database
 * file and opens it; where the file exists, its content is brought in by the
 * backup API in one transaction, the old file kept in <data>/orphaned/ when keep_old. */
enum err_code catalog_install(struct catalog *c, const char *name, const char *id, const char *from, bool keep_old,
	struct err *e);

/* [A-Za-z][A-Za-z0-9_-]{0,62} */
bool catalog_name_ok(const char *name);

/* As master: an operation on _ddb (pool changes), text in op form with parameters. */
enum err_code catalog_system_op(struct catalog *c, const json_t *op, struct journal_pos *pos, struct err *e);

#endif
