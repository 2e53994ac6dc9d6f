/* What the query string of …/rows says: which rows, which columns, in which
 * order, how many (after PostgREST).
 *
 *   COLUMN=[not.]OP.VALUE   several are joined by AND
 *       eq neq gt gte lt lte    VALUE is compared as the column would store it:
 *           a TEXT column takes it literally; a numeric one as a number where
 *           it is one (true and false in a BOOLEAN column as 1 and 0); a column
 *           without affinity as it looks: 42 is the number (eq, neq and in
 *           mean the text too), "42" the text, \x00ff a blob
 *       like ilike              VALUE is a pattern, * or % for any text, _ for
 *           one character, \ before one of these takes it literally. like minds
 *           case; ilike does not for a-z
 *       in                      (VALUE,VALUE,…); a VALUE with , " ( ) or outer
 *           blanks stands in double quotes, with \ before " and \ within
 *       is                      null, not_null, true, false
 *   [not.]or=(MEMBER,…)  [not.]and=(MEMBER,…)
 *       MEMBER is COLUMN.[not.]OP.VALUE, or [not.]or(MEMBER,…) or
 *       [not.]and(MEMBER,…) in turn. In a member a VALUE with , ( or ) stands in
 *       double quotes, with \ before " and \ within; for a column without
 *       affinity they say besides, as everywhere, that it is a text
 *   select=COLUMN,…         * means all
 *   order=COLUMN[.asc|.desc][.nullsfirst|.nullslast],…
 *   limit=N  after=CURSOR   pages, see keyset.h
 *
 * A COLUMN with , . ( ) or " in its name, or whose name is one of the words above,
 * stands in double quotes, doubled within. Names are checked against the
 * schema and quoted in the SQL; values are always bound. */
#ifndef DDB_API_FILTER_H
#define DDB_API_FILTER_H

#include "lib/api/schema.h"
#include "lib/http/url.h"

#include <jansson.h>

#define FILTER_ORDER_MAX 16        /* columns in order= */
#define FILTER_VALUES_MAX 10000    /* bound values of one request */
#define FILTER_SQL_MAX (1 << 20)   /* bytes of the condition's SQL */
#define FILTER_DEPTH_MAX 16        /* groups within groups */
#define FILTER_LIMIT 100           /* rows of a page when limit= is not given */
#define FILTER_LIMIT_MAX 10000

struct filter_order {
	int column;                    /* as schema_column() gives it */
	bool desc, nulls_first;
};

struct filter {
	const struct schema_table *table;
	struct buf where;              /* "(…) AND (…)"; empty: all rows */
	json_t *params;                /* values of the ? in where */
	int *select;                   /* columns asked for; NULL: not given */
	int select_n;
	struct filter_order order[FILTER_ORDER_MAX];
	int order_n;
	int64_t limit;
	const char *after;             /* the cursor, borrowed from the query; NULL: none */
	bool all;                      /* all=true: a change of all rows is meant */
};

enum filter_use {
	FILTER_PAGE,                   /* GET: select, order, limit, after */
	FILTER_CHANGE                  /* PATCH, DELETE: all */
};

/* Parses q for table t. ERR_BAD_FILTER says which parameter and why.
 * filter_release() in any case. */
enum err_code filter_parse(struct filter *f, const struct schema_table *t, const struct url_query *q,
	enum filter_use use, struct err *e);
void filter_release(struct filter *f);

/* A value given as text, as it is meant for a column: a new reference, in the form
 * value_bind() takes. */
json_t *filter_value(const struct schema_table *t, int column, const char *text);

#endif
