/* Conditions of filters and groups of them, as SQL with bound values. */
#include "lib/api/filter_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- one condition ---- */

struct condition {
	struct filter *f;
	const char *parameter;    /* its name, for errors */
	int column;
	struct err *e;
};

static enum err_code bad(struct condition *c, const char *why)
{
	return err_set(c->e, ERR_BAD_FILTER, "%.*s: %s", FILTER_NAME_SHOWN, c->parameter, why);
}

static void bind_value(struct condition *c, json_t *v)
{
	buf_add_char(&c->f->where, '?');
	if (!v || json_array_append_new(c->f->params, v) != 0)
		err_set(c->e, ERR_NOMEM, "no memory for a filter's value");
	else if (json_array_size(c->f->params) > FILTER_VALUES_MAX)
		err_set(c->e, ERR_BAD_FILTER, "%.*s: there are more than %d values", FILTER_NAME_SHOWN, c->parameter,
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
	if (filter_affinity(c->f->table, c->column) == SCHEMA_NONE && json_is_number(v)) {
		buf_add_char(&c->f->where, ',');
		bind_value(c, json_string(text));
	}
}

static enum err_code compare(struct condition *c, const char *op, const char *text)
{
	json_t *v = filter_value(c->f->table, c->column, text);
	bool equality = strcmp(op, "=") == 0 || strcmp(op, "<>") == 0;
	add_column(c);
	if (equality && json_is_number(v) && filter_affinity(c->f->table, c->column) == SCHEMA_NONE) {
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
		if (!filter_unquote(at, scratch, false))
			return NULL;
		return filter_affinity(c->f->table, c->column) == SCHEMA_NONE ? json_string(scratch) :
			filter_plain_value(c->f->table, c->column, scratch);
	}
	size_t len = strcspn(*at, ",)\"(");
	memcpy(scratch, *at, len);
	scratch[len] = '\0';
	*at += len;
	return filter_plain_value(c->f->table, c->column, scratch);
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

/* Adds "(…)" for [not.]OP.VALUE. */
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
	buf_add_char(where, '(');
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

/* ---- groups ---- */

/* A parameter that is being read. name and text: room for any piece of it. */
struct group {
	struct filter *f;
	const char *parameter;
	char *name, *text;
	struct err *e;
};

static enum err_code malformed(struct group *g)
{
	return err_set(g->e, ERR_BAD_FILTER, "%.*s: a group is a list in parentheses of COLUMN.OP.VALUE, and(…) and or(…), each "
		"perhaps behind not.; a value with , or ) stands in double quotes", FILTER_NAME_SHOWN, g->parameter);
}

/* The length of a list in parentheses, in which quotes may hide parentheses; 0 when it does not close. */
static size_t list_length(const char *s)
{
	bool quoted = false;
	for (size_t i = 1; *s == '(' && s[i]; i++) {
		if (quoted && s[i] == '\\' && s[i + 1])
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (!quoted && s[i] == ')')
			return i + 1;
	}
	return 0;
}

/* Copies [not.]OP.VALUE from *at, which then stands behind it, with the quotes
 * of the value undone; but where they say that a number is meant as text. */
static bool take_condition(struct group *g, int column, const char **at)
{
	const char *value = *at;
	if (strncmp(value, "not.", 4) == 0)
		value += 4;
	size_t op = strcspn(value, ".,()\"");
	if (value[op] != '.')
		return false;
	bool list = strncmp(value, "in.(", 4) == 0;
	value += op + 1;
	size_t head = (size_t)(value - *at), len = strcspn(value, ",()");
	const char *end = value + len;
	memcpy(g->text, *at, head);
	if (list) {
		len = list_length(value);
		end = value + len;
	} else if (*value == '"') {
		end = value;
		if (!filter_unquote(&end, g->text + head, false))
			return false;
		len = filter_affinity(g->f->table, column) == SCHEMA_NONE ? (size_t)(end - value) : 0;
	} else {
		g->text[head] = '\0';
	}
	if (len > 0) {
		memcpy(g->text + head, value, len);
		g->text[head + len] = '\0';
	}
	*at = end;
	return !list || len > 0;
}

static enum err_code add_group(struct group *g, const char **at, bool any, int depth);

static enum err_code add_member(struct group *g, const char **at, int depth)
{
	const char *word = strncmp(*at, "not.", 4) == 0 ? *at + 4 : *at;
	bool any = strncmp(word, "or(", 3) == 0;
	if (any || strncmp(word, "and(", 4) == 0) {
		if (word != *at)
			buf_add_str(&g->f->where, "NOT ");
		*at = word + (any ? 2 : 3);
		return add_group(g, at, any, depth + 1);
	}
	bool quoted;
	if (!filter_next_name(at, ".,()", g->name, &quoted) || **at != '.')
		return malformed(g);
	struct condition c = {g->f, g->parameter, schema_column(g->f->table, g->name), g->e};
	if (c.column < SCHEMA_THE_ROWID)
		return filter_no_column(g->f, g->parameter, g->name, g->e);
	++*at;
	return take_condition(g, c.column, at) ? condition(&c, g->text) : malformed(g);
}

/* Adds the list in parentheses at *at, which then stands behind it. */
static enum err_code add_group(struct group *g, const char **at, bool any, int depth)
{
	if (depth > FILTER_DEPTH_MAX)
		return err_set(g->e, ERR_BAD_FILTER, "%.*s: groups may be nested %d deep", FILTER_NAME_SHOWN, g->parameter,
			FILTER_DEPTH_MAX);
	if (**at != '(')
		return malformed(g);
	buf_add_char(&g->f->where, '(');
	do {
		if (**at == ',')
			buf_add_str(&g->f->where, any ? " OR " : " AND ");
		++*at;
		if (add_member(g, at, depth) != ERR_OK)
			return g->e->code;
	} while (**at == ',');
	if (**at != ')')
		return malformed(g);
	++*at;
	buf_add_char(&g->f->where, ')');
	return ERR_OK;
}

/* ---- parameters ---- */

static void join(struct filter *f)
{
	if (f->where.len > 0)
		buf_add_str(&f->where, " AND ");
}

enum err_code filter_add_condition(struct filter *f, const char *parameter, int column, const char *text, struct err *e)
{
	struct condition c = {f, parameter, column, e};
	join(f);
	return condition(&c, text);
}

bool filter_is_group(const char *parameter)
{
	const char *word = strncmp(parameter, "not.", 4) == 0 ? parameter + 4 : parameter;
	return strcmp(word, "or") == 0 || strcmp(word, "and") == 0;
}

enum err_code filter_add_group(struct filter *f, const char *parameter, const char *text, struct err *e)
{
	size_t room = strlen(text) + 1;
	char *pieces = malloc(2 * room);
	struct group g = {f, parameter, pieces, pieces + room, e};
	bool negated = strncmp(parameter, "not.", 4) == 0;
	if (!pieces)
		return err_set(e, ERR_NOMEM, "no memory for a filter");
	join(f);
	if (negated)
		buf_add_str(&f->where, "NOT ");
	if (add_group(&g, &text, strcmp(parameter + (negated ? 4 : 0), "or") == 0, 1) == ERR_OK && *text)
		malformed(&g);
	free(pieces);
	return e->code;
}
