/* What the files of the filter language share: filter.c (parameters, select,
 * order), filter_condition.c (conditions and groups), filter_value.c (values). */
#ifndef DDB_API_FILTER_PARTS_H
#define DDB_API_FILTER_PARTS_H

#include "lib/api/filter.h"

#define FILTER_NAME_SHOWN 100      /* bytes of a name in an error */

/* ---- values ---- */

/* The affinity of a column as schema_column() gives it. */
enum schema_affinity filter_affinity(const struct schema_table *t, int column);

/* A value without quotes: a new reference. */
json_t *filter_plain_value(const struct schema_table *t, int column, const char *text);

/* The text within double quotes that begin at *at, with its escapes undone, in
 * `to` (room for the rest of the text); *at then stands behind the closing
 * quote. False when it does not close. doubled: "" for a quote, else \". */
bool filter_unquote(const char **at, char *to, bool doubled);

/* ---- names ---- */

/* The next name of a list at *at, up to one of `ends` or the end, in scratch;
 * *quoted when it stood in quotes. False when its quotes do not close. */
bool filter_next_name(const char **at, const char *ends, char *scratch, bool *quoted);

/* ERR_BAD_FILTER: the table has no such column; where: the parameter. */
enum err_code filter_no_column(const struct filter *f, const char *where, const char *name, struct err *e);

/* ---- conditions ---- */

/* Adds to f->where that the column must hold [not.]OP.VALUE; parameter is for errors. */
enum err_code filter_add_condition(struct filter *f, const char *parameter, int column, const char *text, struct err *e);

/* Whether a parameter of that name is a group: or, and, not.or, not.and. */
bool filter_is_group(const char *parameter);

/* Adds the group, text being its list in parentheses. */
enum err_code filter_add_group(struct filter *f, const char *parameter, const char *text, struct err *e);

#endif
