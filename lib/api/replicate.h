/* The peers' listener of `write`: messages of other nodes (formats in
 * lib/cluster/wire.h). */
#ifndef DDB_API_REPLICATE_H
#define DDB_API_REPLICATE_H

#include "lib/http/request.h"

void replicate_rows(struct request *r);        /* POST /replicate */
void replicate_snapshot(struct request *r);    /* POST /replicate/snapshot */
void replicate_heartbeat(struct request *r);   /* POST /heartbeat */

#endif
