/* JSON that a client sent, parsed. */
#ifndef DDB_BASE_JSONR_H
#define DDB_BASE_JSONR_H

#include "lib/base/err.h"

#include <jansson.h>
#include <stddef.h>

/* A parsed value costs up to a hundred times its text ("{}," is three bytes and
 * a hash table): what may stand in one body is bounded beside its length. */
#define JSONR_CONTAINERS_MAX 1000000    /* arrays and objects */
#define JSONR_VALUES_MAX 5000000        /* values of any kind */

/* A new reference; NULL and e set to ERR_BAD_JSON (its text begins with `what`,
 * its offset is where the mistake ends) or ERR_TOO_BIG. An array or object; strings may hold
 * \u0000; a name that stands twice in an object is refused. */
json_t *jsonr_parse(const char *text, size_t len, const char *what, struct err *e);

#endif
