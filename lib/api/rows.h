/* Reading rows of one table or view. */
#ifndef DDB_API_ROWS_H
#define DDB_API_ROWS_H

#include "lib/api/schema.h"
#include "lib/http/request.h"

#include <jansson.h>

/* GET …/rows: filters, order and pages as filter.h and keyset.h say. Answer:
 * {"columns","types","rows":[[…]],"next":cursor or null,"epoch","seq","node","ms"}.
 * Without select= all columns come, led by the rowid where that is the key.
 * "more":true beside "next":null says that there are more rows, which cannot be
 * had as a page: a view without order=, or values too long for a cursor. */
void rows_list(struct request *r);

/* GET …/rows/{key}: {"row":{…},"epoch","seq","node","ms"}. */
void rows_get(struct request *r);

/* Adds the condition that a row has the key given in an address, and its value
 * to params. ERR_ROW_UNKNOWN for a table whose rows have no address. */
enum err_code rows_add_key(const struct schema_table *t, const char *key, struct buf *sql, json_t *params,
	struct err *e);

/* Refuses parameters of the query string where only big= (and, reading, consistency=) means something: one
 * that is ignored in silence could be a filter that was meant. */
enum err_code rows_no_filters(const struct request *r, struct err *e);

/* The columns that a row is shown with when none are chosen: the rowid where
 * it is the key, then all but hidden ones. out has room for column_n + 1. */
int rows_columns(const struct schema_table *t, int *out);

#endif
