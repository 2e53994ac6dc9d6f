#include "lib/sql/value.h"
#include "lib/base/jsonw.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Beyond this a JavaScript number is not exact. */
#define EXACT_IN_A_DOUBLE 9007199254740992LL

/* How much of a name from a request stands in an error's text. */
#define NAME_SHOWN 64

static void add_integer(struct buf *b, int64_t v, bool big_as_string)
{
	bool quote = big_as_string && (v > EXACT_IN_A_DOUBLE || v < -EXACT_IN_A_DOUBLE);
	if (quote)
		buf_add_char(b, '"');
	jsonw_int(b, v);
	if (quote)
		buf_add_char(b, '"');
}

void value_add_column(struct buf *b, sqlite3_stmt *stmt, int i, bool big_as_string)
{
	int type = sqlite3_column_type(stmt, i);
	if (type == SQLITE_NULL) {
		buf_add(b, "null", 4);
	} else if (type == SQLITE_INTEGER) {
		add_integer(b, sqlite3_column_int64(stmt, i), big_as_string);
	} else if (type == SQLITE_FLOAT) {
		jsonw_real(b, sqlite3_column_double(stmt, i));
	} else {
		/* The text or blob as it is stored: the files are UTF-8, so that nothing is converted. */
		const void *data = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(stmt, i) :
			sqlite3_column_blob(stmt, i);
		size_t len = (size_t)sqlite3_column_bytes(stmt, i);
		if (!data && len > 0)
			b->failed = true;
		else if (type == SQLITE_TEXT && jsonw_utf8_ok(data ? data : "", len))
			jsonw_string(b, data ? data : "", len);
		else
			jsonw_blob(b, data ? data : "", len);
	}
}

void value_add_row(struct buf *b, sqlite3_stmt *stmt, bool big_as_string)
{
	int n = sqlite3_column_count(stmt);
	buf_add_char(b, '[');
	for (int i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(b, ',');
		value_add_column(b, stmt, i, big_as_string);
	}
	buf_add_char(b, ']');
}

void value_add_clean(struct buf *b, const char *text, size_t len)
{
	if (jsonw_utf8_ok(text, len)) {
		buf_add(b, text, len);
		return;
	}
	for (size_t i = 0; i < len;) {
		size_t n = 1;
		while (n < 4 && i + n < len && !jsonw_utf8_ok(text + i, n))
			n++;
		bool good = jsonw_utf8_ok(text + i, n);
		buf_add(b, good ? text + i : "\xef\xbf\xbd", good ? n : 3);
		i += good ? n : 1;
	}
}

void value_add_name(struct buf *b, const char *name)
{
	if (!name || jsonw_utf8_ok(name, strlen(name))) {
		jsonw_str(b, name);
		return;
	}
	struct buf clean = BUF_INIT(3 * strlen(name));
	value_add_clean(&clean, name, strlen(name));
	jsonw_string(b, clean.data ? clean.data : "", clean.len);
	b->failed |= clean.failed;
	buf_release(&clean);
}

static void add_texts(struct buf *b, sqlite3_stmt *stmt, const char *(*text)(sqlite3_stmt *, int))
{
	int n = sqlite3_column_count(stmt);
	buf_add_char(b, '[');
	for (int i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(b, ',');
		value_add_name(b, text(stmt, i));
	}
	buf_add_char(b, ']');
}

void value_add_names(struct buf *b, sqlite3_stmt *stmt)
{
	add_texts(b, stmt, sqlite3_column_name);
}

void value_add_types(struct buf *b, sqlite3_stmt *stmt)
{
	add_texts(b, stmt, sqlite3_column_decltype);
}

/* Says which parameter is meant: its name where it has one, else its number. */
static enum err_code complain(sqlite3_stmt *stmt, int i, struct err *e, enum err_code code, const char *what)
{
	const char *name = sqlite3_bind_parameter_name(stmt, i);
	if (name)
		return err_set(e, code, "parameter %.*s: %s", NAME_SHOWN, name, what);
	return err_set(e, code, "parameter %d: %s", i, what);
}

static enum err_code bound(sqlite3_stmt *stmt, int i, int rc, struct err *e)
{
	if (rc == SQLITE_OK)
		return ERR_OK;
	if (rc == SQLITE_TOOBIG)
		return complain(stmt, i, e, ERR_TOO_BIG, "the value is too big");
	if (rc == SQLITE_NOMEM)
		return complain(stmt, i, e, ERR_NOMEM, "no memory for the value");
	return complain(stmt, i, e, rc == SQLITE_RANGE ? ERR_BAD_VALUE : ERR_INTERNAL, sqlite3_errstr(rc));
}

static enum err_code bind_blob(sqlite3_stmt *stmt, int i, const json_t *text, struct err *e)
{
	if (!json_is_string(text))
		return complain(stmt, i, e, ERR_BAD_VALUE, "\"blob\" must be a base64 string");
	size_t room = json_string_length(text) / 4 * 3 + 1, len;
	unsigned char *data = malloc(room);
	if (!data)
		return complain(stmt, i, e, ERR_NOMEM, "no memory for the blob");
	if (sodium_base642bin(data, room, json_string_value(text), json_string_length(text), NULL, &len, NULL,
		    sodium_base64_VARIANT_ORIGINAL) != 0) {
		free(data);
		return complain(stmt, i, e, ERR_BAD_VALUE, "\"blob\" is not base64 (RFC 4648, with padding)");
	}
	return bound(stmt, i, sqlite3_bind_blob64(stmt, i, data, len, free), e);
}

static enum err_code bind_real(sqlite3_stmt *stmt, int i, const json_t *text, struct err *e)
{
	const char *name = json_string_value(text);
	if (name && strcmp(name, "Infinity") == 0)
		return bound(stmt, i, sqlite3_bind_double(stmt, i, INFINITY), e);
	if (name && strcmp(name, "-Infinity") == 0)
		return bound(stmt, i, sqlite3_bind_double(stmt, i, -INFINITY), e);
	if (name && strcmp(name, "NaN") == 0)
		return complain(stmt, i, e, ERR_BAD_VALUE, "SQLite cannot store NaN");
	return complain(stmt, i, e, ERR_BAD_VALUE, "\"real\" must be \"Infinity\" or \"-Infinity\"");
}

enum err_code value_bind(sqlite3_stmt *stmt, int i, const json_t *v, struct err *e)
{
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_NULL:
		return bound(stmt, i, sqlite3_bind_null(stmt, i), e);
	case JSON_TRUE:
	case JSON_FALSE:
		return bound(stmt, i, sqlite3_bind_int(stmt, i, json_is_true(v)), e);
	case JSON_INTEGER:
		return bound(stmt, i, sqlite3_bind_int64(stmt, i, json_integer_value(v)), e);
	case JSON_REAL:
		return bound(stmt, i, sqlite3_bind_double(stmt, i, json_real_value(v)), e);
	case JSON_STRING:
		return bound(stmt, i, sqlite3_bind_text64(stmt, i, json_string_value(v), json_string_length(v),
			SQLITE_STATIC, SQLITE_UTF8), e);
	case JSON_OBJECT:
		if (json_object_size(v) == 1) {
			const json_t *text;
			if ((text = json_object_get(v, "blob")))
				return bind_blob(stmt, i, text, e);
			if ((text = json_object_get(v, "real")))
				return bind_real(stmt, i, text, e);
		}
		return complain(stmt, i, e, ERR_BAD_VALUE,
			"an object is no value; blobs are {\"blob\": \"<base64>\"}, infinities {\"real\": \"Infinity\"}");
	default:
		return complain(stmt, i, e, ERR_BAD_VALUE, "an array is no value");
	}
}

static enum err_code bind_by_position(sqlite3_stmt *stmt, int n, const json_t *params, struct err *e)
{
	if (json_array_size(params) != (size_t)n)
		return err_set(e, ERR_BAD_VALUE, "the statement takes %d parameter%s, and %zu %s given", n,
			n == 1 ? "" : "s", json_array_size(params), json_array_size(params) == 1 ? "value was" : "values were");
	for (int i = 1; i <= n; i++)
		if (value_bind(stmt, i, json_array_get(params, (size_t)i - 1), e) != ERR_OK)
			return e->code;
	return ERR_OK;
}

/* Some name of params that seen lacks. */
static const char *unused_name(const json_t *params, const json_t *seen)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)params, key, value) {
		if (!json_object_get(seen, key))
			return key;
	}
	return "";
}

static enum err_code bind_by_name(sqlite3_stmt *stmt, int n, const json_t *params, struct err *e)
{
	/* :a and @a are two parameters and one name: names are counted, not parameters. */
	json_t *seen = json_object();
	for (int i = 1; i <= n && e->code == ERR_OK; i++) {
		const char *name = sqlite3_bind_parameter_name(stmt, i);
		json_t *v = name ? json_object_get(params, name + 1) : NULL;
		if (v) {
			value_bind(stmt, i, v, e);
			json_object_set_new(seen, name + 1, json_true());
		} else if (name) {
			err_set(e, ERR_BAD_VALUE, "no value was given for the parameter %.*s", NAME_SHOWN, name);
		} else {
			err_set(e, ERR_BAD_VALUE, "parameter %d of the statement has no name: give an array", i);
		}
	}
	if (e->code == ERR_OK && json_object_size(seen) < json_object_size(params))
		err_set(e, ERR_BAD_VALUE, "the statement has no parameter named '%.*s'", NAME_SHOWN,
			unused_name(params, seen));
	json_decref(seen);
	return e->code;
}

enum err_code value_bind_all(sqlite3_stmt *stmt, const json_t *params, struct err *e)
{
	int n = sqlite3_bind_parameter_count(stmt);
	if (!params || json_is_null(params)) {
		if (n == 0)
			return ERR_OK;
		return err_set(e, ERR_BAD_VALUE, "the statement takes %d parameter%s, and no values were given", n,
			n == 1 ? "" : "s");
	}
	if (json_is_array(params))
		return bind_by_position(stmt, n, params, e);
	if (json_is_object(params))
		return bind_by_name(stmt, n, params, e);
	return err_set(e, ERR_BAD_VALUE, "parameters are an array (by position) or an object (by name)");
}
