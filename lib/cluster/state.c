#include "lib/cluster/state.h"

#include <stddef.h>
#include <string.h>

/* 404 on /health/read is how a node asks HAProxy to drain it without being
 * counted as broken: a master and a paused node are well, they only serve no
 * reads as slaves. */
const struct node_state_row node_state_table[NODE_STATE_N] = {
	[NODE_STARTING] = {"starting", "The program has begun; nothing is known yet.", 503, 503, false},
	[NODE_JOINING] = {"joining", "Waits for a master to speak to it.", 503, 503, false},
	[NODE_SNAPSHOT] = {"snapshot", "Fetches a whole copy of a database from the master.", 503, 503, false},
	[NODE_SYNCING] = {"syncing", "Catches up with the master before it serves.", 503, 503, false},
	[NODE_READY] = {"ready", "In sync with the master; serves reads.", 200, 503, true},
	[NODE_SILENT] = {"silent", "The master's heartbeats stopped.", 503, 503, false},
	[NODE_LAGGING] = {"lagging", "Too far behind the master to serve.", 503, 503, false},
	[NODE_DIVERGED] = {"diverged", "Its content differs from the master's; waits for a whole copy.", 503, 503, false},
	[NODE_PAUSED] = {"paused", "An administrator stopped its replication.", 404, 503, false},
	[NODE_ERROR] = {"error", "Cannot go on by itself; see the error.", 503, 503, false},
	[NODE_IS_MASTER] = {"master", "Takes the writes.", 404, 200, true},
	[NODE_WAITING] = {"waiting", "Meant to be master, but not sure that nobody else is.", 503, 503, false},
};

enum node_state node_state_by_name(const char *name)
{
	for (int i = 0; name && i < NODE_STATE_N; i++)
		if (strcmp(node_state_table[i].name, name) == 0)
			return i;
	return NODE_STATE_N;
}

const struct slave_state_row slave_state_table[SLAVE_STATE_N] = {
	[SLAVE_CONNECTING] = {"connecting", "Its position is being asked for.", "info"},
	[SLAVE_SYNCING] = {"syncing", "Gets the operations it lacks.", "info"},
	[SLAVE_READY] = {"ready", "Has all that the master has.", "info"},
	[SLAVE_DOWN] = {"down", "Does not answer; its operations are kept for it.", "warn"},
	[SLAVE_SNAPSHOT] = {"snapshot", "Gets a whole copy of a database.", "info"},
	[SLAVE_DIVERGED] = {"diverged", "Its content or history differs from the master's.", "alert"},
	[SLAVE_PAUSED] = {"paused", "An administrator stopped sending to it.", "info"},
	[SLAVE_INCOMPATIBLE] = {"incompatible", "Cannot be a slave of this master; see its error.", "alert"},
};
