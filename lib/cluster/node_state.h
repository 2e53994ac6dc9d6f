/* What this node is: the facts about itself, collected by the threads that
 * learn them, and its state, which follows from them in one function. Each
 * change of state becomes an event. */
#ifndef DDB_CLUSTER_NODE_STATE_H
#define DDB_CLUSTER_NODE_STATE_H

#include "lib/cluster/lag.h"
#include "lib/cluster/node.h"
#include "lib/cluster/state.h"
#include "lib/cluster/wire.h"

#include <jansson.h>

/* The facts in short, from which the state follows. */
struct node_facts {
	bool is_master, open;          /* the role; whether it takes writes */
	int64_t heartbeat_age_ms;      /* -1: none yet */
	int64_t silent_ms, lag_most_ms;
	bool paused, fault, diverged, snapshot;
	bool proved;                   /* every database has reached a head of the master */
	bool ahead;                    /* one has rows beyond any head that the master named */
	int64_t lag_ms;
	bool was_in_sync;              /* when the heartbeats stopped */
};

/* The state that follows from the facts and the state before; *was_in_sync is updated. */
enum node_state node_state_judge(const struct node_facts *f, enum node_state before, bool *was_in_sync);

struct self;

/* now: the state file of the process before (may be NULL): a slave that was in
 * sync when it stopped still is the state that the master had then. */
enum err_code node_state_new(struct self **out, struct node *node, const json_t *before, struct err *e);
void node_state_free(struct self *s);

/* Works out the state anew; true when it changed. */
bool node_state_update(struct self *s);

/* ---- facts of a slave ---- */

/* A heartbeat of the reigning master was accepted. */
void node_state_heartbeat(struct self *s, const struct wire_heartbeat *h);

/* A batch said that the database's head is seq; the database stands at pos. */
void node_state_head(struct self *s, const char *id, int64_t seq);
void node_state_reached(struct self *s, const char *id, const struct journal_pos *pos);

/* What is wrong with a database here (WIRE_OK: nothing). */
void node_state_condition(struct self *s, const char *id, enum wire_condition condition);
enum wire_condition node_state_condition_of(struct self *s, const char *id);

/* The oldest row that the master wants kept; 0: none said. */
int64_t node_state_floor(struct self *s, const char *id);

/* The node cannot go on (disk, memory, I/O); NULL: it can again. */
void node_state_fault(struct self *s, const char *text);

/* ---- facts of a master ---- */

/* role master, open or waiting for the reason given (NULL: none yet); or no master (any more). */
void node_state_master(struct self *s, bool is_master, bool open, const char *why);
void node_state_beat(struct self *s);   /* a round of heartbeats was sent */

/* ---- views ---- */

struct node_state_view {
	enum node_state state;
	int64_t since_ms, heartbeat_boot_ms;
	bool was_in_sync, is_master, open;
	char error[240];
	char master_name[WIRE_NAME_LEN], master_url[WIRE_URL_LEN], master_peer_url[WIRE_URL_LEN];
	char master_id[JOURNAL_ID_LEN];
	int64_t master_epoch;
};
void node_state_look(struct self *s, struct node_state_view *v);

/* The member of the state file for one database at pos. */
json_t *node_state_database(struct self *s, const char *id, const struct journal_pos *pos);

#endif
