#include "lib/api/rows_op.h"
#include "lib/base/jsonr.h"
#include "lib/journal/op.h"
#include "lib/sql/value.h"

#include <stdlib.h>
#include <string.h>

#define NAME_SHOWN 100
#define FRAME_BYTES 512         /* of an answer beside its rows */

/* ---- statements ---- */

/* Adds a statement; takes over values. member: "params" or "rows". */
enum err_code rows_op_add(struct rows_op *o, struct buf *sql, const char *member, json_t *values,
	struct err *e)
{
	o->sql_bytes += sql->len;
	if (sql->failed || o->sql_bytes > (size_t)o->w.app->node.conf.body_bytes ||
		json_array_size(o->statements) == OP_STATEMENTS_MAX) {
		json_decref(values);
		return err_set(e, ERR_TOO_BIG, "the request needs more statements than one operation may have; send fewer rows,"
			" or give rows of the same columns one behind the other");
	}
	json_t *s = json_object();
	json_object_set_new(s, "sql", json_stringn(sql->data, sql->len));
	json_object_set_new(s, member, values);
	return json_array_append_new(o->statements, s) == 0 ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for an operation");
}

/* Asks how many rows the statement before changed by itself. */
enum err_code rows_op_add_changes(struct rows_op *o, struct err *e)
{
	struct buf sql = BUF_INIT(64);
	buf_add_str(&sql, "SELECT changes()");
	rows_op_add(o, &sql, "params", json_array(), e);
	buf_release(&sql);
	return e->code;
}

void rows_op_name_table(struct buf *sql, const char *before, const struct schema_table *t)
{
	buf_add_str(sql, before);
	schema_quote(sql, t->name);
}

void rows_op_returning(struct buf *sql, const struct schema_table *t, const int *column, int n)
{
	for (int i = 0; i < n; i++) {
		buf_add_str(sql, i == 0 ? " RETURNING " : ", ");
		schema_add_column(sql, t, column[i]);
	}
}

/* Adds the values of a row's columns to values: a value that is none is
 * refused here, where its column can be named. */
static enum err_code take_value(const struct schema_table *t, const char *name, json_t *v, json_t *values,
	struct err *e)
{
	bool special = json_is_object(v) && json_object_size(v) == 1 &&
		(json_is_string(json_object_get(v, "blob")) || json_is_string(json_object_get(v, "real")));
	if (json_is_array(v) || (json_is_object(v) && !special))
		return err_set(e, ERR_BAD_VALUE, "column %.*s of %.*s: a value is a string, a number, true, false, null,"
			" {\"blob\": \"<base64>\"} or {\"real\": \"Infinity\"}", NAME_SHOWN, name, NAME_SHOWN, t->name);
	json_array_append(values, v);
	return ERR_OK;
}

/* The column that name means, if it can be written. */
static int writable_column(const struct schema_table *t, const char *name, struct err *e)
{
	int column = schema_column(t, name);
	if (column < SCHEMA_THE_ROWID)
		err_set(e, ERR_BAD_VALUE, "table %.*s has no column '%.*s'", NAME_SHOWN, t->name, NAME_SHOWN, name);
	else if (column >= 0 && t->column[column].generated)
		err_set(e, ERR_BAD_VALUE, "column %.*s of %.*s is generated and cannot be written", NAME_SHOWN, name, NAME_SHOWN,
			t->name);
	return column;
}

/* The columns of a row's object, in its order, in column (room for column_n + 1); *n of them. */
enum err_code rows_op_columns(const struct schema_table *t, const json_t *row, int *column, int *n, struct err *e)
{
	const char *name;
	json_t *v;
	bool *seen = calloc((size_t)t->column_n + 1, sizeof *seen);
	if (!seen)
		return err_set(e, ERR_NOMEM, "no memory for the columns of a row");
	*n = 0;
	json_object_foreach((json_t *)row, name, v) {
		int one = writable_column(t, name, e);
		if (e->code != ERR_OK)
			break;
		if (seen[one + 1]) {
			err_set(e, ERR_BAD_VALUE, "column %.*s is given twice", NAME_SHOWN, name);
			break;
		}
		seen[one + 1] = true;
		column[(*n)++] = one;
	}
	free(seen);
	return e->code;
}

enum err_code rows_op_values(const struct schema_table *t, const json_t *row, json_t *values, struct err *e)
{
	const char *name;
	json_t *v;
	json_object_foreach((json_t *)row, name, v) {
		if (take_value(t, name, v, values, e) != ERR_OK)
			break;
	}
	return e->code;
}

/* Room for the columns of any row. */
int *rows_op_room(const struct schema_table *t, struct err *e)
{
	int *column = calloc((size_t)t->column_n + 2, sizeof *column);
	if (!column)
		err_set(e, ERR_NOMEM, "no memory for the columns of a row");
	return column;
}

enum err_code rows_op_json(struct buf *out, const json_t *v, struct err *e)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
	if (text)
		buf_add_str(out, text);
	else
		err_set(e, ERR_NOMEM, "no memory for the answer");
	free(text);
	return e->code;
}


const json_t *rows_op_row(const struct rows_op *o, size_t statement, size_t i)
{
	return json_array_get(json_object_get(json_array_get(o->results, statement), "rows"), i);
}

/* ---- from request to answer ---- */

static enum err_code read_body(struct rows_op *o, struct err *e)
{
	size_t most = (size_t)o->w.app->node.conf.body_bytes;
	struct buf text = BUF_INIT(most);
	if (request_body(o->r, most, &text, e) == ERR_OK)
		o->body = jsonr_parse(text.data, text.len, "the body", e);
	buf_release(&text);
	return e->code;
}

/* The table as it is now. An operation that comes in between may change it:
 * then the statements made here fail, and nothing is changed. */
static enum err_code find_table(struct rows_op *o, struct err *e)
{
	if (readers_take(o->w.app->readers, o->w.db->path, &o->c, e) != ERR_OK)
		return e->code;
	if (conn_exec(o->c, "BEGIN", e) == ERR_OK)
		schema_find(o->c, request_path(o->r, "table"), &o->table, e);
	return e->code;
}

/* Says which row of the request is meant; where in our own SQL says nothing to
 * the client. */
static void translate(const struct rows_op *o, struct err *e)
{
	for (int i = 0; e->row >= 0 && i < e->statement; i++)
		e->row += (int)json_array_size(json_object_get(json_array_get(o->statements, (size_t)i), "rows"));
	e->statement = e->offset = -1;
}

static enum err_code run(struct rows_op *o, struct err *e)
{
	struct err ignored = ERR_INIT;
	/* The log cannot be emptied while a transaction reads. */
	conn_exec(o->c, "ROLLBACK", &ignored);
	json_t *op = json_pack("{s:O}", "statements", o->statements);
	if (master_run(&o->w, op, e) == ERR_OK) {
		o->results = json_loadb(o->w.answer.results.data, o->w.answer.results.len, JSON_ALLOW_NUL, NULL);
		if (!o->results)
			err_set(e, ERR_NOMEM, "no memory for the answer; the write took place");
	} else {
		translate(o, e);
	}
	json_decref(op);
	return e->code;
}

void rows_op_run(struct request *r, bool with_body, enum err_code (*make)(struct rows_op *o, struct err *e),
	int (*answer)(struct rows_op *o, struct err *e))
{
	struct rows_op o = {.r = r};
	struct err e = ERR_INIT;
	if (!master_begin(r, &o.w))
		return;
	o.statements = json_array();
	buf_init(&o.answer, 2 * (size_t)o.w.app->node.conf.answer_bytes + FRAME_BYTES);
	if ((!with_body || read_body(&o, &e) == ERR_OK) && find_table(&o, &e) == ERR_OK && make(&o, &e) == ERR_OK &&
		run(&o, &e) == ERR_OK) {
		int status = answer(&o, &e);
		master_tail(&o.w, &o.answer);
		if (e.code == ERR_OK)
			master_answer(&o.w, status, &o.answer);
	}
	if (e.code != ERR_OK)
		response_problem(r, &e);
	if (o.c)
		readers_give(o.w.app->readers, o.c, false);
	json_decref(o.body);
	json_decref(o.statements);
	json_decref(o.results);
	buf_release(&o.answer);
	master_end(&o.w);
}
