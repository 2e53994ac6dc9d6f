#include "lib/api/rows.h"
#include "lib/api/keyset.h"
#include "lib/api/serving.h"
#include "lib/base/jsonw.h"
#include "lib/sql/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of one SELECT; the conditions have a ceiling of their own. */
#define SQL_MAX (4 << 20)

/* A page being read. */
struct page {
	struct serving *s;
	struct filter filter;
	struct keyset keyset;
	struct buf sql;
	int *column;                  /* of the table, per result column; the keyset's own follow */
	int shown_n;                  /* result columns that the client gets */
	int result_n;
	int at[KEYSET_TERM_MAX];      /* result column of each term of the keyset */
	int64_t skip;                 /* rows equal to the cursor's that were given before and come again */
	struct buf next;              /* cursor of the last row, once it is known */
	bool whole;                   /* next is complete */
	struct buf last, one;         /* terms of the row before and of this one, where equal ones are counted */
	int64_t equal;                /* rows up to this one that are equal to it */
};

/* ---- the SQL ---- */

int rows_columns(const struct schema_table *t, int *out)
{
	int n = 0;
	if (t->key == SCHEMA_ROWID)
		out[n++] = SCHEMA_THE_ROWID;
	for (int i = 0; i < t->column_n; i++)
		if (!t->column[i].hidden)
			out[n++] = i;
	return n;
}

/* Which result column holds what: those shown, then what only the order needs. */
static enum err_code choose_columns(struct page *p, struct err *e)
{
	const struct filter *f = &p->filter;
	p->column = calloc((size_t)f->select_n + (size_t)f->table->column_n + KEYSET_TERM_MAX + 1, sizeof *p->column);
	if (!p->column)
		return err_set(e, ERR_NOMEM, "no memory for the columns");
	if (f->select) {
		p->shown_n = f->select_n;
		memcpy(p->column, f->select, (size_t)f->select_n * sizeof *f->select);
	} else {
		p->shown_n = rows_columns(f->table, p->column);
	}
	p->result_n = p->shown_n;
	for (int i = 0; p->keyset.pages && i < p->keyset.n; i++) {
		int at = 0;
		while (at < p->result_n && p->column[at] != p->keyset.term[i].column)
			at++;
		if (at == p->result_n)
			p->column[p->result_n++] = p->keyset.term[i].column;
		p->at[i] = at;
	}
	return ERR_OK;
}

static enum err_code make_sql(struct page *p, struct err *e)
{
	struct filter *f = &p->filter;
	keyset_plan(&p->keyset, f);
	if (f->after && keyset_after(&p->keyset, p->s->id, f->after, &f->where, f->params, &p->skip, e) != ERR_OK)
		return e->code;
	if (choose_columns(p, e) != ERR_OK)
		return e->code;
	for (int i = 0; i < p->result_n; i++) {
		buf_add_str(&p->sql, i == 0 ? "SELECT " : ", ");
		schema_add_column(&p->sql, f->table, p->column[i]);
	}
	buf_add_str(&p->sql, " FROM main.");
	schema_quote(&p->sql, f->table->name);
	if (f->where.len > 0) {
		buf_add_str(&p->sql, " WHERE ");
		buf_add(&p->sql, f->where.data, f->where.len);
	}
	keyset_order(&p->keyset, &p->sql);
	/* one more, to know whether there is a next page */
	buf_add_str(&p->sql, " LIMIT ?");
	json_array_append_new(f->params, json_integer(f->limit + 1 + p->skip));
	if (f->where.failed)
		return err_set(e, ERR_BAD_FILTER, "the filters are too long");
	return p->sql.failed ? err_set(e, ERR_NOMEM, "no memory for the statement") : ERR_OK;
}

/* ---- the answer ---- */

static void add_head(const struct page *p, sqlite3_stmt *stmt)
{
	struct buf *out = &p->s->r->out;
	buf_add_str(out, "{\"columns\":[");
	for (int i = 0; i < p->shown_n; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		value_add_name(out, schema_column_name(p->filter.table, p->column[i]));
	}
	buf_add_str(out, "],\"types\":[");
	for (int i = 0; i < p->shown_n; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		value_add_name(out, p->column[i] == SCHEMA_THE_ROWID ? "INTEGER" : sqlite3_column_decltype(stmt, i));
	}
	buf_add_str(out, "],\"rows\":[");
}

/* Counts how many rows up to this one are equal in all terms. */
static void count_equal(struct page *p, sqlite3_stmt *stmt)
{
	buf_reset(&p->one);
	if (!keyset_cursor(&p->keyset, p->s->id, stmt, p->at, 0, &p->one))
		return;
	bool same = p->one.len == p->last.len && memcmp(p->one.data, p->last.data, p->one.len) == 0;
	p->equal = same ? p->equal + 1 : 1;
	struct buf swap = p->last;
	p->last = p->one;
	p->one = swap;
}

/* Whether the current row is one that the page before ended with. Their number
 * is not taken for granted: some may be gone by now. */
static bool given_before(struct page *p, sqlite3_stmt *stmt)
{
	if (p->equal == p->skip)
		return false;
	buf_reset(&p->one);
	bool same = keyset_cursor(&p->keyset, p->s->id, stmt, p->at, p->skip, &p->one) &&
		strcmp(p->one.data, p->filter.after) == 0;
	if (same)
		count_equal(p, stmt);
	else
		p->skip = p->equal;
	return same;
}

/* The cursor for the page behind the current row. */
static void make_next(struct page *p, sqlite3_stmt *stmt)
{
	p->whole = keyset_cursor(&p->keyset, p->s->id, stmt, p->at, p->keyset.counted ? p->equal : 0, &p->next);
}

static void add_next(struct page *p, bool more)
{
	struct buf *out = &p->s->r->out;
	buf_add_str(out, "],\"next\":");
	if (more && p->whole)
		jsonw_string(out, p->next.data, p->next.len);
	else
		buf_add_str(out, more ? "null,\"more\":true" : "null");
	buf_add_char(out, ',');
	serving_tail(p->s);
}

static enum err_code stream(struct page *p, sqlite3_stmt *stmt, int rc, struct err *e)
{
	int64_t n = 0;
	add_head(p, stmt);
	while (rc == SQLITE_ROW && given_before(p, stmt))
		rc = sqlite3_step(stmt);
	for (; rc == SQLITE_ROW && n < p->filter.limit; rc = sqlite3_step(stmt), n++) {
		if (n > 0)
			buf_add_char(&p->s->r->out, ',');
		if (!serving_row(p->s, stmt, p->shown_n))
			return ERR_OK;
		if (p->keyset.counted)
			count_equal(p, stmt);
		if (p->keyset.pages && n == p->filter.limit - 1)
			make_next(p, stmt);
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return conn_error(p->s->c, rc, e);
	add_next(p, rc == SQLITE_ROW);
	return ERR_OK;
}

/* Prepares, binds and steps once; *rc then says what came. *stmt NULL: nothing
 * to stream, or e is set. */
static enum err_code start(struct serving *s, const struct buf *sql, const json_t *params, sqlite3_stmt **stmt, int *rc,
	struct err *e)
{
	unsigned traits;
	if (conn_prepare(s->c, sql->data, sql->len, stmt, &traits, NULL, e) != ERR_OK)
		return e->code;
	bool wanted = value_bind_all(*stmt, params, e) == ERR_OK && serving_answers(s, traits);
	if (wanted) {
		*rc = sqlite3_step(*stmt);
		if (*rc == SQLITE_ROW || *rc == SQLITE_DONE)
			return ERR_OK;
		conn_error(s->c, *rc, e);
	}
	conn_release(s->c, *stmt);
	*stmt = NULL;
	return e->code;
}

static enum err_code list(struct page *p, struct err *e)
{
	struct serving *s = p->s;
	const struct schema_table *t;
	sqlite3_stmt *stmt = NULL;
	int rc = 0;
	if (schema_find(s->c, request_path(s->r, "table"), &t, e) != ERR_OK)
		return e->code;
	if (filter_parse(&p->filter, t, &s->r->query, FILTER_PAGE, e) == ERR_OK && make_sql(p, e) == ERR_OK &&
		start(s, &p->sql, p->filter.params, &stmt, &rc, e) == ERR_OK && stmt) {
		stream(p, stmt, rc, e);
		conn_release(s->c, stmt);
	}
	filter_release(&p->filter);
	return e->code;
}

void rows_list(struct request *r)
{
	struct serving s;
	struct err e = ERR_INIT;
	struct page p = {
		.s = &s, .sql = BUF_INIT(SQL_MAX), .next = BUF_INIT(2 * KEYSET_CURSOR_MAX), .last = BUF_INIT(2 * KEYSET_CURSOR_MAX),
		.one = BUF_INIT(2 * KEYSET_CURSOR_MAX),
	};
	if (!serving_begin(r, &s))
		return;
	if (list(&p, &e) != ERR_OK)
		serving_fail(&s, &e);
	serving_end(&s);
	free(p.column);
	buf_release(&p.sql);
	buf_release(&p.next);
	buf_release(&p.last);
	buf_release(&p.one);
}

/* ---- one row ---- */

enum err_code rows_add_key(const struct schema_table *t, const char *key, struct buf *sql, json_t *params,
	struct err *e)
{
	if (t->key != SCHEMA_PRIMARY && t->key != SCHEMA_ROWID)
		return err_set(e, ERR_ROW_UNKNOWN, "rows of %.100s have no address, since it has no key of one column; use filters",
			t->name);
	schema_add_column(sql, t, t->key_column[0]);
	buf_add_str(sql, " = ?");
	json_array_append_new(params, filter_value(t, t->key_column[0], key));
	return ERR_OK;
}

enum err_code rows_no_filters(const struct request *r, struct err *e)
{
	for (size_t i = 0; i < r->query.n; i++)
		if (strcmp(r->query.param[i].name, "big") != 0 &&
			(strcmp(r->method, "GET") != 0 || strcmp(r->query.param[i].name, "consistency") != 0))
			return err_set(e, ERR_BAD_FILTER, "%.100s has no meaning here", r->query.param[i].name);
	return ERR_OK;
}

static enum err_code get_sql(const struct schema_table *t, const char *key, const int *column, int n, struct buf *sql,
	json_t *params, struct err *e)
{
	for (int i = 0; i < n; i++) {
		buf_add_str(sql, i == 0 ? "SELECT " : ", ");
		schema_add_column(sql, t, column[i]);
	}
	buf_add_str(sql, " FROM main.");
	schema_quote(sql, t->name);
	buf_add_str(sql, " WHERE ");
	return rows_add_key(t, key, sql, params, e);
}

static void add_object(struct serving *s, sqlite3_stmt *stmt, const struct schema_table *t, const int *column, int n)
{
	struct buf *out = &s->r->out;
	buf_add_str(out, "{\"row\":");
	for (int i = 0; i < n; i++) {
		buf_add_char(out, i == 0 ? '{' : ',');
		value_add_name(out, schema_column_name(t, column[i]));
		buf_add_char(out, ':');
		value_add_column(out, stmt, i, s->big_as_string);
		response_flush(s->r);
	}
	buf_add_str(out, "},");
	serving_tail(s);
}

static enum err_code get(struct serving *s, struct err *e)
{
	const struct schema_table *t;
	const char *key = request_path(s->r, "key");
	struct buf sql = BUF_INIT(SQL_MAX);
	sqlite3_stmt *stmt = NULL;
	int rc = 0;
	if (rows_no_filters(s->r, e) != ERR_OK || schema_find(s->c, request_path(s->r, "table"), &t, e) != ERR_OK)
		return e->code;
	json_t *params = json_array();
	int *column = calloc((size_t)t->column_n + 1, sizeof *column);
	int n = column ? rows_columns(t, column) : 0;
	if (!column)
		err_set(e, ERR_NOMEM, "no memory for the columns");
	else if (get_sql(t, key, column, n, &sql, params, e) == ERR_OK && start(s, &sql, params, &stmt, &rc, e) == ERR_OK &&
		stmt) {
		if (rc == SQLITE_ROW)
			add_object(s, stmt, t, column, n);
		else
			err_set(e, ERR_ROW_UNKNOWN, "table %.100s has no row with the key '%.100s'", t->name, key);
		conn_release(s->c, stmt);
	}
	free(column);
	json_decref(params);
	buf_release(&sql);
	return e->code;
}

void rows_get(struct request *r)
{
	struct serving s;
	struct err e = ERR_INIT;
	if (!serving_begin(r, &s))
		return;
	if (get(&s, &e) != ERR_OK)
		serving_fail(&s, &e);
	serving_end(&s);
}
