/* SQLite values as JSON and back, unharmed (design section 12). */
#ifndef DDB_SQL_VALUE_H
#define DDB_SQL_VALUE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <jansson.h>
#include <sqlite3.h>

/* Adds column i of the current row: null, integer, real with 17 digits,
 * string (also with \u0000), {"blob":"<base64>"}; text that is not UTF-8 as a
 * blob. big_as_string: integers beyond +-2^53 as strings, for browsers. */
void value_add_column(struct buf *b, sqlite3_stmt *stmt, int i, bool big_as_string);

/* Adds a JSON array of the current row's values. */
void value_add_row(struct buf *b, sqlite3_stmt *stmt, bool big_as_string);

/* Adds the JSON arrays of column names and of declared types (null for expressions). */
void value_add_names(struct buf *b, sqlite3_stmt *stmt);
void value_add_types(struct buf *b, sqlite3_stmt *stmt);

/* Adds text as it is, bytes that are not UTF-8 replaced by U+FFFD. */
void value_add_clean(struct buf *b, const char *text, size_t len);

/* Adds a name or another text of the schema as a JSON string (NULL: null);
 * bytes that are not UTF-8 come out as U+FFFD. */
void value_add_name(struct buf *b, const char *name);

/* Binds v to parameter i (from 1). The JSON must outlive the execution (text
 * and numbers are not copied; blobs are decoded and owned by SQLite). */
enum err_code value_bind(sqlite3_stmt *stmt, int i, const json_t *v, struct err *e);

/* Binds all parameters: an array by position (count must match), an object by
 * name (without its : @ $; each must exist, all must be given), NULL or json
 * null: the statement must have none. */
enum err_code value_bind_all(sqlite3_stmt *stmt, const json_t *params, struct err *e);

#endif
