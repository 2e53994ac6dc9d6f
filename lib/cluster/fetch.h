/* A slave's fetching of whole copies: downloaded (and resumed) into
 * <data>/incoming/, checked, brought into the live file. Each in a thread of
 * its own, a few at once. */
#ifndef DDB_CLUSTER_FETCH_H
#define DDB_CLUSTER_FETCH_H

#include "lib/cluster/node_state.h"
#include "lib/sql/readers.h"

struct fetcher;

enum err_code fetcher_new(struct fetcher **out, struct node *node, struct readers *readers, struct self *self,
	struct err *e);
void fetcher_free(struct fetcher *f);   /* stops and waits; NULL is fine */
void fetcher_set_catalog(struct fetcher *f, struct catalog *catalog);

/* Takes an offer, or says how far the one that was taken is (reply: phase,
 * phase_bytes, detail, and pos once done). Done and failed are said once. */
void fetcher_offer(struct fetcher *f, const struct wire_offer *o, struct wire_reply *reply);

/* Whether a copy of this database is being fetched or brought in. */
bool fetcher_busy(struct fetcher *f, const char *id);

#endif
