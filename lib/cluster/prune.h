/* Housekeeping: cuts journals as far as every slave and the retention allow
 * (design section 7), counts what is pending, forgets old idempotency keys and
 * unused snapshots. A thread of its own; deletions run in the databases'
 * writers, in pieces small enough for clients not to notice. */
#ifndef DDB_CLUSTER_PRUNE_H
#define DDB_CLUSTER_PRUNE_H

#include "lib/cluster/node_state.h"
#include "lib/cluster/pool.h"
#include "lib/cluster/reign.h"
#include "lib/cluster/snapshot.h"

struct prune;

struct prune_env {
	struct node *node;
	struct catalog *catalog;
	struct readers *readers;
	struct pool *pool;
	struct shelf *shelf;
	struct reign *reign;
	struct self *self;
};

enum err_code prune_start(struct prune **out, const struct prune_env *env, struct err *e);
void prune_stop(struct prune *p);   /* NULL is fine */

/* The first row to keep, from what the retention says alone: head_seq is the
 * newest, age_seq the first row younger than retention_ms (head_seq + 1: none). */
int64_t prune_retention_floor(const struct conf *conf, int64_t head_seq, int64_t age_seq);

#endif
