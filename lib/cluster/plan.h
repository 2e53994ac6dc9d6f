/* Where a slave stands, held against the master's journal, and what follows:
 * rows from there on, a whole copy, or nothing until an administrator looks. */
#ifndef DDB_CLUSTER_PLAN_H
#define DDB_CLUSTER_PLAN_H

#include "lib/cluster/sender.h"

/* Decides for one database of a slave that says of it: condition, and pos
 * (NULL: it has no file). The decision is noted in the pool. False: this
 * node's own journal could not be read; try again later. */
bool plan_link(const struct sender_env *env, struct slave *slave, const struct pool_work *w,
	enum wire_condition condition, const struct journal_pos *pos);

/* This node's own trouble with a database is noted at the slave that waits for it. */
void plan_complain(const struct sender_env *env, struct slave *slave, const struct err *e);

bool plan_same(const struct journal_pos *a, const struct journal_pos *b);

#endif
