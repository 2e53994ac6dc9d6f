#include "lib/api/keyset.h"
#include "lib/base/jsonw.h"
#include "lib/sql/value.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* Rows equal in every column that a cursor can count. */
#define SKIP_MAX 1000000000

/* Whole reals up to here are integers without loss. */
#define EXACT 9.2e18

/* ---- the order ---- */

static bool never_null(const struct schema_table *t, int column)
{
	return column == SCHEMA_THE_ROWID || t->column[column].never_null;
}

/* Whether column is the rowid, by whichever name. */
static bool is_rowid(const struct schema_table *t, int column)
{
	return column == SCHEMA_THE_ROWID || column == t->rowid_column;
}

static bool ordered_by(const struct keyset *k, int column, const char *collation)
{
	for (int i = 0; i < k->n; i++) {
		const struct keyset_term *term = &k->term[i];
		bool same = term->column == column || (is_rowid(k->table, column) && is_rowid(k->table, term->column));
		if (same && (!collation || (term->collation && strcmp(collation, term->collation) == 0)))
			return true;
	}
	return false;
}

/* Appends a term in the direction of the one before, so that one index serves both. */
static bool append(struct keyset *k, int column, const char *collation)
{
	if (ordered_by(k, column, collation))
		return true;
	if (k->n == KEYSET_TERM_MAX)
		return false;
	bool desc = k->n > 0 && k->term[k->n - 1].desc;
	k->term[k->n++] = (struct keyset_term){column, desc, !desc, never_null(k->table, column), collation};
	return true;
}

/* What makes the order total. False when nothing can. */
static bool append_key(struct keyset *k)
{
	const struct schema_table *t = k->table;
	if (t->rowid || t->rowid_column >= 0)
		return append(k, t->rowid_column >= 0 ? t->rowid_column : SCHEMA_THE_ROWID, NULL);
	if (t->without_rowid && t->key_n > 0 && t->type == SCHEMA_TABLE) {
		for (int i = 0; i < t->key_n; i++)
			if (!append(k, t->key_column[i], t->column[t->key_column[i]].key_collation))
				return false;
		return true;
	}
	if (k->n == 0)
		return false;
	/* BINARY: what a column's own collation takes for equal can be told apart. */
	k->counted = true;
	for (int i = 0; i < t->column_n; i++)
		if (!t->column[i].hidden && !append(k, i, "BINARY"))
			return false;
	return true;
}

void keyset_plan(struct keyset *k, const struct filter *f)
{
	const struct schema_table *t = f->table;
	*k = (struct keyset){.table = t};
	for (int i = 0; i < f->order_n; i++) {
		const struct filter_order *o = &f->order[i];
		if (!ordered_by(k, o->column, NULL))
			k->term[k->n++] = (struct keyset_term){o->column, o->desc, o->nulls_first, never_null(t, o->column), NULL};
		if (is_rowid(t, o->column))
			break; /* it leaves nothing to order */
	}
	/* Without an order: by the key, though the rowid alone would make it total. */
	if (f->order_n == 0 && t->key == SCHEMA_PRIMARY && !t->without_rowid)
		append(k, t->key_column[0], NULL);
	int asked = k->n;
	k->pages = append_key(k);
	if (!k->pages) {
		k->n = asked;
		k->counted = false;
	}
}

static void add_term(const struct keyset *k, const struct keyset_term *term, struct buf *sql)
{
	schema_add_column(sql, k->table, term->column);
	if (term->collation) {
		buf_add_str(sql, " COLLATE ");
		schema_quote(sql, term->collation);
	}
}

void keyset_order(const struct keyset *k, struct buf *sql)
{
	for (int i = 0; i < k->n; i++) {
		const struct keyset_term *term = &k->term[i];
		buf_add_str(sql, i == 0 ? " ORDER BY " : ", ");
		add_term(k, term, sql);
		if (term->desc)
			buf_add_str(sql, " DESC");
		/* where it is what SQLite does by itself, an index need not be told */
		if (term->nulls_first == term->desc && !term->never_null)
			buf_add_str(sql, term->nulls_first ? " NULLS FIRST" : " NULLS LAST");
	}
}

/* ---- behind a row ---- */

/* A term in a comparison. The column of a view can have an affinity that its
 * values do not have; the plus takes it away, so that they compare as they sort. */
static void add_operand(const struct keyset *k, const struct keyset_term *term, struct buf *sql)
{
	if (k->table->type == SCHEMA_VIEW)
		buf_add_char(sql, '+');
	add_term(k, term, sql);
}

static void add_value(const json_t *v, struct buf *sql, json_t *params)
{
	json_t *raw = json_object_get(v, "text");
	if (raw) {
		buf_add_str(sql, "CAST(? AS TEXT)");
		json_array_append_new(params, json_pack("{s:O}", "blob", raw));
	} else {
		buf_add_char(sql, '?');
		json_array_append(params, (json_t *)v);
	}
}

/* That the term's value stands behind v; or_same: or is it. */
static void add_behind(const struct keyset *k, const struct keyset_term *term, const json_t *v, bool or_same,
	struct buf *sql, json_t *params)
{
	if (json_is_null(v)) {
		if (or_same && term->nulls_first)
			buf_add_char(sql, '1');
		else if (or_same || term->nulls_first) {
			add_operand(k, term, sql);
			buf_add_str(sql, or_same ? " IS NULL" : " IS NOT NULL");
		} else
			buf_add_char(sql, '0');
		return;
	}
	bool nulls_follow = !term->nulls_first && !term->never_null;
	if (nulls_follow)
		buf_add_char(sql, '(');
	add_operand(k, term, sql);
	buf_add_str(sql, term->desc ? (or_same ? " <= " : " < ") : (or_same ? " >= " : " > "));
	add_value(v, sql, params);
	if (nulls_follow) {
		buf_add_str(sql, " OR ");
		add_operand(k, term, sql);
		buf_add_str(sql, " IS NULL)");
	}
}

static void add_same(const struct keyset *k, const struct keyset_term *term, const json_t *v, struct buf *sql,
	json_t *params)
{
	add_operand(k, term, sql);
	if (json_is_null(v)) {
		buf_add_str(sql, " IS NULL");
		return;
	}
	buf_add_str(sql, " = ");
	add_value(v, sql, params);
}

/* Whether one comparison of row values says it: that is what an index answers
 * best. NULLs that would have to follow do not pass such a comparison. */
static bool is_one_range(const struct keyset *k, const json_t *values)
{
	for (int i = 0; i < k->n; i++) {
		const struct keyset_term *term = &k->term[i];
		if (term->desc != k->term[0].desc || json_is_null(json_array_get(values, (size_t)i)) ||
			(!term->nulls_first && !term->never_null))
			return false;
	}
	return !k->counted;
}

static void add_one_range(const struct keyset *k, const json_t *values, struct buf *sql, json_t *params)
{
	for (int i = 0; i < k->n; i++) {
		buf_add_char(sql, i == 0 ? '(' : ',');
		add_operand(k, &k->term[i], sql);
	}
	buf_add_str(sql, k->term[0].desc ? ") < " : ") > ");
	for (int i = 0; i < k->n; i++) {
		buf_add_char(sql, i == 0 ? '(' : ',');
		add_value(json_array_get(values, (size_t)i), sql, params);
	}
	buf_add_char(sql, ')');
}

/* behind(a) OR (same(a) AND (behind(b) OR (same(b) AND …))), with
 * behind-or-same(a) in front, which an index can use. */
static void add_steps(const struct keyset *k, const json_t *values, struct buf *sql, json_t *params)
{
	add_behind(k, &k->term[0], json_array_get(values, 0), true, sql, params);
	buf_add_str(sql, " AND ");
	for (int i = 0; i < k->n; i++) {
		const json_t *v = json_array_get(values, (size_t)i);
		buf_add_char(sql, '(');
		add_behind(k, &k->term[i], v, k->counted && i == k->n - 1, sql, params);
		if (i < k->n - 1) {
			buf_add_str(sql, " OR (");
			add_same(k, &k->term[i], v, sql, params);
			buf_add_str(sql, " AND ");
		}
	}
	for (int i = 0; i < 2 * k->n - 1; i++)
		buf_add_char(sql, ')');
}

/* ---- the cursor ---- */

/* Of table and order; a cursor of another makes no sense here. */
static void digest(const struct keyset *k, char out[17])
{
	struct buf text = BUF_INIT(1 << 20);
	schema_quote(&text, k->table->name);
	keyset_order(k, &text);
	snprintf(out, 17, "%016" PRIx64, (uint64_t)XXH3_64bits(text.data, text.len));
	buf_release(&text);
}

/* Text that is not UTF-8 cannot be a JSON string; as a blob it would sort elsewhere. */
static void add_raw_text(struct buf *b, const void *data, size_t len)
{
	size_t room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	buf_add_str(b, "{\"text\":\"");
	char *to = buf_reserve(b, room);
	if (to) {
		sodium_bin2base64(to, room, data, len, sodium_base64_VARIANT_ORIGINAL);
		b->len += room - 1;
	}
	buf_add_str(b, "\"}");
}

static void add_cursor_value(const struct keyset *k, sqlite3_stmt *stmt, int at, struct buf *json)
{
	int type = sqlite3_column_type(stmt, at);
	const char *text = type == SQLITE_TEXT ? (const char *)sqlite3_column_text(stmt, at) : NULL;
	size_t len = text ? (size_t)sqlite3_column_bytes(stmt, at) : 0;
	double real = type == SQLITE_FLOAT ? sqlite3_column_double(stmt, at) : 0.5;
	if (text && !jsonw_utf8_ok(text, len))
		add_raw_text(json, text, len);
	else if (k->counted && real >= -EXACT && real <= EXACT && real == (double)(int64_t)real)
		jsonw_int(json, (int64_t)real); /* 1 and 1.0, 0 and -0.0 stand side by side: they count as equal */
	else
		value_add_column(json, stmt, at, false);
}

bool keyset_cursor(const struct keyset *k, const char *database_id, sqlite3_stmt *stmt, const int *at, int64_t skip,
	struct buf *out)
{
	struct buf json = BUF_INIT(KEYSET_CURSOR_MAX / 4 * 3);
	char order[17];
	digest(k, order);
	buf_addf(&json, "{\"d\":\"%s\",\"o\":\"%s\",\"s\":%" PRId64 ",\"k\":[", database_id, order, skip);
	for (int i = 0; i < k->n; i++) {
		if (i > 0)
			buf_add_char(&json, ',');
		add_cursor_value(k, stmt, at[i], &json);
	}
	buf_add_str(&json, "]}");
	size_t room = sodium_base64_encoded_len(json.len, BASE64);
	char *to = json.failed ? NULL : buf_reserve(out, room);
	if (to) {
		sodium_bin2base64(to, room, (unsigned char *)json.data, json.len, BASE64);
		out->len += room - 1;
	}
	buf_release(&json);
	return to != NULL;
}

static enum err_code bad_cursor(struct err *e)
{
	return err_set(e, ERR_BAD_CURSOR, "the cursor is not one of this table and order; begin with the first page again");
}

static json_t *decode(const char *cursor)
{
	size_t len = strlen(cursor), got;
	char *text = len <= KEYSET_CURSOR_MAX ? malloc(len + 1) : NULL;
	json_t *v = NULL;
	if (text && sodium_base642bin((unsigned char *)text, len, cursor, len, NULL, &got, NULL, BASE64) == 0)
		v = json_loadb(text, got, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	free(text);
	return v;
}

static bool is_value(const json_t *v)
{
	if (!json_is_object(v))
		return v && !json_is_array(v);
	return json_object_size(v) == 1 && (json_is_string(json_object_get(v, "blob")) ||
		json_is_string(json_object_get(v, "real")) || json_is_string(json_object_get(v, "text")));
}

static bool fits(const struct keyset *k, const char *database_id, const json_t *cursor)
{
	char order[17];
	digest(k, order);
	const char *d = json_string_value(json_object_get(cursor, "d"));
	const char *o = json_string_value(json_object_get(cursor, "o"));
	const json_t *values = json_object_get(cursor, "k"), *skip = json_object_get(cursor, "s");
	if (!d || !o || strcmp(d, database_id) != 0 || strcmp(o, order) != 0 || !json_is_array(values) ||
		json_array_size(values) != (size_t)k->n || !json_is_integer(skip) || json_integer_value(skip) < 0 ||
		json_integer_value(skip) > SKIP_MAX)
		return false;
	for (int i = 0; i < k->n; i++)
		if (!is_value(json_array_get(values, (size_t)i)))
			return false;
	return k->counted || json_integer_value(skip) == 0;
}

enum err_code keyset_after(const struct keyset *k, const char *database_id, const char *cursor, struct buf *where,
	json_t *params, int64_t *skip, struct err *e)
{
	*skip = 0;
	if (!k->pages)
		return err_set(e, ERR_BAD_CURSOR, "%.100s has no key and so no further pages unless an order is given",
			k->table->name);
	json_t *c = decode(cursor);
	if (!c || !fits(k, database_id, c)) {
		json_decref(c);
		return bad_cursor(e);
	}
	const json_t *values = json_object_get(c, "k");
	*skip = json_integer_value(json_object_get(c, "s"));
	buf_add_str(where, where->len > 0 ? " AND (" : "(");
	if (is_one_range(k, values))
		add_one_range(k, values, where, params);
	else
		add_steps(k, values, where, params);
	buf_add_char(where, ')');
	json_decref(c);
	return ERR_OK;
}
