/* POST /v1/db/{db}/query and GET …/query?sql=&params=: one statement that only
 * reads, its rows streamed in one read transaction. */
#ifndef DDB_API_QUERY_H
#define DDB_API_QUERY_H

#include "lib/http/request.h"

/* Body of the POST: {"sql": "…", "params": […]|{…}}. Answer:
 * {"columns":[…],"types":[…],"rows":[[…],…],"epoch","seq","node","ms"}. */
void query_post(struct request *r);
void query_get(struct request *r);

#endif
