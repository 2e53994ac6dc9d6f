#include "lib/api/filter_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

enum err_code filter_no_column(const struct filter *f, const char *where, const char *name, struct err *e)
{
	return err_set(e, ERR_BAD_FILTER, "%.*s: table %.*s has no column '%.*s'", FILTER_NAME_SHOWN, where, FILTER_NAME_SHOWN,
		f->table->name, FILTER_NAME_SHOWN, name);
}

bool filter_next_name(const char **at, const char *ends, char *scratch, bool *quoted)
{
	*quoted = **at == '"';
	if (*quoted)
		return filter_unquote(at, scratch, true);
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
		if (!filter_next_name(&at, ",", scratch, &quoted) || (*at && *at != ','))
			return err_set(e, ERR_BAD_FILTER, "select is a list of columns: a,b,\"c,d\"");
		int column = schema_column(f->table, scratch);
		if (!quoted && strcmp(scratch, "*") == 0) {
			for (int i = 0; i < f->table->column_n && e->code == ERR_OK; i++)
				if (!f->table->column[i].hidden)
					select_add(f, i, e);
		} else if (column < SCHEMA_THE_ROWID) {
			filter_no_column(f, "select", scratch, e);
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
	if (!filter_next_name(at, ",", scratch, &quoted))
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
		return filter_no_column(f, "order", scratch, e);
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
	if (filter_is_group(p->name))
		return filter_add_group(f, p->name, p->value, e);
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
		if (!filter_unquote(&at, scratch, true) || *at)
			return err_set(e, ERR_BAD_FILTER, "%.*s: the quotes do not close", FILTER_NAME_SHOWN, name);
		name = scratch;
	}
	int column = schema_column(f->table, name);
	if (column < SCHEMA_THE_ROWID)
		return filter_no_column(f, p->name, name, e);
	return filter_add_condition(f, p->name, column, p->value, e);
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
