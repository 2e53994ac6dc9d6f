/* When a node may be master (design section 8): it starts as nobody, asks the
 * other nodes of the pool, opens when none knows better, and stops at once
 * when one does. Promotion (a new epoch taken over from another node) enters
 * here: promises collected from the pool, then reign_open(). */
#ifndef DDB_CLUSTER_REIGN_H
#define DDB_CLUSTER_REIGN_H

#include "lib/cluster/catalog.h"
#include "lib/cluster/node_state.h"
#include "lib/cluster/wire.h"

#define REIGN_MEMBERS_MAX 256

/* What one member of the pool said since the asking began. */
struct reign_answer {
	char node[WIRE_NAME_LEN];
	bool answered, failed;         /* neither: not yet */
	int64_t promised;
	bool later;                    /* has a later position than this node, in this node's epoch or above */
	bool reigns;                   /* is itself the active master of this node's epoch */
	char what[160];                /* which, for people */
};

enum reign_verdict {
	REIGN_ASKING,                  /* not all have answered yet */
	REIGN_OPENS,
	REIGN_ALONE,                   /* nobody answers, and it must not go alone */
	REIGN_BEHIND,                  /* a member has rows that this node lost */
	REIGN_TAKEN,                   /* a member is the master of this very epoch */
	REIGN_OVER                     /* a member knows a higher epoch */
};

/* epoch: this node's. alone_goes: it may open although no member answers. */
enum reign_verdict reign_judge(int64_t epoch, const struct reign_answer *answers, size_t n, bool alone_goes);

struct reign;

enum err_code reign_new(struct reign **out, struct node *node, struct self *self, struct err *e);
void reign_free(struct reign *r);

/* Forgets the answers and asks these members (n may be 0). */
void reign_members(struct reign *r, const char (*names)[WIRE_NAME_LEN], size_t n);

/* A member answered the question (reply), or could not be reached (NULL).
 * heads: this node's own positions. */
void reign_answered(struct reign *r, const char *node, const struct wire_reply *reply,
	const struct wire_database *heads, size_t n);

/* Goes on with opening; called at every beat while the role is master. True
 * when it opened just now. */
bool reign_step(struct reign *r, struct catalog *catalog);

/* Another node reigns in a higher epoch: this one is a slave from now on. In
 * the same epoch: both stop, and an administrator must look. */
void reign_fenced(struct reign *r, int64_t epoch, const char *by, const char *detail);

bool reign_is_open(struct reign *r);
bool reign_is_master(struct reign *r);     /* the role, whether open or not */

/* Waits until it is open (ERR_OK) or can say why not: see replica_wait_open(). */
enum err_code reign_wait_open(struct reign *r, int64_t timeout_ms, struct err *e);
void reign_drain(struct reign *r);

#endif
