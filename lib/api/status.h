/* What a node says of itself, for people and scripts; in `status`. */
#ifndef DDB_API_STATUS_H
#define DDB_API_STATUS_H

#include "lib/http/request.h"

/* GET /ping: "pong\n". */
void status_ping(struct request *r);

/* GET /status: {"node", "role", "state", "why", "since", "error", "epoch", "cluster", "version",
 * "sqlite", "lag_ms", "heartbeat_age_ms", "databases": {NAME: {"id", "epoch",
 * "seq", "head", "behind_ms"}}, "master": {"name", "url", "peer_url"},
 * "programs": {NAME: {"running", "pid", "since"}}}. What is not known is null. */
void status_get(struct request *r);

#endif
