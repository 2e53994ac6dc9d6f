#include "lib/sql/conn.h"
#include "lib/base/clock.h"
#include "lib/sql/vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* A value, and so a row, at the most; the same on every node, since it decides
 * whether an operation succeeds. */
#define CONN_VALUE_MAX (64 << 20)
#define CONN_SQL_MAX (16 << 20)

/* Between two looks at the deadline: some ten microseconds of work. */
#define CONN_STEPS_PER_LOOK 2000

#define CONN_BUSY_MS 5000

static int look_at_deadline(void *arg)
{
	struct conn *c = arg;
	if (c->deadline_us && clock_boot_us() > c->deadline_us)
		return 1;
	return c->cancelled && c->cancelled(c->cancelled_arg);
}

static enum err_code open_error(struct conn *c, int rc, struct err *e)
{
	int kind = rc & 0xff;
	enum err_code code = kind == SQLITE_NOTADB || kind == SQLITE_CORRUPT ? ERR_CORRUPT :
		kind == SQLITE_FULL ? ERR_DISK_FULL : kind == SQLITE_NOMEM ? ERR_NOMEM : ERR_IO;
	return err_set(e, code, "cannot open %s: %s", c->path, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
}

static int configure(struct conn *c, int64_t cache_kib)
{
	sqlite3 *db = c->db;
	char sql[400];
	int keep = 1;
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, CONN_BUSY_MS);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, CONN_VALUE_MAX);
	sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, CONN_SQL_MAX);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
	if (c->kind != CONN_READER)
		sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	snprintf(sql, sizeof sql, "%sPRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; PRAGMA cache_size=-%lld;"
		" PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=%s;",
		c->kind == CONN_CREATE ? "PRAGMA page_size=4096; PRAGMA encoding='UTF-8'; PRAGMA auto_vacuum=NONE;"
					 " PRAGMA journal_mode=WAL;" : "", (long long)cache_kib,
		/* A query may sort more than there is memory; a writer's savepoints are small and many. */
		c->kind == CONN_READER ? "FILE" : "MEMORY");
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK && c->kind == CONN_WRITER)
		rc = sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
	if (rc == SQLITE_OK && c->kind != CONN_CREATE) /* reads the schema: a damaged file is noticed here */
		rc = sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	return rc;
}

enum err_code conn_open(struct conn *c, const char *path, enum conn_kind kind, int64_t cache_kib, struct err *e)
{
	static const int flags[] = {
		[CONN_WRITER] = SQLITE_OPEN_READWRITE,
		[CONN_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
		[CONN_READER] = SQLITE_OPEN_READONLY,
	};
	memset(c, 0, sizeof *c);
	c->kind = kind;
	if (snprintf(c->path, sizeof c->path, "%s", path) >= (int)sizeof c->path)
		return err_set(e, ERR_IO, "the path is too long: %s", path);
	vfs_register();
	int rc = sqlite3_open_v2(path, &c->db, flags[kind] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, "ddb");
	if (rc == SQLITE_OK)
		rc = configure(c, cache_kib);
	if (rc == SQLITE_OK)
		rc = detfn_install(&c->detfn, c->db);
	if (rc != SQLITE_OK) {
		open_error(c, rc, e);
		conn_close(c);
		return e->code;
	}
	authz_install(&c->authz, c->db);
	authz_schema_changed(&c->authz, c->db);
	if (kind != CONN_READER)
		rowsum_install(&c->rowsum, c->db);
	sqlite3_progress_handler(c->db, CONN_STEPS_PER_LOOK, look_at_deadline, c);
	return ERR_OK;
}

void conn_close(struct conn *c)
{
	if (!c->db)
		return;
	conn_forget(c);
	sqlite3_close_v2(c->db);
	c->db = NULL;
	authz_release(&c->authz);
	rowsum_release(&c->rowsum);
}

void conn_forget(struct conn *c)
{
	for (int i = 0; i < CONN_CACHED; i++) {
		sqlite3_finalize(c->cached[i].stmt);
		c->cached[i] = (struct conn_cached){0};
	}
}

enum err_code conn_exec(struct conn *c, const char *sql, struct err *e)
{
	enum authz_mode mode = c->authz.mode;
	c->authz.mode = AUTHZ_INTERNAL;
	int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
	c->authz.mode = mode;
	return rc == SQLITE_OK ? ERR_OK : conn_error(c, rc, e);
}

static sqlite3_stmt *from_cache(struct conn *c, uint64_t digest, const char *sql, size_t len, unsigned *traits)
{
	for (int i = 0; i < CONN_CACHED; i++) {
		struct conn_cached *k = &c->cached[i];
		if (k->digest != digest || k->busy || !k->stmt)
			continue;
		const char *text = sqlite3_sql(k->stmt);
		if (strncmp(text, sql, len) != 0 || text[len] != '\0')
			continue;
		k->busy = true;
		k->used = ++c->tick;
		*traits = k->traits;
		return k->stmt;
	}
	return NULL;
}

static void to_cache(struct conn *c, uint64_t digest, sqlite3_stmt *stmt, unsigned traits)
{
	struct conn_cached *oldest = NULL;
	for (int i = 0; i < CONN_CACHED; i++) {
		struct conn_cached *k = &c->cached[i];
		if (!k->busy && (!oldest || k->used < oldest->used))
			oldest = k;
	}
	if (!oldest)
		return;
	sqlite3_finalize(oldest->stmt);
	*oldest = (struct conn_cached){stmt, digest, ++c->tick, traits, true};
}

/* An error while preparing: the statement was not understood, or not allowed. */
static enum err_code prepare_error(struct conn *c, int rc, struct err *e)
{
	if (c->authz.denied[0]) /* some refusals come as plain syntax errors */
		return conn_error(c, SQLITE_AUTH, e);
	if ((rc & 0xff) != SQLITE_ERROR && (rc & 0xff) != SQLITE_TOOBIG)
		return conn_error(c, rc, e);
	if (e->code == ERR_OK)
		e->offset = sqlite3_error_offset(c->db);
	return err_set(e, ERR_SQL, "%s", sqlite3_errmsg(c->db));
}

enum err_code conn_prepare(struct conn *c, const char *sql, size_t len, sqlite3_stmt **stmt, unsigned *traits,
	const char **tail, struct err *e)
{
	const char *end = sql + len, *rest = end;
	uint64_t digest = XXH3_64bits_withSeed(sql, len, (XXH64_hash_t)c->authz.mode + 1);
	*traits = 0;
	if (tail)
		*tail = end;
	if ((*stmt = from_cache(c, digest, sql, len, traits))) {
		c->authz.own_schema_work = false; /* it may be prepared anew when it runs */
		return ERR_OK;
	}
	bool rows_only = authz_statement(&c->authz, sql, len);
	int rc = sqlite3_prepare_v3(c->db, sql, (int)len, SQLITE_PREPARE_PERSISTENT, stmt, &rest);
	if (rc != SQLITE_OK)
		return prepare_error(c, rc, e);
	*traits = c->authz.saw;
	if (*stmt && c->authz.mode == AUTHZ_QUERY && !sqlite3_stmt_readonly(*stmt)) {
		sqlite3_finalize(*stmt);
		*stmt = NULL;
		return err_set(e, ERR_NOT_READ_ONLY, "the statement would write; send it to execute");
	}
	bool whole = authz_skip_blank(rest, end) == end;
	if (tail)
		*tail = whole ? end : rest;
	if (!tail && !whole) {
		sqlite3_finalize(*stmt);
		*stmt = NULL;
		e->offset = e->code == ERR_OK ? (int)(rest - sql) : e->offset;
		return err_set(e, ERR_SQL, "there is more than one statement; only one is allowed here");
	}
	/* sqlite3_sql() of a text with something after it would not be the text. */
	if (*stmt && rest == end && (rows_only || c->authz.mode == AUTHZ_INTERNAL))
		to_cache(c, digest, *stmt, *traits);
	return ERR_OK;
}

void conn_release(struct conn *c, sqlite3_stmt *stmt)
{
	if (!stmt)
		return;
	for (int i = 0; i < CONN_CACHED; i++) {
		struct conn_cached *k = &c->cached[i];
		if (k->stmt == stmt) {
			/* Prepared anew since the schema changed: its traits may be others now. */
			if (sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 0) > 0) {
				*k = (struct conn_cached){0};
				break;
			}
			sqlite3_reset(stmt);
			sqlite3_clear_bindings(stmt);
			k->busy = false;
			return;
		}
	}
	sqlite3_finalize(stmt);
}

enum err_code conn_error(struct conn *c, int rc, struct err *e)
{
	const char *text = sqlite3_errmsg(c->db);
	switch (rc & 0xff) {
	case SQLITE_AUTH:
		if (c->authz.mode == AUTHZ_QUERY && (c->authz.saw & AUTHZ_SAW_WRITE))
			return err_set(e, ERR_NOT_READ_ONLY, "the statement would write; send it to execute");
		return err_set(e, ERR_SQL_FORBIDDEN, "%s", c->authz.denied[0] ? c->authz.denied : text);
	case SQLITE_CONSTRAINT:
		return err_set(e, ERR_CONSTRAINT, "%s", text);
	case SQLITE_INTERRUPT:
		return err_set(e, ERR_DEADLINE, "the statement ran into its deadline and was undone");
	case SQLITE_READONLY:
		return err_set(e, ERR_NOT_READ_ONLY, "the statement would write; send it to execute");
	case SQLITE_FULL:
		return err_set(e, ERR_DISK_FULL, "%s: %s", c->path, text);
	case SQLITE_NOMEM:
		return err_set(e, ERR_NOMEM, "SQLite ran out of memory");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, ERR_BUSY, "%s: %s", c->path, text);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		/* FTS and R-tree say SQLITE_CORRUPT_VTAB of their own tables; the file as such is sound. */
		if (rc == SQLITE_CORRUPT_VTAB)
			return err_set(e, ERR_SQL_RUNTIME, "%s", text);
		return err_set(e, ERR_CORRUPT, "%s: %s", c->path, text);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
		return err_set(e, ERR_IO, "%s: %s (%d)", c->path, text, rc);
	case SQLITE_RANGE:
		return err_set(e, ERR_BAD_VALUE, "%s", text);
	default:
		return err_set(e, ERR_SQL_RUNTIME, "%s", text);
	}
}

static enum err_code one_row(struct conn *c, const char *sql, sqlite3_stmt **stmt, bool *row, struct err *e)
{
	unsigned traits;
	enum authz_mode mode = c->authz.mode;
	c->authz.mode = AUTHZ_INTERNAL;
	if (conn_prepare(c, sql, strlen(sql), stmt, &traits, NULL, e) == ERR_OK) {
		int rc = sqlite3_step(*stmt);
		*row = rc == SQLITE_ROW;
		if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
			conn_error(c, rc, e);
			conn_release(c, *stmt);
		}
	}
	c->authz.mode = mode;
	return e->code;
}

enum err_code conn_step(struct conn *c, const char *sql, struct err *e)
{
	sqlite3_stmt *stmt;
	bool row;
	if (one_row(c, sql, &stmt, &row, e) == ERR_OK)
		conn_release(c, stmt);
	return e->code;
}

enum err_code conn_int(struct conn *c, const char *sql, int64_t fallback, int64_t *out, struct err *e)
{
	sqlite3_stmt *stmt;
	bool row;
	if (one_row(c, sql, &stmt, &row, e) != ERR_OK)
		return e->code;
	*out = row && sqlite3_column_type(stmt, 0) != SQLITE_NULL ? sqlite3_column_int64(stmt, 0) : fallback;
	conn_release(c, stmt);
	return ERR_OK;
}

enum err_code conn_text(struct conn *c, const char *sql, char **out, struct err *e)
{
	sqlite3_stmt *stmt;
	bool row;
	if (one_row(c, sql, &stmt, &row, e) != ERR_OK)
		return e->code;
	const unsigned char *text = row ? sqlite3_column_text(stmt, 0) : NULL;
	*out = text ? strdup((const char *)text) : NULL;
	conn_release(c, stmt);
	return ERR_OK;
}
