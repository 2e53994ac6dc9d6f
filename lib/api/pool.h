/* /v1/pool: the nodes of the cluster, as their master sees them. Asked of a
 * slave, the request is passed to the master; where that cannot be reached, the
 * node says which nodes it knows, and null for all it does not know. */
#ifndef DDB_API_POOL_H
#define DDB_API_POOL_H

#include "lib/http/request.h"

/* In `status`. */
void pool_get(struct request *r);          /* GET /v1/pool */
void pool_get_slaves(struct request *r);   /* GET /v1/pool/slaves */

/* GET /v1/pool/slaves/{slave}/pending?limit=100: what the slave still lacks, per
 * database. In `read`, which may open the databases. */
void pool_pending(struct request *r);

/* In `write`, on the master. */
void pool_add(struct request *r);          /* POST /v1/pool/slaves */
void pool_remove(struct request *r);       /* DELETE /v1/pool/slaves/{slave} */
void pool_pause(struct request *r);        /* POST …/pause */
void pool_resume(struct request *r);       /* POST …/resume */
void pool_reseed(struct request *r);       /* POST …/reseed */

#endif
