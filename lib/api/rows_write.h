/* Writing rows of one table: each request becomes one operation
 * {"statements":[…]} with bound values and goes the way of execute (master.h).
 * Columns are checked against the schema, generated ones refused.
 *
 * Bodies are objects {column: value} with values as everywhere; the rowid can
 * be named where it is the key. Tables whose rows have no address (rows.h) take
 * POST and changes by filters. What stood in a row before a change is not
 * asked for. */
#ifndef DDB_API_ROWS_WRITE_H
#define DDB_API_ROWS_WRITE_H

#include "lib/http/request.h"

/* POST …/rows: one object, or an array of objects with the same or different
 * columns; what is not given gets its default. All or none are inserted.
 * 201 {"inserted","keys":[…],"epoch","seq"}; a composite key is an array; a
 * table without a key gives none. Location when one row was inserted. */
void rows_insert(struct request *r);

/* PATCH and DELETE …/rows: what the filters choose; all rows only with
 * all=true. 200 {"changes","epoch","seq"}: rows changed by the statement
 * itself, without those that triggers and foreign keys changed. */
void rows_update(struct request *r);
void rows_delete(struct request *r);

/* PUT …/rows/{key}: the full row, columns not given get their defaults. One
 * statement inserts it or replaces the row of that key, and no other row even
 * if it breaks a UNIQUE constraint (409). 201 or 200 {"changes","row","epoch","seq"}. */
void rows_put_one(struct request *r);

/* PATCH …/rows/{key}: 200 {"changes":1,"row":{…},"epoch","seq"}. */
void rows_update_one(struct request *r);

/* DELETE …/rows/{key}: 200 {"changes":1,"epoch","seq"}. */
void rows_delete_one(struct request *r);

#endif
