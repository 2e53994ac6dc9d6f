/* Finds damaged database files: each file that is not huge is looked through
 * once when `write` starts, and one of which `read` reports damage at once. A
 * slave then asks for a whole copy; on the master it is an alert. */
#ifndef DDB_CLUSTER_INSPECT_H
#define DDB_CLUSTER_INSPECT_H

#include "lib/cluster/catalog.h"
#include "lib/cluster/node_state.h"

struct inspect;

/* changed: called after the node's own state did. */
enum err_code inspect_start(struct inspect **out, struct node *node, struct catalog *catalog, struct self *self,
	void (*changed)(void *arg), void *arg, struct err *e);
void inspect_stop(struct inspect *i);   /* NULL is fine */

/* Whether the pages of c's file are sound: ERR_CORRUPT says what is not.
 * cancelled, as in struct conn, ends it early with ERR_DEADLINE. */
enum err_code inspect_file(struct conn *c, struct err *e);

#endif
