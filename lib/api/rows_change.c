/* PATCH, PUT and DELETE of rows. */
#include "lib/api/filter.h"
#include "lib/api/rows.h"
#include "lib/api/rows_op.h"
#include "lib/api/rows_write.h"
#include "lib/sql/value.h"

#include <stdlib.h>
#include <string.h>

#define NAME_SHOWN 100

/* "UPDATE t SET …" with the body's columns, their values first in params. */
static enum err_code update_sql(struct rows_op *o, struct buf *sql, json_t *params, struct err *e)
{
	const struct schema_table *t = o->table;
	int *column = rows_op_room(t, e), n = 0;
	if (!json_is_object(o->body) || json_object_size(o->body) == 0)
		err_set(e, ERR_BAD_JSON, "the body must be an object of columns and their new values");
	if (e->code == ERR_OK && rows_op_columns(t, o->body, column, &n, e) == ERR_OK)
		rows_op_values(t, o->body, params, e);
	rows_op_name_table(sql, "UPDATE ", t);
	for (int i = 0; i < n; i++) {
		buf_add_str(sql, i == 0 ? " SET " : ", ");
		schema_quote(sql, schema_column_name(t, column[i]));
		buf_add_str(sql, " = ?");
	}
	free(column);
	return e->code;
}

/* Adds the filters' condition and its values. */
static enum err_code add_filters(struct rows_op *o, struct buf *sql, json_t *params, struct err *e)
{
	struct filter f;
	if (filter_parse(&f, o->table, &o->r->query, FILTER_CHANGE, e) == ERR_OK && f.where.len == 0 && !f.all)
		err_set(e, ERR_NO_FILTER, "without any filter this would change all rows of %.*s; say all=true if that is meant",
			NAME_SHOWN, o->table->name);
	if (e->code == ERR_OK && f.where.len > 0) {
		buf_add_str(sql, " WHERE ");
		buf_add(sql, f.where.data, f.where.len);
		json_array_extend(params, f.params);
	}
	filter_release(&f);
	return e->code;
}

static enum err_code add_key(struct rows_op *o, struct buf *sql, json_t *params, struct err *e)
{
	buf_add_str(sql, " WHERE ");
	return rows_add_key(o->table, request_path(o->r, "key"), sql, params, e);
}

static enum err_code make_update(struct rows_op *o, struct err *e)
{
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	json_t *params = json_array();
	if (update_sql(o, &sql, params, e) == ERR_OK && add_filters(o, &sql, params, e) == ERR_OK &&
		rows_op_add(o, &sql, "params", json_incref(params), e) == ERR_OK)
		rows_op_add_changes(o, e);
	json_decref(params);
	buf_release(&sql);
	return e->code;
}

static enum err_code make_delete(struct rows_op *o, struct err *e)
{
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	json_t *params = json_array();
	rows_op_name_table(&sql, "DELETE FROM ", o->table);
	if (add_filters(o, &sql, params, e) == ERR_OK && rows_op_add(o, &sql, "params", json_incref(params), e) == ERR_OK)
		rows_op_add_changes(o, e);
	json_decref(params);
	buf_release(&sql);
	return e->code;
}

/* A statement that reads the row of the path's key: `what`, or all its columns. */
static enum err_code add_select(struct rows_op *o, const char *what, struct err *e)
{
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	json_t *params = json_array();
	int *column = rows_op_room(o->table, e), n = column && !what ? rows_columns(o->table, column) : 0;
	buf_add_str(&sql, "SELECT ");
	if (what)
		buf_add_str(&sql, what);
	for (int i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(&sql, ',');
		schema_add_column(&sql, o->table, column[i]);
	}
	rows_op_name_table(&sql, " FROM ", o->table);
	if (e->code == ERR_OK && add_key(o, &sql, params, e) == ERR_OK)
		rows_op_add(o, &sql, "params", json_incref(params), e);
	free(column);
	json_decref(params);
	buf_release(&sql);
	return e->code;
}

/* Whether the row of the path's key is there, so that nothing needs to be
 * journaled to find that it is not. A request that may be a repeat is not
 * asked: its first answer may be known. */
static enum err_code check_row(struct rows_op *o, struct err *e)
{
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	json_t *params = json_array();
	sqlite3_stmt *stmt;
	unsigned traits;
	rows_op_name_table(&sql, "SELECT 1 FROM ", o->table);
	if (add_key(o, &sql, params, e) == ERR_OK && !request_header(o->r, "HTTP_IDEMPOTENCY_KEY") &&
		conn_prepare(o->c, sql.data, sql.len, &stmt, &traits, NULL, e) == ERR_OK) {
		int rc = value_bind_all(stmt, params, e) == ERR_OK ? sqlite3_step(stmt) : SQLITE_ROW;
		if (rc == SQLITE_DONE)
			err_set(e, ERR_ROW_UNKNOWN, "table %.*s has no row with the key '%.*s'", NAME_SHOWN, o->table->name, NAME_SHOWN,
				request_path(o->r, "key"));
		else if (rc != SQLITE_ROW)
			conn_error(o->c, rc, e);
		conn_release(o->c, stmt);
	}
	json_decref(params);
	buf_release(&sql);
	return e->code;
}

static enum err_code make_update_one(struct rows_op *o, struct err *e)
{
	const struct schema_table *t = o->table;
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	json_t *params = json_array();
	int *column = rows_op_room(t, e), n = column ? rows_columns(t, column) : 0;
	if (e->code == ERR_OK && rows_no_filters(o->r, e) == ERR_OK && update_sql(o, &sql, params, e) == ERR_OK &&
		check_row(o, e) == ERR_OK)
		add_key(o, &sql, params, e);
	/* A virtual table gives nothing back: its row is read again. */
	if (t->type != SCHEMA_VIRTUAL)
		rows_op_returning(&sql, t, column, n);
	if (e->code == ERR_OK && rows_op_add(o, &sql, "params", json_incref(params), e) == ERR_OK && t->type == SCHEMA_VIRTUAL)
		add_select(o, NULL, e);
	free(column);
	json_decref(params);
	buf_release(&sql);
	return e->code;
}

static enum err_code make_delete_one(struct rows_op *o, struct err *e)
{
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	json_t *params = json_array();
	rows_op_name_table(&sql, "DELETE FROM ", o->table);
	if (rows_no_filters(o->r, e) == ERR_OK && check_row(o, e) == ERR_OK && add_key(o, &sql, params, e) == ERR_OK &&
		rows_op_add(o, &sql, "params", json_incref(params), e) == ERR_OK)
		rows_op_add_changes(o, e);
	json_decref(params);
	buf_release(&sql);
	return e->code;
}

/* ---- PUT ---- */

/* The body's columns with the key's in front; what it says of the key itself
 * must be what the address says. */
static enum err_code put_columns(struct rows_op *o, int *column, int *n, json_t *values, struct err *e)
{
	const struct schema_table *t = o->table;
	json_t *given = json_array(), *key = filter_value(t, t->key_column[0], request_path(o->r, "key"));
	json_array_append(values, key);
	column[(*n)++] = t->key_column[0];
	int *named = rows_op_room(t, e), named_n = 0;
	if (e->code == ERR_OK && rows_op_columns(t, o->body, named, &named_n, e) == ERR_OK)
		rows_op_values(t, o->body, given, e);
	for (int i = 0; i < named_n && e->code == ERR_OK; i++) {
		json_t *v = json_array_get(given, (size_t)i);
		bool is_key = named[i] == t->key_column[0] ||
			(named[i] == SCHEMA_THE_ROWID && t->key_column[0] == t->rowid_column);
		if (is_key && !json_equal(v, key))
			err_set(e, ERR_BAD_VALUE, "the body says another key than the address; leave %.*s out, or PATCH it", NAME_SHOWN,
				schema_column_name(t, named[i]));
		if (is_key)
			continue;
		json_array_append(values, v);
		column[(*n)++] = named[i];
	}
	free(named);
	json_decref(given);
	json_decref(key);
	return e->code;
}

/* What the row becomes when it is there: as if it were inserted anew. */
static void add_conflict(const struct schema_table *t, struct buf *sql)
{
	const char *key = schema_column_name(t, t->key_column[0]);
	bool any = false;
	buf_add_str(sql, " ON CONFLICT(");
	schema_quote(sql, key);
	buf_add_str(sql, ") DO UPDATE SET ");
	for (int i = 0; i < t->column_n; i++) {
		if (i == t->key_column[0] || t->column[i].generated)
			continue;
		if (any)
			buf_add_str(sql, ", ");
		any = true;
		schema_quote(sql, t->column[i].name);
		buf_add_str(sql, " = excluded.");
		schema_quote(sql, t->column[i].name);
	}
	if (!any) {
		schema_quote(sql, key);
		buf_add_str(sql, " = excluded.");
		schema_quote(sql, key);
	}
}

static void put_sql(const struct schema_table *t, const int *column, int n, const int *shown, int shown_n,
	struct buf *sql)
{
	rows_op_name_table(sql, t->type == SCHEMA_VIRTUAL ? "INSERT OR REPLACE INTO " : "INSERT INTO ", t);
	for (int i = 0; i < n; i++) {
		buf_add_char(sql, i == 0 ? '(' : ',');
		schema_quote(sql, schema_column_name(t, column[i]));
	}
	for (int i = 0; i < n; i++)
		buf_add_str(sql, i == 0 ? ") VALUES(?" : ",?");
	buf_add_char(sql, ')');
	if (t->type == SCHEMA_VIRTUAL)
		return;
	add_conflict(t, sql);
	rows_op_returning(sql, t, shown, shown_n);
}

/* Reads whether the row is there, then writes it: in one operation, so that
 * nothing comes in between. */
static enum err_code make_put_one(struct rows_op *o, struct err *e)
{
	const struct schema_table *t = o->table;
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	json_t *values = json_array();
	int *column = rows_op_room(t, e), *shown = rows_op_room(t, e), n = 0;
	if (!json_is_object(o->body))
		err_set(e, ERR_BAD_JSON, "the body must be an object of columns and values");
	if (e->code == ERR_OK && rows_no_filters(o->r, e) == ERR_OK && add_select(o, "1", e) == ERR_OK &&
		put_columns(o, column, &n, values, e) == ERR_OK) {
		put_sql(t, column, n, shown, rows_columns(t, shown), &sql);
		if (rows_op_add(o, &sql, "params", json_incref(values), e) == ERR_OK && t->type == SCHEMA_VIRTUAL)
			add_select(o, NULL, e);
	}
	free(column);
	free(shown);
	json_decref(values);
	buf_release(&sql);
	return e->code;
}

/* ---- answers ---- */

static int answer_changes(struct rows_op *o, struct err *e)
{
	buf_add_str(&o->answer, "{\"changes\":");
	rows_op_json(&o->answer, json_array_get(rows_op_row(o, 1, 0), 0), e);
	buf_add_char(&o->answer, ',');
	return 200;
}

static void gone(const struct rows_op *o, struct err *e)
{
	err_set(e, ERR_ROW_UNKNOWN, "table %.*s has no row with the key '%.*s'", NAME_SHOWN, o->table->name, NAME_SHOWN,
		request_path(o->r, "key"));
}

static int answer_delete_one(struct rows_op *o, struct err *e)
{
	if (json_integer_value(json_array_get(rows_op_row(o, 1, 0), 0)) == 0)
		gone(o, e);
	return answer_changes(o, e);
}

/* {"changes":1,"row":{…}, with the values of row. */
static void add_row(struct rows_op *o, const json_t *row, struct err *e)
{
	const struct schema_table *t = o->table;
	int *column = rows_op_room(t, e), n = column ? rows_columns(t, column) : 0;
	buf_add_str(&o->answer, "{\"changes\":1,\"row\":");
	for (int i = 0; i < n && row; i++) {
		buf_add_char(&o->answer, i == 0 ? '{' : ',');
		value_add_name(&o->answer, schema_column_name(t, column[i]));
		buf_add_char(&o->answer, ':');
		rows_op_json(&o->answer, json_array_get(row, (size_t)i), e);
	}
	buf_add_str(&o->answer, row ? "}," : "null,");
	free(column);
}

static int answer_update_one(struct rows_op *o, struct err *e)
{
	bool read_again = o->table->type == SCHEMA_VIRTUAL;
	const json_t *row = rows_op_row(o, read_again ? 1 : 0, 0);
	if (!row && !read_again)
		gone(o, e);
	add_row(o, row, e);
	return 200;
}

static int answer_put_one(struct rows_op *o, struct err *e)
{
	bool existed = rows_op_row(o, 0, 0) != NULL;
	add_row(o, rows_op_row(o, o->table->type == SCHEMA_VIRTUAL ? 2 : 1, 0), e);
	return existed ? 200 : 201;
}

void rows_update(struct request *r)
{
	rows_op_run(r, true, make_update, answer_changes);
}

void rows_delete(struct request *r)
{
	rows_op_run(r, false, make_delete, answer_changes);
}

void rows_put_one(struct request *r)
{
	rows_op_run(r, true, make_put_one, answer_put_one);
}

void rows_update_one(struct request *r)
{
	rows_op_run(r, true, make_update_one, answer_update_one);
}

void rows_delete_one(struct request *r)
{
	rows_op_run(r, false, make_delete_one, answer_delete_one);
}
