/* A connection to one of DDB's SQLite files, opened and set up the one way
 * that every node must agree on. lib/sql is the only door to SQLite: what is
 * above uses these types (and the plain sqlite3_stmt functions on statements
 * that came from here).
 *
 * Set up: WAL, synchronous=FULL, page size 4096, UTF-8, foreign keys on,
 * defensive, no extensions (the schema stays trusted: 3.40.1 refuses FTS5 in
 * triggers otherwise, and only what the authorizer let through is in it); the clock shim (vfs.h), the functions of
 * detfn.h, the authorizer (authz.h). A CONN_WRITER keeps -wal and -shm when it
 * closes and checkpoints by itself only where told; a CONN_READER is opened
 * SQLITE_OPEN_READONLY and can never checkpoint. */
#ifndef DDB_SQL_CONN_H
#define DDB_SQL_CONN_H

#include "lib/base/err.h"
#include "lib/sql/authz.h"
#include "lib/sql/detfn.h"
#include "lib/sql/rowsum.h"

#include <sqlite3.h>
#include <stdint.h>

enum conn_kind {
	CONN_WRITER,     /* the one writer of the file; the file must exist */
	CONN_CREATE,     /* like CONN_WRITER, makes a new empty file */
	CONN_READER
};

#define CONN_CACHED 64    /* prepared statements kept per connection */

struct conn_cached {
	sqlite3_stmt *stmt;
	uint64_t digest;      /* XXH3 of the text */
	uint32_t used;        /* tick of the last use */
	unsigned traits;      /* AUTHZ_SAW_… of its preparation */
	bool busy;
};

struct conn {
	sqlite3 *db;
	enum conn_kind kind;
	struct authz authz;
	struct detfn detfn;
	struct rowsum rowsum;             /* writers only */
	int64_t deadline_us;              /* boot clock; 0: none. Running statements end with ERR_DEADLINE beyond it */
	bool (*cancelled)(void *);        /* asked now and then while a statement runs; NULL: never */
	void *cancelled_arg;
	uint32_t tick;
	struct conn_cached cached[CONN_CACHED];
	char path[512];
};

/* Opens path. cache_kib: page cache. On failure nothing is held. */
enum err_code conn_open(struct conn *c, const char *path, enum conn_kind kind, int64_t cache_kib, struct err *e);

/* Closes; statements still prepared through c become invalid. Accepts a zeroed conn. */
void conn_close(struct conn *c);

/* Runs our own SQL text (no parameters), as AUTHZ_INTERNAL. */
enum err_code conn_exec(struct conn *c, const char *sql, struct err *e);

/* The same for one statement that is run often: prepared once, kept. */
enum err_code conn_step(struct conn *c, const char *sql, struct err *e);

/* A prepared statement for text, from the cache or new, reset and unbound. It
 * is prepared under the authorizer's present mode, which is part of the cache
 * key. *traits gets what the authorizer saw. *tail (may be NULL) gets the rest
 * of the text after the first statement; with tail NULL, text must be one
 * statement. An empty text (white space, comments) gives *stmt NULL.
 * Only statements that read or change rows are cached. Give it back with conn_release(). */
enum err_code conn_prepare(struct conn *c, const char *sql, size_t len, sqlite3_stmt **stmt, unsigned *traits,
	const char **tail, struct err *e);
void conn_release(struct conn *c, sqlite3_stmt *stmt);

/* Drops all cached statements. */
void conn_forget(struct conn *c);

/* Turns SQLite's last error on c into err: constraint, deadline, forbidden,
 * full disk, …, with SQLite's message and offset. rc is the extended code. */
enum err_code conn_error(struct conn *c, int rc, struct err *e);

/* One integer, or text (caller frees *out with free()), from our own SQL with
 * no row giving fallback / NULL. */
enum err_code conn_int(struct conn *c, const char *sql, int64_t fallback, int64_t *out, struct err *e);
enum err_code conn_text(struct conn *c, const char *sql, char **out, struct err *e);

#endif
