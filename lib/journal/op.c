#include "lib/journal/op.h"
#include "lib/base/clock.h"
#include "lib/base/jsonr.h"
#include "lib/base/jsonw.h"
#include "lib/sql/value.h"
#include "lib/sql/vfs.h"

#include <stdlib.h>
#include <string.h>

/* ---- parsing ---- */

static enum err_code check_statement(const json_t *s, int index, struct err *e)
{
	if (e->code == ERR_OK)
		e->statement = index;
	if (json_is_string(s))
		return ERR_OK;
	if (!json_is_object(s))
		return err_set(e, ERR_BAD_JSON, "a statement is a string or an object with \"sql\"");
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)s, key, value) {
		if (strcmp(key, "sql") != 0 && strcmp(key, "params") != 0 && strcmp(key, "rows") != 0)
			return err_set(e, ERR_BAD_JSON, "a statement has \"sql\", \"params\" or \"rows\", not \"%.40s\"", key);
	}
	if (!json_is_string(json_object_get(s, "sql")))
		return err_set(e, ERR_BAD_JSON, "\"sql\" must be a string");
	const json_t *params = json_object_get(s, "params"), *rows = json_object_get(s, "rows");
	if (params && rows)
		return err_set(e, ERR_BAD_JSON, "give \"params\" or \"rows\", not both");
	if (params && !json_is_array(params) && !json_is_object(params) && !json_is_null(params))
		return err_set(e, ERR_BAD_JSON, "\"params\" must be an array or an object");
	if (rows && !json_is_array(rows))
		return err_set(e, ERR_BAD_JSON, "\"rows\" must be an array of arrays");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		if (!json_is_array(row) && !json_is_object(row))
			return err_set(e, ERR_BAD_JSON, "row %zu of \"rows\" is neither an array nor an object", i);
	}
	return ERR_OK;
}

/* A client's body in normal form: a new reference, NULL when its shape is wrong. */
static json_t *normal_form(json_t *body, struct err *e)
{
	if (!json_is_object(body)) {
		err_set(e, ERR_BAD_JSON, "the body must be a JSON object");
		return NULL;
	}
	json_t *statements = json_object_get(body, "statements");
	if (!statements) {
		if (!json_object_get(body, "sql")) {
			err_set(e, ERR_BAD_JSON, "the body needs \"sql\" or \"statements\"");
			return NULL;
		}
		json_t *list = json_array();
		json_array_append(list, body);
		json_t *op = json_object();
		json_object_set_new(op, "statements", list);
		return op;
	}
	if (json_object_size(body) != 1 || !json_is_array(statements)) {
		err_set(e, ERR_BAD_JSON, "\"statements\" must be an array, and stand alone");
		return NULL;
	}
	return json_incref(body);
}

enum err_code op_parse(const char *text, size_t len, json_t **out, struct err *e)
{
	*out = NULL;
	json_t *body = jsonr_parse(text, len, "the body", e);
	if (!body)
		return e->code;
	json_t *op = normal_form(body, e);
	json_decref(body);
	if (!op)
		return e->code;
	const json_t *statements = json_object_get(op, "statements");
	size_t n = json_array_size(statements);
	if (n == 0 || n > OP_STATEMENTS_MAX)
		err_set(e, ERR_BAD_JSON, "1 to %d statements are allowed, not %zu", OP_STATEMENTS_MAX, n);
	for (size_t i = 0; i < n && e->code == ERR_OK; i++)
		check_statement(json_array_get(statements, i), (int)i, e);
	if (e->code != ERR_OK) {
		json_decref(op);
		return e->code;
	}
	e->statement = -1;
	*out = op;
	return ERR_OK;
}

char *op_text(const json_t *op, size_t *len)
{
	char *text = json_dumps(op, JSON_COMPACT | JSON_REAL_PRECISION(17));
	*len = text ? strlen(text) : 0;
	return text;
}

/* ---- running ---- */

struct run {
	struct conn *c;
	struct buf *answer;    /* NULL: nobody wants it */
	bool big_as_string;
	bool first;            /* no result written yet */
	struct op_result *r;
};

static void answer_int(struct run *run, int64_t v)
{
	bool big = run->big_as_string && (v > 9007199254740992 || v < -9007199254740992);
	buf_addf(run->answer, big ? "\"%lld\"" : "%lld", (long long)v);
}

static void answer_begin(struct run *run, sqlite3_stmt *stmt)
{
	if (!run->answer)
		return;
	buf_add_str(run->answer, run->first ? "{\"columns\":" : ",{\"columns\":");
	run->first = false;
	value_add_names(run->answer, stmt);
	buf_add_str(run->answer, ",\"types\":");
	value_add_types(run->answer, stmt);
	buf_add_str(run->answer, ",\"rows\":[");
}

static void answer_end(struct run *run, int64_t changes)
{
	if (!run->answer)
		return;
	buf_addf(run->answer, "],\"changes\":%lld,\"last_rowid\":", (long long)changes);
	answer_int(run, sqlite3_last_insert_rowid(run->c->db));
	buf_add_char(run->answer, '}');
}

/* Steps a bound statement to its end; rows go to the answer. */
static enum err_code step_all(struct run *run, sqlite3_stmt *stmt, bool *any_row, struct err *e)
{
	int rc;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (!run->answer)
			continue;
		if (*any_row)
			buf_add_char(run->answer, ',');
		*any_row = true;
		value_add_row(run->answer, stmt, run->big_as_string);
		if (run->answer->failed)
			return err_set(e, ERR_TOO_BIG, "the rows that execute returns exceed %zu bytes; use query",
				run->answer->max);
	}
	return rc == SQLITE_DONE ? ERR_OK : conn_error(run->c, rc, e);
}

/* One prepared statement with its parameters, or once per row of parameters. */
static enum err_code run_statement(struct run *run, sqlite3_stmt *stmt, const json_t *params, const json_t *rows,
	struct err *e)
{
	bool any_row = false;
	if (!sqlite3_stmt_readonly(stmt))
		run->r->wrote = true;
	int64_t before = sqlite3_total_changes64(run->c->db);
	answer_begin(run, stmt);
	if (!rows) {
		if (value_bind_all(stmt, params, e) == ERR_OK)
			step_all(run, stmt, &any_row, e);
	}
	for (size_t i = 0; i < json_array_size(rows) && e->code == ERR_OK; i++) {
		if (value_bind_all(stmt, json_array_get(rows, i), e) == ERR_OK)
			step_all(run, stmt, &any_row, e);
		if (e->code != ERR_OK)
			e->row = (int)i;
		sqlite3_reset(stmt);
	}
	sqlite3_reset(stmt);
	int64_t changes = sqlite3_total_changes64(run->c->db) - before;
	run->r->changes += changes;
	answer_end(run, changes);
	return e->code;
}

/* The text of one S: a statement, or a script of several without parameters. */
static enum err_code run_text(struct run *run, const json_t *s, struct err *e)
{
	const json_t *sql = json_is_string(s) ? s : json_object_get(s, "sql");
	const json_t *params = json_object_get(s, "params"), *rows = json_object_get(s, "rows");
	const char *text = json_string_value(sql), *end = text + json_string_length(sql);
	bool with_params = rows || json_array_size(params) || json_object_size(params);
	if (memchr(text, '\0', (size_t)(end - text)))
		return err_set(e, ERR_SQL, "the SQL text holds a NUL character");
	for (int n = 0; text < end && e->code == ERR_OK; n++) {
		sqlite3_stmt *stmt;
		unsigned traits;
		const char *begin = text;
		conn_prepare(run->c, text, (size_t)(end - text), &stmt, &traits, &text, e);
		if (e->code != ERR_OK) {
			if (e->offset >= 0)
				e->offset += (int)(begin - json_string_value(sql));
			return e->code;
		}
		run->r->traits |= traits;
		if (!stmt)
			break;
		if (with_params && text < end)
			err_set(e, ERR_SQL, "a text with parameters must be one statement");
		else
			run_statement(run, stmt, params, rows, e);
		conn_release(run->c, stmt);
		if (traits & AUTHZ_SAW_DDL)
			authz_schema_changed(&run->c->authz, run->c->db);
	}
	return e->code;
}

static enum err_code run_all(struct run *run, const json_t *op, struct err *e)
{
	const json_t *statements = json_object_get(op, "statements");
	for (size_t i = 0; i < json_array_size(statements); i++)
		if (run_text(run, json_array_get(statements, i), e) != ERR_OK) {
			e->statement = (int)i;
			break;
		}
	return e->code;
}

/* What must hold before the operation may stand; fills the schema's sum. */
static enum err_code settle(struct conn *c, struct op_result *r, struct err *e)
{
	int open_keys = 0, high;
	char name[128];
	/* Virtual tables (FTS4) keep rows back until the next savepoint or commit;
	 * an empty one makes them part of this operation's effect. */
	if (conn_step(c, "SAVEPOINT ddb_flush", e) != ERR_OK || conn_step(c, "RELEASE ddb_flush", e) != ERR_OK)
		return e->code;
	sqlite3_db_status(c->db, SQLITE_DBSTATUS_DEFERRED_FKS, &open_keys, &high, 0);
	if (open_keys)
		return err_set(e, ERR_CONSTRAINT, "FOREIGN KEY constraint failed: a deferred one is open at the end of the operation");
	if (c->rowsum.last_rowid_used)
		return err_set(e, ERR_SQL_RUNTIME, "the rowid 9223372036854775807 is refused: the next one would be random");
	if (c->rowsum.failed)
		return err_set(e, ERR_NOMEM, "no memory to hash the changed rows");
	if (!(r->traits & AUTHZ_SAW_DDL))
		return ERR_OK;
	if (authz_schema_trespasses(c->db, name, sizeof name))
		return err_set(e, ERR_SQL_FORBIDDEN, "the name %s is not allowed: names that begin with ddb_ belong to DDB", name);
	/* How many rows of DDB's own a file keeps differs between nodes. */
	if (conn_exec(c, "DELETE FROM sqlite_stat1 WHERE tbl LIKE 'ddb\\_%' ESCAPE '\\'", e) != ERR_OK)
		return e->code;
	int rc = rowsum_schema(c->db, &r->schema_sum);
	return rc == SQLITE_OK ? ERR_OK : conn_error(c, rc, e);
}

/* Undoes a failed operation where that is still possible. */
static void undo(struct conn *c, struct op_result *r)
{
	struct err ignored = ERR_INIT;
	if (sqlite3_get_autocommit(c->db)) {
		r->poisoned = true; /* OR ROLLBACK, RAISE(ROLLBACK), an interrupt, a full disk */
		return;
	}
	c->deadline_us = 0;
	if (conn_step(c, "ROLLBACK TO ddb_op", &ignored) != ERR_OK || conn_step(c, "RELEASE ddb_op", &ignored) != ERR_OK ||
		(r->traits & AUTHZ_SAW_VTAB))
		r->poisoned = true;
}

enum err_code op_run(struct conn *c, const json_t *op, int64_t at_ms, int64_t seed, int64_t deadline_ms,
	bool big_as_string, struct buf *answer, struct op_result *r, struct err *e)
{
	struct run run = {c, answer, big_as_string, true, r};
	*r = (struct op_result){0};
	/* The empty DELETE makes changes() start from zero. */
	if (conn_step(c, "DELETE FROM ddb_meta WHERE 0", e) != ERR_OK || conn_step(c, "SAVEPOINT ddb_op", e) != ERR_OK) {
		r->poisoned = true;
		return e->code;
	}
	vfs_set_now(at_ms);
	detfn_begin(&c->detfn, c->db, seed);
	rowsum_begin(&c->rowsum);
	c->deadline_us = deadline_ms ? clock_boot_us() + deadline_ms * 1000 : 0;
	c->authz.mode = AUTHZ_OP;
	if (answer)
		buf_add_char(answer, '[');
	run_all(&run, op, e);
	if (answer)
		buf_add_char(answer, ']');
	c->authz.mode = AUTHZ_INTERNAL;
	detfn_end(&c->detfn);
	vfs_set_now(0);
	if (e->code == ERR_OK)
		settle(c, r, e);
	if (e->code == ERR_OK && answer && answer->failed)
		err_set(e, ERR_TOO_BIG, "the answer exceeds %zu bytes", answer->max);
	if (e->code == ERR_OK)
		conn_step(c, "RELEASE ddb_op", e);
	if (e->code != ERR_OK)
		undo(c, r);
	c->deadline_us = 0;
	r->row_sum = c->rowsum.sum;
	if (r->poisoned)
		return e->code;
	struct err after = ERR_INIT;
	if (r->traits & AUTHZ_SAW_DEFER)
		conn_exec(c, "PRAGMA defer_foreign_keys=OFF", &after);
	if (r->traits & AUTHZ_SAW_DDL) {
		/* A live connection forgets statistics where a reopened one does not:
		 * read them again, so that both choose the same plans. */
		conn_exec(c, "ANALYZE sqlite_schema", &after);
		conn_forget(c);
		authz_schema_changed(&c->authz, c->db);
	}
	if (after.code != ERR_OK) {
		r->poisoned = true;
		return err_set(e, after.code, "%s", after.text);
	}
	return e->code;
}
