/* JSON written straight into a buf, for what is streamed or built often;
 * everything is parsed, and small documents are built, with jansson. */
#ifndef DDB_BASE_JSONW_H
#define DDB_BASE_JSONW_H

#include "lib/base/buf.h"

#include <stdint.h>

/* Adds text as a JSON string with its quotes. text may hold NUL characters
 * (\u0000) and must be valid UTF-8 (see jsonw_utf8_ok). */
void jsonw_string(struct buf *b, const char *text, size_t len);
void jsonw_str(struct buf *b, const char *text);   /* NUL-terminated; NULL gives null */
void jsonw_int(struct buf *b, int64_t v);

/* Adds a real with 17 significant digits, always recognisable as a real
 * ("1.0"); infinities and NaN as {"real":"Infinity"}. */
void jsonw_real(struct buf *b, double v);

/* Adds {"blob":"<base64>"}. */
void jsonw_blob(struct buf *b, const void *data, size_t len);

/* Whether text is valid UTF-8 that JSON can carry. */
bool jsonw_utf8_ok(const char *text, size_t len);

#endif
