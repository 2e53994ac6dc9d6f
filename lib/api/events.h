/* What happened, as a node noted it in its node.db. */
#ifndef DDB_API_EVENTS_H
#define DDB_API_EVENTS_H

#include "lib/http/request.h"

/* GET /v1/events: {"events": [{"id", "at", "node", "kind", "level", "text", "data"}]}, the newest
 * last; the last ?limit= (100, at most 1000), or with ?since=ID the first
 * `limit` after that one. Events of the node that answers. In `status`. */
void events_get(struct request *r);

#endif
