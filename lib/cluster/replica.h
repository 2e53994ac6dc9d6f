/* Replication, as the `write` program sees it: one object that holds the
 * threads which send to slaves, receive from a master, beat, keep the node's
 * state, and prune. All functions may be called from any thread unless said
 * otherwise.
 *
 * Life:  replica_new() · catalog_open(…, replica_committed, r) · replica_start()
 *        … serving … · replica_drain() · replica_stop() · catalog_close() · replica_free() */
#ifndef DDB_CLUSTER_REPLICA_H
#define DDB_CLUSTER_REPLICA_H

#include "lib/cluster/catalog.h"
#include "lib/cluster/state.h"
#include "lib/sql/readers.h"

struct replica;

/* node and readers must outlive r. No thread runs yet. */
enum err_code replica_new(struct replica **out, struct node *node, struct readers *readers, struct err *e);

/* The catalog's committed callback (arg is the replica): notes the new head and wakes the senders. Quick. */
void replica_committed(void *arg, struct database *db, const struct journal_pos *head, int64_t row_bytes);

/* Starts the threads. A node whose role is master begins as NODE_WAITING and
 * opens by itself once the other nodes were asked (design section 8). */
enum err_code replica_start(struct replica *r, struct catalog *catalog, struct err *e);

/* The program is about to end: wakes everything that waits here, and from now
 * on waits end at once. Call it from before_drain of serve_fastcgi(). */
void replica_drain(struct replica *r);

/* Ends the threads. When an active master stops, slaves keep what they have. */
void replica_stop(struct replica *r);
void replica_free(struct replica *r);   /* NULL is fine */

/* ---- for clients' requests ---- */

/* Whether this node takes writes now. ERR_MISDIRECTED: it is a slave, the
 * write belongs to replica_master_host(). A master that is still asking the
 * other nodes is waited for up to timeout_ms, then ERR_STARTING with the
 * reason; ERR_STOPPING once replica_drain() was called. */
enum err_code replica_wait_open(struct replica *r, int64_t timeout_ms, struct err *e);

/* "host:port" of the master's public listener, for response_forward(). False
 * when no master is known, or this node is the master. */
bool replica_master_host(struct replica *r, char *out, size_t size);

/* Slaves that are ready now: what min_slaves_to_write is held against. */
int replica_slaves_in_sync(struct replica *r);

/* Waits until n slaves have pos of the database with this id durably, or for
 * timeout_ms. Returns how many have it then, which can be more or fewer than n. */
int replica_wait_acked(struct replica *r, const char *database_id, const struct journal_pos *pos, int n,
	int64_t timeout_ms);

/* What the node says of itself (for /health/write). */
struct replica_self {
	enum node_state state;
	int64_t since_ms;              /* Unix ms */
	int64_t promised, reign;       /* epochs; reign 0: not the active master */
	bool open;                     /* active master whose opening rows are durable: takes writes */
	char error[240];               /* "" none */
};
void replica_self(struct replica *r, struct replica_self *self);

/* ---- for other nodes' messages (lib/api/replicate.c; formats in wire.h) ----
 * Each returns the HTTP status and puts a JSON document into answer. */
int replica_take_rows(struct replica *r, const char *body, size_t len, struct buf *answer);
int replica_take_heartbeat(struct replica *r, const char *body, size_t len, struct buf *answer);
int replica_take_snapshot(struct replica *r, const char *body, size_t len, struct buf *answer);

/* ---- for administrators (lib/api/pool.c); on the active master only ---- */

/* The slaves as GET /v1/pool shows them: a JSON array (caller: json_decref). */
json_t *replica_slaves(struct replica *r);

/* Changes of the pool: operations in _ddb that every node learns of.
 * ERR_EXISTS, ERR_NODE_UNKNOWN, ERR_BAD_NAME, ERR_BAD_VALUE. */
enum err_code replica_pool_add(struct replica *r, const char *name, const char *url, const char *peer_url,
	struct err *e);
enum err_code replica_pool_remove(struct replica *r, const char *name, struct err *e);
enum err_code replica_pool_pause(struct replica *r, const char *name, bool paused, struct err *e);

/* Sends the slave a whole copy of every database; its old files are kept in its orphaned/. */
enum err_code replica_pool_reseed(struct replica *r, const char *name, struct err *e);

#endif
