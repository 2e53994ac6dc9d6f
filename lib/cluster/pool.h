/* The master's table of its slaves, kept in step with _ddb.nodes and
 * _ddb.databases: for each slave its state and, per database, the position it
 * has durably and what it still lacks. One lock; held for memory work only.
 *
 * All that is known of a slave is kept here as facts by the threads that learn
 * them (senders, heartbeat); its state follows from them in one function, and
 * each change becomes an event. */
#ifndef DDB_CLUSTER_POOL_H
#define DDB_CLUSTER_POOL_H

#include "lib/cluster/catalog.h"
#include "lib/cluster/lag.h"
#include "lib/cluster/state.h"
#include "lib/cluster/wire.h"
#include "lib/sql/readers.h"

/* How one database of one slave stands. */
enum link_mode {
	LINK_UNKNOWN,     /* its position has to be asked for */
	LINK_ROWS,        /* continues with the row after `acked` */
	LINK_COPY,        /* needs a whole copy, or is getting one */
	LINK_STUCK,       /* neither can help by itself: an administrator must look */
	LINK_MODE_N
};

struct link {
	enum link_mode mode;
	struct journal_pos acked;      /* durable there; meaningful in LINK_ROWS, else the last known */
	bool acked_known;
	int64_t beat_seq;              /* acked when the last heartbeat was sent: its answer cannot name less */
	struct lag lag;
	int64_t bytes;                 /* of the bodies after acked; -1: not counted yet */
	int64_t count_to;              /* the rows up to this one are being counted; 0: they are not; -1: they cannot */
	int64_t count_extra;           /* what came (or went, negative) while they were counted */
	int64_t oldest_seq, oldest_at_ms;   /* at_ms of row oldest_seq, when it is acked + 1 */
	bool keep_old;                 /* of a copy: the slave keeps its old file */
	char reason[32];               /* why a copy, for people: "new", "pruned", "diverged", "corrupt", "history", "asked" */
	int64_t bad_seq;               /* the row it diverged at; 0: none */
	bool turn;                     /* has the one turn of automatic repair */
};

struct sender;

struct slave {
	char name[WIRE_NAME_LEN], url[WIRE_URL_LEN], peer_url[WIRE_URL_LEN];
	bool paused, gone;
	enum slave_state state;
	int64_t since_ms;              /* Unix ms */
	char last_error[240];          /* "" none yet */
	int64_t answered_boot_ms;      /* last answer of any kind; -1: none */
	bool connected;                /* the sender knows its positions */
	bool unreachable;              /* the sender's last attempt failed */
	bool incompatible;
	bool beat_missed;              /* last_error is a heartbeat's; it goes with the next one that is answered */
	char node_id[JOURNAL_ID_LEN], node_state[24], sqlite[24], machine[32];
	struct link *links;            /* one per database of the pool, same order */
	struct sender *sender;         /* the keeper's; woken under the lock */
};

struct pool_database {
	char name[CATALOG_NAME_LEN], id[JOURNAL_ID_LEN], path[PATH_MAX];
	struct journal_pos head;
	int64_t bytes;                 /* of all bodies kept in the journal; -1: not counted */
	int64_t floor;                 /* the oldest row that is still wanted */
	char first_diverged[WIRE_NAME_LEN];   /* the slave that diverged last, and at which row */
	int64_t first_bad_seq;
};

struct pool;

/* changed: called, without the lock, after a slave's state did. */
enum err_code pool_new(struct pool **out, struct node *node, struct readers *readers, void (*changed)(void *arg),
	void *arg, struct err *e);
void pool_free(struct pool *p);

/* ---- keeping in step ---- */

/* Databases: the catalog's; call it after _ddb changed. */
void pool_refresh_databases(struct pool *p, struct catalog *catalog);

/* Slaves: the other nodes of _ddb. Senders of nodes that are gone are handed to retire
 * (their struct slave lives until then). */
enum err_code pool_refresh_slaves(struct pool *p, const char *system_path, void (*retire)(void *arg, struct slave *s),
	void *arg, struct err *e);

/* Calls each slave that has no sender; it may set s->sender. Under the lock. */
void pool_each_slave(struct pool *p, void (*each)(void *arg, struct slave *s), void *arg);

/* A commit of this node: heads grow, senders wake. Quick. */
void pool_committed(struct pool *p, const struct database *db, const struct journal_pos *head, int64_t row_bytes);

/* The slaves' positions, to be kept over a restart, and back: what is durable
 * at a slave lets its pending rows be named, and kept, before it answers. */
json_t *pool_positions(struct pool *p);
void pool_recall(struct pool *p, const json_t *positions);

/* The master's role ended (or began): nothing is known of the slaves any more. */
void pool_forget(struct pool *p);

/* ---- what senders learn ---- */

struct pool_work {
	char name[CATALOG_NAME_LEN], id[JOURNAL_ID_LEN], path[PATH_MAX];
	struct journal_pos head;
	int64_t floor;
	enum link_mode mode;
	struct journal_pos acked;
	int64_t bad_seq;               /* a copy must reach beyond this row */
	bool keep_old, turn;
	char reason[32];
};

/* The first database from *cursor on that has something to do for s; false:
 * none. *cursor then stands after it; begin with 0. */
bool pool_work(struct pool *p, struct slave *s, size_t *cursor, struct pool_work *w);

/* Any database's present figures for s; false: it is unknown. */
bool pool_link(struct pool *p, struct slave *s, const char *id, struct pool_work *w);

/* Where s is, and whether it is paused; false: it is gone. */
bool pool_address(struct pool *p, struct slave *s, char peer_url[WIRE_URL_LEN], bool *paused, bool *connected);

void pool_connected(struct pool *p, struct slave *s);
void pool_failed(struct pool *p, struct slave *s, const char *why);            /* no answer, or a senseless one */
void pool_incompatible(struct pool *p, struct slave *s, const char *why);
void pool_complains(struct pool *p, struct slave *s, const char *why);         /* answered with an error; goes on */

/* The slave has pos durably. batch_bytes: of the bodies between the position
 * before and this one; -1: not known, count anew. Never beyond the head. */
void pool_acked(struct pool *p, struct slave *s, const char *id, const struct journal_pos *pos, int64_t batch_bytes);

/* The link needs a whole copy / its position must be asked again / stands still. */
void pool_needs_copy(struct pool *p, struct slave *s, const char *id, const char *reason, bool keep_old);
void pool_link_unknown(struct pool *p, struct slave *s, const char *id);
void pool_stuck(struct pool *p, struct slave *s, const char *id, const struct journal_pos *at, const char *why);

/* The slave's content differs from row bad_seq on (0: not known which; its
 * file is damaged). Decides between a copy and an alert: two slaves that
 * diverge at the same row point at the statement, not at the slaves. */
void pool_diverged(struct pool *p, struct slave *s, const char *id, int64_t bad_seq, const char *reason,
	const char *why);

/* ---- what the heartbeat learns ---- */

struct pool_target {
	char name[WIRE_NAME_LEN], peer_url[WIRE_URL_LEN];
	bool paused;
};

/* The slaves, for one round of heartbeats that is sent now; caller frees *out. */
size_t pool_targets(struct pool *p, struct pool_target **out);

/* The databases for a heartbeat (name, id, pos, floor); caller frees. */
size_t pool_heads(struct pool *p, struct wire_database **out);

/* The answer to a heartbeat. A position that contradicts what had been
 * acknowledged is asked for anew: the slave was started again with another file. */
void pool_answered(struct pool *p, const char *slave, const struct wire_reply *r);
void pool_unanswered(struct pool *p, const char *slave, const char *why);   /* a heartbeat got no answer */
void pool_refuses(struct pool *p, const char *slave, const char *why);   /* it cannot be a slave of this master */

/* ---- states, waiting, showing ---- */

/* Works out each slave's state from the facts; changes become events. */
void pool_update(struct pool *p);

int pool_in_sync(struct pool *p);
int pool_wait_acked(struct pool *p, const char *id, const struct journal_pos *pos, int n, int64_t timeout_ms);
void pool_drain(struct pool *p);        /* ends all waits, now and from now on */

/* The slaves for the state file and the API: a JSON array (see statefile.h). */
json_t *pool_json(struct pool *p);

/* ---- accounting, for the housekeeping thread ---- */

/* Counts what was not counted yet (one link or journal per call); true: there may be more. */
bool pool_count_some(struct pool *p);

/* Up to which row the journal of this database may be cut: rows below are at
 * every slave that counts. 0: nothing. Links whose queue exceeds
 * limit_bytes stop counting and are marked for a copy. */
int64_t pool_prune_floor(struct pool *p, const char *id, int64_t limit_bytes);
void pool_pruned(struct pool *p, const char *id, int64_t floor, int64_t bytes);
int64_t pool_journal_bytes(struct pool *p, const char *id);

/* Marks every database of the slave for a whole copy; false: no such slave. */
bool pool_copy_all(struct pool *p, const char *slave);

#endif
