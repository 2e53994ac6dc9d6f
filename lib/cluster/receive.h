/* What a node does with the messages of other nodes: who may speak, in which
 * reign; rows into the writer; offers to the fetcher; heartbeats into its own
 * state. Formats: wire.h. */
#ifndef DDB_CLUSTER_RECEIVE_H
#define DDB_CLUSTER_RECEIVE_H

#include "lib/cluster/fetch.h"
#include "lib/cluster/node_state.h"

struct receiver {
	struct node *node;
	struct self *self;
	struct fetcher *fetcher;
	struct readers *readers;
	_Atomic(struct catalog *) catalog;     /* NULL: the program is starting or stopping */
	/* Another node reigns in a higher epoch, or in this node's own. */
	void (*fenced)(void *arg, int64_t epoch, const char *by, const char *detail);
	void (*changed)(void *arg);            /* the node's own state did */
	void *arg;
	pthread_mutex_t lock;
	char (*applying)[JOURNAL_ID_LEN];      /* databases that rows are being applied to */
	size_t applying_n;
	int64_t master_epoch;                  /* whose messages are taken: the first that spoke in its epoch */
	char master_id[JOURNAL_ID_LEN];
};

void receiver_init(struct receiver *r, struct node *node, struct self *self, struct fetcher *fetcher,
	struct readers *readers);
void receiver_release(struct receiver *r);

/* Each parses a message, does what it says and writes the reply; the HTTP status. */
int receive_rows(struct receiver *r, const char *body, size_t len, struct buf *answer);
int receive_offer(struct receiver *r, const char *body, size_t len, struct buf *answer);
int receive_heartbeat(struct receiver *r, const char *body, size_t len, struct buf *answer);

#endif
