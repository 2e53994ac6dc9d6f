/* GET /openapi.json: the HTTP API described by itself (OpenAPI 3.1), made from
 * the table of routes, the table of error codes, the table of operations in
 * openapi.c, and the parts that are read by people in openapi_components.json. */
#ifndef DDB_API_OPENAPI_H
#define DDB_API_OPENAPI_H

#include "lib/http/request.h"

void openapi_get(struct request *r);

#endif
