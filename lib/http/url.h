/* Percent-encoding and query strings (RFC 3986; application/x-www-form-urlencoded
 * where a browser's form or curl -G makes it: '+' in a query is a space). */
#ifndef DDB_HTTP_URL_H
#define DDB_HTTP_URL_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stddef.h>

#define URL_PARAM_MAX 256   /* parameters of one query string */

struct url_param {
	char *name, *value;     /* decoded, NUL-terminated; value "" when there is no '=' */
};

struct url_query {
	struct url_param param[URL_PARAM_MAX];
	size_t n;
	char *text;             /* holds all names and values */
};

/* Decodes a query string (NULL: an empty one). Malformed escapes, encoded NULs
 * and text that is not UTF-8 are ERR_BAD_REQUEST; nothing is held then. */
enum err_code url_query_parse(struct url_query *q, const char *raw, struct err *e);
void url_query_release(struct url_query *q);

/* The first parameter of that name, NULL if there is none. */
const char *url_query_get(const struct url_query *q, const char *name);

/* Decodes one path segment into out (NUL-terminated). False when malformed, not
 * UTF-8, with a NUL, or longer than size - 1 bytes. '+' stays '+'. */
bool url_segment_decode(const char *raw, size_t len, char *out, size_t size);

/* Adds text percent-encoded (all but unreserved characters). */
void url_encode(struct buf *b, const char *text, size_t len);

#endif
