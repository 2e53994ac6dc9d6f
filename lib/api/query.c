#include "lib/api/query.h"
#include "lib/api/serving.h"
#include "lib/base/jsonr.h"
#include "lib/http/route.h"
#include "lib/sql/value.h"

#include <string.h>

/* What is asked; the JSON owns the texts. */
struct question {
	json_t *body;          /* holds sql and params */
	const char *sql;
	size_t sql_len;
	const json_t *params;
};

static enum err_code check(struct question *q, struct err *e)
{
	const char *key;
	json_t *value;
	if (!json_is_object(q->body))
		return err_set(e, ERR_BAD_JSON, "the body must be a JSON object with \"sql\" and perhaps \"params\"");
	json_object_foreach(q->body, key, value) {
		if (strcmp(key, "sql") != 0 && strcmp(key, "params") != 0)
			return err_set(e, ERR_BAD_JSON, "a query has \"sql\" and \"params\", not \"%.40s\"", key);
	}
	const json_t *sql = json_object_get(q->body, "sql");
	if (!json_is_string(sql))
		return err_set(e, ERR_BAD_JSON, "\"sql\" must be a string");
	q->sql = json_string_value(sql);
	q->sql_len = json_string_length(sql);
	q->params = json_object_get(q->body, "params");
	if (memchr(q->sql, '\0', q->sql_len))
		return err_set(e, ERR_SQL, "the SQL text holds a NUL character");
	return ERR_OK;
}

static enum err_code from_body(struct request *r, struct question *q, struct err *e)
{
	struct buf text = BUF_INIT(r->route->body_max);
	if (request_body(r, r->route->body_max, &text, e) == ERR_OK)
		q->body = jsonr_parse(text.data, text.len, "the body", e);
	buf_release(&text);
	return q->body ? check(q, e) : e->code;
}

static enum err_code from_address(struct request *r, struct question *q, struct err *e)
{
	const char *sql = request_param(r, "sql"), *params = request_param(r, "params");
	for (size_t i = 0; i < r->query.n; i++) {
		const char *name = r->query.param[i].name;
		if (strcmp(name, "sql") != 0 && strcmp(name, "params") != 0 && strcmp(name, "big") != 0 &&
			strcmp(name, "consistency") != 0)
			return err_set(e, ERR_BAD_REQUEST, "a query has the parameters sql, params, big and consistency, not '%.40s'",
				name);
	}
	if (!sql)
		return err_set(e, ERR_BAD_REQUEST, "the parameter sql is missing");
	json_t *values = params ? jsonr_parse(params, strlen(params), "params", e) : json_null();
	if (!values)
		return e->code;
	q->body = json_object();
	json_object_set_new(q->body, "params", values);
	json_object_set_new(q->body, "sql", json_string(sql));
	return check(q, e);
}

/* Streams what stmt gives; its first row is there already when rc says so. The
 * head leaves with the first piece, so that an early error still is a problem
 * document. */
static enum err_code stream(struct serving *s, sqlite3_stmt *stmt, int rc, struct err *e)
{
	struct buf *out = &s->r->out;
	int n = sqlite3_column_count(stmt);
	buf_add_str(out, "{\"columns\":");
	value_add_names(out, stmt);
	buf_add_str(out, ",\"types\":");
	value_add_types(out, stmt);
	buf_add_str(out, ",\"rows\":[");
	for (bool first = true; rc == SQLITE_ROW; rc = sqlite3_step(stmt), first = false) {
		if (!first)
			buf_add_char(out, ',');
		if (!serving_row(s, stmt, n))
			return ERR_OK;
	}
	if (rc != SQLITE_DONE)
		return conn_error(s->c, rc, e);
	buf_add_str(out, "],");
	serving_tail(s);
	return ERR_OK;
}

static enum err_code run(struct serving *s, const struct question *q, struct err *e)
{
	sqlite3_stmt *stmt;
	unsigned traits;
	if (conn_prepare(s->c, q->sql, q->sql_len, &stmt, &traits, NULL, e) != ERR_OK)
		return e->code;
	if (!stmt)
		return err_set(e, ERR_SQL, "there is no statement in the SQL text");
	if (value_bind_all(stmt, q->params, e) == ERR_OK && serving_answers(s, traits)) {
		int rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW || rc == SQLITE_DONE)
			stream(s, stmt, rc, e);
		else
			conn_error(s->c, rc, e);
	}
	conn_release(s->c, stmt);
	return e->code;
}

static void answer(struct request *r, enum err_code (*read)(struct request *, struct question *, struct err *))
{
	struct question q = {.body = NULL};
	struct serving s;
	struct err e = ERR_INIT;
	if (read(r, &q, &e) != ERR_OK) {
		response_problem(r, &e);
	} else if (serving_begin(r, &s)) {
		if (run(&s, &q, &e) != ERR_OK)
			serving_fail(&s, &e);
		serving_end(&s);
	}
	json_decref(q.body);
}

void query_post(struct request *r)
{
	answer(r, from_body);
}

void query_get(struct request *r)
{
	answer(r, from_address);
}
