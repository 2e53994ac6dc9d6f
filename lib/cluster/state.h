/* The two state machines (design section 10): what a node says of itself, and
 * what the master says of a slave. One table each: name, sentence, health
 * answer, serves reads. Changed in one function each (see node_state.c and
 * pool.c). */
#ifndef DDB_CLUSTER_STATE_H
#define DDB_CLUSTER_STATE_H

#include <stdbool.h>

enum node_state {
	NODE_STARTING,     /* the program has begun, nothing is known yet */
	NODE_JOINING,      /* waiting for a master to speak to it */
	NODE_SNAPSHOT,     /* a whole copy is being fetched */
	NODE_SYNCING,      /* catching up with the master's head */
	NODE_READY,        /* in sync: serves reads */
	NODE_SILENT,       /* was in sync; the master's heartbeats stopped */
	NODE_LAGGING,      /* was in sync; too far behind now */
	NODE_DIVERGED,     /* its content differs from the master's; waits for a snapshot */
	NODE_PAUSED,       /* an admin stopped its replication */
	NODE_ERROR,        /* cannot go on by itself (disk, memory, I/O) */
	NODE_IS_MASTER,    /* takes the writes */
	NODE_WAITING,      /* meant to be master, but not sure yet that nobody else is */
	NODE_STATE_N
};

struct node_state_row {
	const char *name;       /* "ready" */
	const char *sentence;   /* for people */
	int health_read;        /* HTTP status of /health/read */
	int health_write;       /* HTTP status of /health/write */
	bool serves_reads;
};
extern const struct node_state_row node_state_table[NODE_STATE_N];
enum node_state node_state_by_name(const char *name);   /* NODE_STATE_N: unknown */

enum slave_state {
	SLAVE_CONNECTING, SLAVE_SYNCING, SLAVE_READY, SLAVE_DOWN, SLAVE_SNAPSHOT, SLAVE_DIVERGED, SLAVE_PAUSED,
	SLAVE_INCOMPATIBLE,
	SLAVE_STATE_N
};

struct slave_state_row {
	const char *name, *sentence;
	const char *event_level;   /* of the event that entering it makes */
};
extern const struct slave_state_row slave_state_table[SLAVE_STATE_N];

#endif
