/* POST …/rows */
#include "lib/api/filter.h"
#include "lib/api/rows.h"
#include "lib/api/rows_op.h"
#include "lib/api/rows_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* INSERT of those columns, giving back the key. */
static void insert_sql(const struct schema_table *t, const int *column, int n, struct buf *sql)
{
	rows_op_name_table(sql, "INSERT INTO ", t);
	for (int i = 0; i < n; i++) {
		buf_add_char(sql, i == 0 ? '(' : ',');
		schema_quote(sql, schema_column_name(t, column[i]));
	}
	buf_add_str(sql, n == 0 ? " DEFAULT VALUES" : ") VALUES");
	for (int i = 0; i < n; i++)
		buf_add_str(sql, i == 0 ? "(?" : ",?");
	if (n > 0)
		buf_add_char(sql, ')');
	/* A virtual table tells its rowid only by last_insert_rowid(). */
	if (t->type != SCHEMA_VIRTUAL && t->key_n > 0)
		rows_op_returning(sql, t, t->key_column, t->key_n);
	else if (t->type != SCHEMA_VIRTUAL)
		buf_add_str(sql, " RETURNING 1");
}

/* Whether two rows name the same columns in the same order. */
static bool same_columns(const json_t *a, const json_t *b)
{
	void *x = json_object_iter((json_t *)a), *y = json_object_iter((json_t *)b);
	while (x && y && strcmp(json_object_iter_key(x), json_object_iter_key(y)) == 0) {
		x = json_object_iter_next((json_t *)a, x);
		y = json_object_iter_next((json_t *)b, y);
	}
	return !x && !y;
}

/* One statement for the rows from `from` on that share their columns; *next is
 * the first that does not. */
static enum err_code add_insert(struct rows_op *o, const json_t *rows, size_t from, size_t *next, int *column,
	struct err *e)
{
	const struct schema_table *t = o->table;
	const json_t *first = json_array_get(rows, from);
	struct buf sql = BUF_INIT(ROWS_OP_SQL_MAX);
	int n = 0;
	size_t i = from;
	if (!json_is_object(first))
		err_set(e, ERR_BAD_JSON, "row %zu is no object of columns and values", from);
	else
		rows_op_columns(t, first, column, &n, e);
	e->row = e->code != ERR_OK ? (int)from : -1;
	if (e->code != ERR_OK)
		return e->code;
	json_t *list = json_array();
	do {
		json_t *values = json_array();
		if (rows_op_values(t, json_array_get(rows, i), values, e) != ERR_OK)
			e->row = (int)i;
		json_array_append_new(list, values);
		i++;
	} while (e->code == ERR_OK && i < json_array_size(rows) && t->type != SCHEMA_VIRTUAL &&
		json_is_object(json_array_get(rows, i)) && same_columns(first, json_array_get(rows, i)));
	*next = i;
	insert_sql(t, column, n, &sql);
	if (e->code == ERR_OK)
		rows_op_add(o, &sql, "rows", json_incref(list), e);
	json_decref(list);
	buf_release(&sql);
	return e->code;
}

static enum err_code make_insert(struct rows_op *o, struct err *e)
{
	json_t *rows = json_is_array(o->body) ? json_incref(o->body) : json_pack("[O]", o->body);
	int *column = rows_op_room(o->table, e);
	rows_no_filters(o->r, e);
	if (json_array_size(rows) == 0)
		err_set(e, ERR_BAD_JSON, "the body must be an object of columns and values, or an array of one or more of them");
	for (size_t i = 0; e->code == ERR_OK && i < json_array_size(rows);)
		add_insert(o, rows, i, &i, column, e);
	free(column);
	json_decref(rows);
	return e->code;
}

/* All inserted rows' keys, as the answer shows them; *n counts the rows. */
static json_t *inserted_keys(const struct rows_op *o, size_t *n)
{
	const struct schema_table *t = o->table;
	json_t *keys = json_array(), *result, *row;
	size_t i, k;
	*n = 0;
	json_array_foreach(o->results, i, result) {
		if (t->type == SCHEMA_VIRTUAL) {
			(*n)++;
			if (t->key_n > 0)
				json_array_append(keys, json_object_get(result, "last_rowid"));
			continue;
		}
		json_array_foreach(json_object_get(result, "rows"), k, row) {
			(*n)++;
			if (t->key_n > 0)
				json_array_append(keys, t->key_n == 1 ? json_array_get(row, 0) : row);
		}
	}
	return keys;
}

/* The part of an address that means this key; NULL when there is none. */
static bool key_part(const struct schema_table *t, const json_t *key, struct buf *out)
{
	char number[32];
	if (json_is_integer(key)) {
		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
		buf_add_str(out, number);
		return true;
	}
	const char *text = json_string_value(key);
	size_t len = json_string_length(key);
	if (!text || len == 0 || len > REQUEST_SEGMENT_LEN / 2 || strlen(text) != len || strcmp(text, ".") == 0 ||
		strcmp(text, "..") == 0)
		return false;
	json_t *back = filter_value(t, t->key_column[0], text);
	bool literal = json_equal(back, key);
	json_decref(back);
	if (literal)
		url_encode(out, text, len);
	return literal;
}

static void add_location(struct rows_op *o, const json_t *keys)
{
	struct buf key = BUF_INIT(4 * REQUEST_SEGMENT_LEN), table = BUF_INIT(4 * REQUEST_SEGMENT_LEN);
	bool addressed = o->table->key == SCHEMA_PRIMARY || o->table->key == SCHEMA_ROWID;
	if (addressed && json_array_size(keys) == 1 && key_part(o->table, json_array_get(keys, 0), &key)) {
		url_encode(&table, o->table->name, strlen(o->table->name));
		if (!key.failed && !table.failed)
			response_headerf(o->r, "Location", "/v1/db/%s/tables/%s/rows/%s", o->w.db->name, table.data, key.data);
	}
	buf_release(&key);
	buf_release(&table);
}

static int answer_insert(struct rows_op *o, struct err *e)
{
	size_t n;
	json_t *keys = inserted_keys(o, &n);
	buf_addf(&o->answer, "{\"inserted\":%zu,\"keys\":", n);
	rows_op_json(&o->answer, keys, e);
	buf_add_char(&o->answer, ',');
	add_location(o, keys);
	json_decref(keys);
	return 201;
}

void rows_insert(struct request *r)
{
	rows_op_run(r, true, make_insert, answer_insert);
}
