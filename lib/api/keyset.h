/* Pages of rows by keyset: the next page begins behind the last row of the one
 * before, found by its values and not by counting, so that rows that come and
 * go meanwhile make no other row appear twice or not at all.
 *
 * The order is what was asked for, followed by the table's key, so that no two
 * rows are equal in it; without an order it is the key's. NULLs and values of
 * mixed types stand as SQLite sorts them: NULL, numbers, text, blobs.
 *
 * A view (or another table without a key) has pages only when an order is
 * given; all its columns then follow the order, and rows that are equal in
 * every column are counted. Without an order the
 * first page alone can be had.
 *
 * Cursor: base64url of the JSON
 *   {"d": database id, "o": digest of table and order (16 hex digits),
 *    "k": [values of the order's terms], "s": rows to skip (views)}
 * with values as value.h writes them, and {"text": "<base64>"} for text that is
 * not UTF-8. Opaque to clients; a made-up one can only choose another place to
 * begin. */
#ifndef DDB_API_KEYSET_H
#define DDB_API_KEYSET_H

#include "lib/api/filter.h"

#define KEYSET_TERM_MAX 64
#define KEYSET_CURSOR_MAX 6000     /* bytes of a cursor: it must fit an address line */

struct keyset_term {
	int column;
	bool desc, nulls_first, never_null;
	const char *collation;         /* of a key that sorts otherwise than its column; NULL: the column's own */
};

struct keyset {
	const struct schema_table *table;
	struct keyset_term term[KEYSET_TERM_MAX];
	int n;                         /* 0: no order at all */
	bool pages;                    /* the page after can be found */
	bool counted;                  /* equal rows are counted */
};

void keyset_plan(struct keyset *k, const struct filter *f);

/* Adds " ORDER BY …", or nothing. */
void keyset_order(const struct keyset *k, struct buf *sql);

/* Adds to `where` the condition that a row stands behind the cursor (in
 * parentheses, with what joins it to what is there) and its values to params.
 * *skip: rows to leave out besides. ERR_BAD_CURSOR. */
enum err_code keyset_after(const struct keyset *k, const char *database_id, const char *cursor, struct buf *where,
	json_t *params, int64_t *skip, struct err *e);

/* Adds the cursor of stmt's current row. at[i]: the result column that holds
 * term i. False, and nothing added, when it would be longer than KEYSET_CURSOR_MAX. */
bool keyset_cursor(const struct keyset *k, const char *database_id, sqlite3_stmt *stmt, const int *at, int64_t skip,
	struct buf *out);

#endif
