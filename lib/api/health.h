/* What HAProxy asks before it sends clients to a node. Each program answers
 * for itself, on a socket and thread of its own, so that a frozen program
 * fails its check and a busy one does not. */
#ifndef DDB_API_HEALTH_H
#define DDB_API_HEALTH_H

#include "lib/http/request.h"

/* GET /health/live, in `status`: 200 while it runs. */
void health_live(struct request *r);

/* GET /health/read, in `read`: 200 while the node may serve reads as a slave,
 * 404 to be drained (master, paused), else 503. ?lag=MS: 503 also when it is
 * farther behind than that. ?stale=1: 200 also while it may answer as a last
 * resort, its master being silent. {"node", "state", "status", "lag_ms", "heartbeat_age_ms"}. */
void health_read(struct request *r);

/* GET /health/write, in `write`: 200 on the active master that takes writes
 * alone, else 503. {"node", "state", "status"}. In health_write.c. */
void health_write(struct request *r);

#endif
