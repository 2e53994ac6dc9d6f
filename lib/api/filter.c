#include "lib/api/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SHOWN 100

/* ---- values ---- */

/* A JSON number's grammar, which is narrower than SQLite's: 007 stays a text. */
static bool looks_like_number(const char *s, bool *whole)
{
	*whole = true;
	s += *s == '-';
	if (*s < '0' || *s > '9')
		return false;
	if (*s == '0')
		s++;
	else
		s += strspn(s, "0123456789");
	if (*s == '.') {
		*whole = false;
		size_t digits = strspn(s + 1, "0123456789");
		if (digits == 0)
			return false;
		s += 1 + digits;
	}
	if (*s == 'e' || *s == 'E') {
		*whole = false;
		s += 1 + (s[1] == '+' || s[1] == '-');
		size_t digits = strspn(s, "0123456789");
		if (digits == 0)
			return false;
		s += digits;
	}
	return *s == '\0';
}

static json_t *real_value(double v)
{
	if (v > 1.7976931348623157e308 || v < -1.7976931348623157e308)
		return json_pack("{s:s}", "real", v > 0 ? "Infinity" : "-Infinity");
	return json_real(v);
}

/* NULL when text is no number. */
static json_t *number_value(const char *text)
{
	bool whole;
	if (!looks_like_number(text, &whole))
		return NULL;
	errno = 0;
	long long v = strtoll(text, NULL, 10);
	if (whole && errno == 0)
		return json_integer(v);
	return real_value(strtod(text, NULL));
}

/* \x and hex digits; NULL when text is not that. */
static json_t *blob_value(const char *text)
{
	size_t digits = strlen(text) - 2, len;
	if (strncmp(text, "\\x", 2) != 0 || digits % 2 != 0 || strspn(text + 2, "0123456789abcdefABCDEF") != digits)
		return NULL;
	size_t room = sodium_base64_encoded_len(digits / 2, sodium_base64_VARIANT_ORIGINAL);
	unsigned char *data = malloc(digits / 2 + 1);
	char *base64 = malloc(room);
	json_t *v = NULL;
	if (data && base64 && sodium_hex2bin(data, digits / 2 + 1, text + 2, digits, NULL, &len, NULL) == 0) {
		sodium_bin2base64(base64, room, data, len, sodium_base64_VARIANT_ORIGINAL);
		v = json_pack("{s:s}", "blob", base64);
	}
	free(data);
	free(base64);
	return v;
}

static enum schema_affinity affinity(const struct schema_table *t, int column)
{
	return column == SCHEMA_THE_ROWID ? SCHEMA_NUMERIC : t->column[column].affinity;
}

/* A value without quotes. */
static json_t *plain_value(const struct schema_table *t, int column, const char *text)
{
	enum schema_affinity a = affinity(t, column);
	json_t *v = NULL;
	if (a != SCHEMA_TEXTUAL)
		v = number_value(text);
	if (!v && a == SCHEMA_NONE && strlen(text) >= 2)
		v = blob_value(text);
	if (!v && column >= 0 && t->column[column].boolean && (!strcmp(text, "true") || !strcmp(text, "false")))
		v = json_integer(*text == 't');
	return v ? v : json_string(text);
}

/* The text within double quotes that begin at *at, with its escapes undone, in
 * `to` (room for the rest of the text); *at then stands behind the closing
 * quote. False when it does not close. doubled: "" for a quote, else \". */
static bool unquote(const char **at, char *to, bool doubled)
{
	const char *s = *at + 1;
	while (*s) {
		if (*s == '"' && !(doubled && s[1] == '"')) {
			*to = '\0';
			*at = s + 1;
			return true;
		}
		if ((doubled && *s == '"') || (!doubled && *s == '\\' && s[1]))
			s++;
		*to++ = *s++;
	}
	return false;
}

json_t *filter_value(const struct schema_table *t, int column, const char *text)
{
	const char *end = text;
	if (affinity(t, column) != SCHEMA_NONE || *text != '"')
		return plain_value(t, column, text);
	char *inner = malloc(strlen(text) + 1);
	json_t *v = NULL;
	if (inner && unquote(&end, inner, false) && *end == '\0')
		v = json_string(inner);
	free(inner);
	return v ? v : json_string(text);
}

/* ---- conditions ---- */

struct condition {
	struct filter *f;
	const char *parameter;    /* its name, for errors */
	int column;
	struct err *e;
};

static enum err_code bad(struct condition *c, const char *why)
{
	return err_set(c->e, ERR_BAD_FILTER, "%.*s: %s", NAME_SHOWN, c->parameter, why);
}

static void bind_value(struct condition *c, json_t *v)
{
	buf_add_char(&c->f->where, '?');
	if (!v || json_array_append_new(c->f->params, v) != 0)
		err_set(c->e, ERR_NOMEM, "no memory for a filter's value");
	else if (json_array_size(c->f->params) > FILTER_VALUES_MAX)
		err_set(c->e, ERR_BAD_FILTER, "%.*s: there are more than %d values", NAME_SHOWN, c->parameter,
			FILTER_VALUES_MAX);
}

static void add_column(struct condition *c)
{
	schema_add_column(&c->f->where, c->f->table, c->column);
}

/* Binds v, and where it is a number in a column without affinity, its text too. */
static void bind_look_alikes(struct condition *c, json_t *v, const char *text)
{
	bind_value(c, v);
	if (affinity(c->f->table, c->column) == SCHEMA_NONE && json_is_number(v)) {
		buf_add_char(&c->f->where, ',');
		bind_value(c, json_string(text));
	}
}

static enum err_code compare(struct condition *c, const char *op, const char *text)
{
	json_t *v = filter_value(c->f->table, c->column, text);
	bool equality = strcmp(op, "=") == 0 || strcmp(op, "<>") == 0;
	add_column(c);
	if (equality && json_is_number(v) && affinity(c->f->table, c->column) == SCHEMA_NONE) {
		buf_add_str(&c->f->where, *op == '=' ? " IN (" : " NOT IN (");
		bind_look_alikes(c, v, text);
		buf_add_char(&c->f->where, ')');
	} else {
		buf_addf(&c->f->where, " %s ", op);
		bind_value(c, v);
	}
	return c->e->code;
}

/* SQLite's LIKE never minds case, its GLOB does; both get their own spelling
 * of the same pattern. */
static enum err_code match(struct condition *c, bool mind_case, const char *pattern)
{
	struct buf out = BUF_INIT(4 * strlen(pattern) + 1);
	for (const char *s = pattern; *s; s++) {
		if (*s == '*' || *s == '%') {
			buf_add_char(&out, mind_case ? '*' : '%');
		} else if (*s == '_') {
			buf_add_char(&out, mind_case ? '?' : '_');
		} else {
			if (*s == '\\' && s[1] && strchr("*%_\\", s[1]))
				s++;
			if (mind_case && strchr("*?[", *s))
				buf_addf(&out, "[%c]", *s);
			else if (!mind_case && strchr("%_\\", *s))
				buf_addf(&out, "\\%c", *s);
			else
				buf_add_char(&out, *s);
		}
	}
	add_column(c);
	buf_add_str(&c->f->where, mind_case ? " GLOB " : " LIKE ");
	bind_value(c, json_string(out.data ? out.data : ""));
	if (!mind_case)
		buf_add_str(&c->f->where, " ESCAPE '\\'");
	buf_release(&out);
	return c->e->code;
}

static enum err_code match_case(struct condition *c, const char *op, const char *pattern)
{
	(void)op;
	return match(c, true, pattern);
}

static enum err_code match_any_case(struct condition *c, const char *op, const char *pattern)
{
	(void)op;
	return match(c, false, pattern);
}

/* One value of a list, at *at; moves behind it. */
static json_t *list_value(struct condition *c, const char **at, char *scratch)
{
	if (**at == '"') {
		if (!unquote(at, scratch, false))
			return NULL;
		return affinity(c->f->table, c->column) == SCHEMA_NONE ? json_string(scratch) :
			plain_value(c->f->table, c->column, scratch);
	}
	size_t len = strcspn(*at, ",)\"(");
	memcpy(scratch, *at, len);
	scratch[len] = '\0';
	*at += len;
	return plain_value(c->f->table, c->column, scratch);
}

static enum err_code in_list(struct condition *c, const char *op, const char *text)
{
	(void)op;
	char *scratch = malloc(strlen(text) + 1);
	if (!scratch)
		return err_set(c->e, ERR_NOMEM, "no memory for a filter's list");
	const char *at = text;
	add_column(c);
	buf_add_str(&c->f->where, " IN (");
	bool ok = *at == '(', empty = ok && at[1] == ')' && at[2] == '\0';
	if (empty)
		at++;
	for (bool more = ok && !empty; more && ok && c->e->code == ERR_OK;) {
		if (*at == ',')
			buf_add_char(&c->f->where, ',');
		at++;
		json_t *v = list_value(c, &at, scratch);
		ok = v && (*at == ',' || *at == ')');
		more = ok && *at == ',';
		if (v)
			bind_look_alikes(c, v, scratch);
	}
	ok = ok && strcmp(at, ")") == 0;
	buf_add_char(&c->f->where, ')');
	free(scratch);
	return ok ? c->e->code : bad(c, "in takes a list in parentheses: in.(1,2,\"x,y\")");
}

static enum err_code is_what(struct condition *c, const char *op, const char *text)
{
	static const struct {
		const char *word, *sql;
	} words[] = {
		{"null", " IS NULL"}, {"not_null", " IS NOT NULL"}, {"true", " IS TRUE"}, {"false", " IS FALSE"},
	};
	(void)op;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i].word, text) == 0) {
			add_column(c);
			buf_add_str(&c->f->where, words[i].sql);
			return ERR_OK;
		}
	return bad(c, "is takes null, not_null, true or false");
}

static enum err_code condition(struct condition *c, const char *text)
{
	static const struct {
		const char *word;
		enum err_code (*make)(struct condition *c, const char *op, const char *text);
		const char *op;
	} words[] = {
		{"eq.", compare, "="}, {"neq.", compare, "<>"}, {"gt.", compare, ">"}, {"gte.", compare, ">="},
		{"lt.", compare, "<"}, {"lte.", compare, "<="}, {"like.", match_case, NULL}, {"ilike.", match_any_case, NULL},
		{"in.", in_list, NULL}, {"is.", is_what, NULL},
	};
	struct buf *where = &c->f->where;
	buf_add_str(where, where->len > 0 ? " AND (" : "(");
	if (strncmp(text, "not.", 4) == 0) {
		buf_add_str(where, "NOT ");
		text += 4;
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t len = strlen(words[i].word);
		if (strncmp(words[i].word, text, len) != 0)
			continue;
		words[i].make(c, words[i].op, text + len);
		buf_add_char(where, ')');
		return c->e->code;
	}
	return bad(c, "a condition is [not.]OP.VALUE with OP one of eq neq gt gte lt lte like ilike in is, e.g. gte.18");
}

/* ---- names ---- */

static enum err_code no_column(const struct filter *f, const char *where, const char *name, struct err *e)
{
	return err_set(e, ERR_BAD_FILTER, "%.*s: table %.*s has no column '%.*s'", NAME_SHOWN, where, NAME_SHOWN,
		f->table->name, NAME_SHOWN, name);
}

/* The next name of a list at *at, up to one of `ends` or the end, in scratch;
 * *quoted when it stood in quotes. False when its quotes do not close. */
static bool next_name(const char **at, const char *ends, char *scratch, bool *quoted)
{
	*quoted = **at == '"';
	if (*quoted)
		return unquote(at, scratch, true);
	size_t len = strcspn(*at, ends);
	memcpy(scratch, *at, len);
	scratch[len] = '\0';
	*at += len;
	return true;
}

static enum err_code select_add(struct filter *f, int column, struct err *e)
{
	if (f->select_n == 2 * f->table->column_n + 2)
		return err_set(e, ERR_BAD_FILTER, "select: there are too many columns");
	f->select[f->select_n++] = column;
	return ERR_OK;
}

static enum err_code parse_select(struct filter *f, const char *text, char *scratch, struct err *e)
{
	if (f->select)
		return err_set(e, ERR_BAD_FILTER, "select is given twice");
	f->select = calloc((size_t)f->table->column_n * 2 + 2, sizeof *f->select);
	if (!f->select)
		return err_set(e, ERR_NOMEM, "no memory for the columns");
	for (const char *at = text; e->code == ERR_OK; at++) {
		bool quoted;
		if (!next_name(&at, ",", scratch, &quoted) || (*at && *at != ','))
			return err_set(e, ERR_BAD_FILTER, "select is a list of columns: a,b,\"c,d\"");
		int column = schema_column(f->table, scratch);
		if (!quoted && strcmp(scratch, "*") == 0) {
			for (int i = 0; i < f->table->column_n && e->code == ERR_OK; i++)
				if (!f->table->column[i].hidden)
					select_add(f, i, e);
		} else if (column < SCHEMA_THE_ROWID) {
			no_column(f, "select", scratch, e);
		} else {
			select_add(f, column, e);
		}
		if (*at == '\0')
			break;
	}
	return e->code;
}

/* Takes the word off the end of name when it stands there behind a dot. */
static bool take_word(char *name, const char *word)
{
	size_t len = strlen(name), n = strlen(word);
	if (len < n || strcmp(name + len - n, word) != 0)
		return false;
	name[len - n] = '\0';
	return true;
}

/* Words of direction at the end of text, which is then cut. */
static void take_direction(char *text, struct filter_order *o)
{
	bool first = take_word(text, ".nullsfirst"), last = !first && take_word(text, ".nullslast");
	o->desc = take_word(text, ".desc");
	if (!o->desc)
		take_word(text, ".asc");
	o->nulls_first = first || (!last && !o->desc);
}

static enum err_code order_one(struct filter *f, const char **at, char *scratch, struct err *e)
{
	struct filter_order o = {.nulls_first = true};
	bool quoted;
	if (f->order_n == FILTER_ORDER_MAX)
		return err_set(e, ERR_BAD_FILTER, "order: at most %d columns", FILTER_ORDER_MAX);
	if (!next_name(at, ",", scratch, &quoted))
		return err_set(e, ERR_BAD_FILTER, "order: a quote does not close");
	o.column = schema_column(f->table, scratch);
	if (quoted && **at == '.') {
		char words[32] = "";
		size_t len = strcspn(*at, ",");
		if (len < sizeof words)
			memcpy(words, *at, len);
		take_direction(words, &o);
		if (words[0] || len >= sizeof words)
			return err_set(e, ERR_BAD_FILTER, "order: behind a column stand .asc or .desc, .nullsfirst or .nullslast");
		*at += len;
	} else if (!quoted && o.column < SCHEMA_THE_ROWID) {
		take_direction(scratch, &o);
		o.column = schema_column(f->table, scratch);
	}
	if (o.column < SCHEMA_THE_ROWID)
		return no_column(f, "order", scratch, e);
	if (**at && **at != ',')
		return err_set(e, ERR_BAD_FILTER, "order is a list: a.desc,b,\"c,d\".asc.nullslast");
	f->order[f->order_n++] = o;
	return ERR_OK;
}

static enum err_code parse_order(struct filter *f, const char *text, char *scratch, struct err *e)
{
	if (f->order_n > 0)
		return err_set(e, ERR_BAD_FILTER, "order is given twice");
	const char *at = text;
	while (order_one(f, &at, scratch, e) == ERR_OK && *at == ',')
		at++;
	return e->code;
}

/* ---- the whole ---- */

static enum err_code parse_limit(struct filter *f, const char *text, struct err *e)
{
	size_t len = strspn(text, "0123456789");
	if (len == 0 || len > 6 || text[len] || atol(text) > FILTER_LIMIT_MAX)
		return err_set(e, ERR_BAD_FILTER, "limit must be a whole number from 0 to %d, not '%.40s'", FILTER_LIMIT_MAX,
			text);
	f->limit = strtol(text, NULL, 10);
	return ERR_OK;
}

/* A parameter that is a word of the language; *taken false when it is a column. */
static enum err_code parse_word(struct filter *f, const struct url_param *p, enum filter_use use, char *scratch,
	bool *taken, struct err *e)
{
	static const char *const page[] = {"select", "order", "limit", "after"};
	*taken = true;
	if (strcmp(p->name, "big") == 0 || (use == FILTER_PAGE && strcmp(p->name, "consistency") == 0))
		return ERR_OK;
	if (use == FILTER_CHANGE && strcmp(p->name, "all") == 0) {
		f->all = strcmp(p->value, "true") == 0;
		return f->all ? ERR_OK : err_set(e, ERR_BAD_FILTER, "all can only be true");
	}
	int word = 0;
	while (word < 4 && strcmp(page[word], p->name) != 0)
		word++;
	if (word == 4) {
		*taken = false;
		return ERR_OK;
	}
	if (use == FILTER_CHANGE)
		return err_set(e, ERR_BAD_FILTER, "%s has no meaning in a change; a column of that name stands in quotes",
			p->name);
	if (word == 0)
		return parse_select(f, p->value, scratch, e);
	if (word == 1)
		return parse_order(f, p->value, scratch, e);
	if (word == 2)
		return parse_limit(f, p->value, e);
	f->after = p->value;
	return ERR_OK;
}

static enum err_code parse_one(struct filter *f, const struct url_param *p, enum filter_use use, char *scratch,
	struct err *e)
{
	bool taken;
	const char *name = p->name, *at = p->name;
	if (parse_word(f, p, use, scratch, &taken, e) != ERR_OK || taken)
		return e->code;
	if (*name == '"') {
		if (!unquote(&at, scratch, true) || *at)
			return err_set(e, ERR_BAD_FILTER, "%.*s: the quotes do not close", NAME_SHOWN, name);
		name = scratch;
	}
	struct condition c = {f, p->name, schema_column(f->table, name), e};
	if (c.column < SCHEMA_THE_ROWID)
		return no_column(f, p->name, name, e);
	return condition(&c, p->value);
}

enum err_code filter_parse(struct filter *f, const struct schema_table *t, const struct url_query *q,
	enum filter_use use, struct err *e)
{
	size_t longest = 0;
	*f = (struct filter){.table = t, .limit = FILTER_LIMIT, .where = BUF_INIT(FILTER_SQL_MAX), .params = json_array()};
	for (size_t i = 0; i < q->n; i++) {
		size_t a = strlen(q->param[i].name), b = strlen(q->param[i].value);
		longest = a > longest ? a : longest;
		longest = b > longest ? b : longest;
	}
	char *scratch = malloc(longest + 1);
	if (!scratch || !f->params)
		err_set(e, ERR_NOMEM, "no memory for the filters");
	for (size_t i = 0; i < q->n && e->code == ERR_OK; i++)
		parse_one(f, &q->param[i], use, scratch, e);
	if (f->where.failed)
		err_set(e, ERR_BAD_FILTER, "the filters are too long");
	free(scratch);
	return e->code;
}

void filter_release(struct filter *f)
{
	buf_release(&f->where);
	json_decref(f->params);
	free(f->select);
	f->params = NULL;
	f->select = NULL;
}
