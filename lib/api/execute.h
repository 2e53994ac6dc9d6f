/* POST /v1/db/{db}/execute: one or many statements, atomically. */
#ifndef DDB_API_EXECUTE_H
#define DDB_API_EXECUTE_H

#include "lib/http/request.h"

/* {"sql", "params"} or {"statements": […]} → {"results": […], "epoch", "seq",
 * "ms"}; with DDB-Sync also "acked" and "wanted". r->app: struct app_write. */
void execute_post(struct request *r);

#endif
