/* One thread per slave that brings it what it lacks: rows in batches, one
 * message at a time per database, or a whole copy. The slave says where it
 * stands; each answer tells what it has durably. */
#ifndef DDB_CLUSTER_SENDER_H
#define DDB_CLUSTER_SENDER_H

#include "lib/cluster/pool.h"
#include "lib/cluster/snapshot.h"

/* What all senders work with; must outlive them. */
struct sender_env {
	struct node *node;
	struct pool *pool;
	struct readers *readers;
	struct shelf *shelf;
	/* A node knows a higher epoch, or the same one of another master. */
	void (*fenced)(void *arg, int64_t epoch, const char *by, const char *detail);
	void *arg;
};

enum err_code sender_start(struct sender **out, const struct sender_env *env, struct slave *slave, struct err *e);

/* Asks it to end; sender_stop() waits for it and frees it. */
void sender_quit(struct sender *s);
void sender_stop(struct sender *s);

/* There may be something to do. Quick; any thread. */
void sender_wake(struct sender *s);

/* The slave has answered something else: try again at once. */
void sender_again(struct sender *s);

/* Who this node is, as a sender of messages to `to`. */
void sender_from(struct node *node, const char *to, int64_t epoch, struct wire_from *from);

#endif
