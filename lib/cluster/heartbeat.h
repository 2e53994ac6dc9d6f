/* The master's sign of life: a thread with connections of its own that calls
 * every slave each heartbeat_ms, all at once, whatever else is under way. A
 * master that has not opened yet asks instead. */
#ifndef DDB_CLUSTER_HEARTBEAT_H
#define DDB_CLUSTER_HEARTBEAT_H

#include "lib/cluster/pool.h"
#include "lib/cluster/reign.h"

struct heartbeat;

/* asked: called in the heartbeat's thread after each answer to a question. */
enum err_code heartbeat_start(struct heartbeat **out, struct node *node, struct pool *pool, struct reign *reign,
	struct self *self, void (*asked)(void *arg), void *arg, struct err *e);
void heartbeat_wake(struct heartbeat *h);   /* the role or the pool changed: beat now */
void heartbeat_stop(struct heartbeat *h);   /* NULL is fine */

#endif
