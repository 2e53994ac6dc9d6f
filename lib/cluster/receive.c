#include "lib/cluster/receive.h"
#include "lib/base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void receiver_init(struct receiver *r, struct node *node, struct self *self, struct fetcher *fetcher,
	struct readers *readers)
{
	memset(r, 0, sizeof *r);
	r->node = node;
	r->self = self;
	r->fetcher = fetcher;
	r->readers = readers;
	pthread_mutex_init(&r->lock, NULL);
}

void receiver_release(struct receiver *r)
{
	free(r->applying);
	pthread_mutex_destroy(&r->lock);
}

/* One message at a time for each database: when a sender that lost patience
 * sends again what is still being applied, its messages must not take one
 * thread after the other and leave none for heartbeats. */
static bool begin_applying(struct receiver *r, const char *id)
{
	pthread_mutex_lock(&r->lock);
	bool free_to = true;
	for (size_t i = 0; i < r->applying_n && free_to; i++)
		free_to = strcmp(r->applying[i], id) != 0;
	char (*more)[JOURNAL_ID_LEN] = free_to ? realloc(r->applying, (r->applying_n + 1) * sizeof *more) : NULL;
	if (more) {
		r->applying = more;
		memcpy(more[r->applying_n++], id, JOURNAL_ID_LEN);
	}
	pthread_mutex_unlock(&r->lock);
	return more != NULL;
}

static void end_applying(struct receiver *r, const char *id)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->applying_n; i++)
		if (strcmp(r->applying[i], id) == 0) {
			memmove(r->applying[i], r->applying[r->applying_n - 1], JOURNAL_ID_LEN);
			r->applying_n--;
			break;
		}
	pthread_mutex_unlock(&r->lock);
}

/* ---- who speaks ---- */

static int64_t promised(struct node *n, bool *is_master)
{
	pthread_mutex_lock(&n->lock);
	int64_t epoch = n->promised;
	*is_master = n->role == NODE_MASTER;
	pthread_mutex_unlock(&n->lock);
	return epoch;
}

/* The node whose reign this epoch is, as _ddb says; "" when it does not know. */
static void reigning_node(struct receiver *r, int64_t epoch, char id[JOURNAL_ID_LEN])
{
	struct err e = ERR_INIT;
	struct conn *c;
	char sql[96], path[PATH_MAX], *text = NULL;
	int64_t there = 0;
	id[0] = '\0';
	snprintf(path, sizeof path, "%.*s/db/" CATALOG_SYSTEM ".db", PATH_MAX - 32, r->node->conf.data);
	snprintf(sql, sizeof sql, "SELECT node_id FROM epochs WHERE epoch = %" PRId64, epoch);
	if (readers_take(r->readers, path, &c, &e) != ERR_OK)
		return;
	if (conn_int(c, "SELECT count(*) FROM sqlite_schema WHERE name = 'epochs'", 0, &there, &e) == ERR_OK && there)
		conn_text(c, sql, &text, &e);
	readers_give(r->readers, c, e.code != ERR_OK);
	snprintf(id, JOURNAL_ID_LEN, "%s", text ? text : "");
	free(text);
}

/* One epoch has one master: the one that _ddb names, else who spoke first. */
static enum err_code check_master(struct receiver *r, const struct wire_from *from, struct err *e)
{
	char id[JOURNAL_ID_LEN];
	pthread_mutex_lock(&r->lock);
	bool known = r->master_epoch == from->epoch;
	memcpy(id, r->master_id, sizeof id);
	pthread_mutex_unlock(&r->lock);
	if (!known)
		reigning_node(r, from->epoch, id);
	if (id[0] && strcmp(id, from->node_id) != 0)
		return err_set(e, ERR_EPOCH_STALE, "epoch %" PRId64 " is the reign of the node with id %s, not of %s (%s)",
			from->epoch, id, from->node, from->node_id);
	pthread_mutex_lock(&r->lock);
	r->master_epoch = from->epoch;
	memcpy(r->master_id, from->node_id, sizeof r->master_id);
	pthread_mutex_unlock(&r->lock);
	return ERR_OK;
}

static enum err_code check_cluster(struct receiver *r, const struct wire_from *from, struct err *e)
{
	struct node *n = r->node;
	char mine[JOURNAL_ID_LEN];
	if (strcmp(from->to, n->conf.name) != 0)
		return err_set(e, ERR_NODE_UNKNOWN, "this is node %s; the message is for %s", n->conf.name, from->to);
	if (strcmp(from->node_id, n->node_id) == 0)
		return err_set(e, ERR_NODE_UNKNOWN, "node %s was sent its own message: two nodes of the pool have one address",
			n->conf.name);
	pthread_mutex_lock(&n->lock);
	memcpy(mine, n->cluster_id, sizeof mine);
	pthread_mutex_unlock(&n->lock);
	if (mine[0] && strcmp(mine, from->cluster) != 0)
		return err_set(e, ERR_CLUSTER_FOREIGN, "node %s belongs to the cluster %s, %s speaks for %s", n->conf.name, mine,
			from->node, from->cluster);
	return ERR_OK;
}

/* Whether a message of a reigning master is taken; makes the promises it asks for. */
static enum err_code admit(struct receiver *r, const struct wire_from *from, struct err *e)
{
	bool is_master;
	if (check_cluster(r, from, e) != ERR_OK || node_adopt(r->node, from->cluster, e) != ERR_OK)
		return e->code;
	int64_t epoch = promised(r->node, &is_master);
	if (from->epoch < epoch)
		return err_set(e, ERR_EPOCH_STALE, "node %s has promised epoch %" PRId64 "; %s speaks in %" PRId64,
			r->node->conf.name, epoch, from->node, from->epoch);
	if (is_master) {
		char why[200];
		snprintf(why, sizeof why, "node %s speaks as master of epoch %" PRId64 ", this one has %" PRId64, from->node,
			from->epoch, epoch);
		r->fenced(r->arg, from->epoch, from->node, why);
		if (from->epoch == epoch)
			return err_set(e, ERR_EPOCH_STALE, "%s", why);
	}
	if (check_master(r, from, e) != ERR_OK)
		return e->code;
	return from->epoch > epoch ? node_promise(r->node, from->epoch, e) : ERR_OK;
}

/* ---- answering ---- */

static int reply(struct receiver *r, struct wire_reply *w, const struct err *e, enum wire_reply_kind kind,
	struct buf *answer)
{
	bool ignored;
	if (w->code == ERR_OK)
		w->code = e->code;
	if (e->text[0])
		snprintf(w->detail, sizeof w->detail, "%s", e->text);
	snprintf(w->node, sizeof w->node, "%s", r->node->conf.name);
	w->promised = promised(r->node, &ignored);
	wire_reply_write(answer, w, kind);
	return err_status(w->code);
}

static struct catalog *open_catalog(struct receiver *r, struct err *e)
{
	struct catalog *c = r->catalog;
	if (!c)
		err_set(e, ERR_STARTING, "node %s is starting or stopping", r->node->conf.name);
	return c;
}

/* Whether the file is there and cannot be opened. A file that is just being put
 * in place has no writer yet either: while the set changes, nothing is said. (It
 * must not be waited for: whoever changes it may wait for the reference to db.) */
static bool is_damaged(struct catalog *c, const struct database *db)
{
	return !db->writer && access(db->path, F_OK) == 0 && catalog_at_rest(c) && !db->writer;
}

/* ---- rows ---- */

static struct database *get_database(struct catalog *c, const struct wire_batch *b)
{
	return strcmp(b->db, CATALOG_SYSTEM) == 0 ? catalog_get(c, CATALOG_SYSTEM) : catalog_get_id(c, b->id);
}

/* Makes the empty file of a database whose batch begins with row 1; a new reference. */
static struct database *make_database(struct catalog *c, struct database *db, const struct wire_batch *b, struct err *e)
{
	catalog_put(c, db);
	if (catalog_make_file(c, b->db, b->id, e) == ERR_EXISTS)
		err_reset(e); /* another message was faster */
	return get_database(c, b);
}

/* The database of the batch; made where it is missing and begins with row 1. */
static struct database *find_database(struct receiver *r, struct catalog *c, const struct wire_batch *b, struct err *e)
{
	struct database *db = get_database(c, b);
	if (db && strcmp(db->name, b->db) != 0)
		err_set(e, ERR_POSITION, "the database %s is called %s here, not %s", b->id, db->name, b->db);
	else if (db && is_damaged(c, db))
		err_set(e, ERR_CORRUPT, "the file of %s is damaged on node %s", b->db, r->node->conf.name);
	else if (db && !db->writer && b->prev.seq > 0)
		err_set(e, ERR_DATABASE_MISSING, "the file of %s is missing on node %s", b->db, r->node->conf.name);
	else if (db && !db->writer && b->n > 0)
		db = make_database(c, db, b, e);
	if (!db && e->code == ERR_OK)
		err_set(e, ERR_DATABASE_UNKNOWN, "the catalog of node %s does not name %s (%s) yet", r->node->conf.name, b->db,
			b->id);
	else if (e->code == ERR_OK && db->writer && strcmp(writer_id(db->writer), b->id) != 0)
		err_set(e, ERR_CLUSTER_FOREIGN, "the file of %s holds the database %s, the message is for %s", b->db,
			writer_id(db->writer), b->id);
	if (e->code == ERR_OK)
		return db;
	catalog_put(c, db);
	return NULL;
}

static bool is_fault(enum err_code code)
{
	return code == ERR_DISK_FULL || code == ERR_IO || code == ERR_NOMEM || code == ERR_OUTCOME_UNKNOWN;
}

/* What follows from how a batch went. */
static void note_outcome(struct receiver *r, const struct wire_batch *b, const struct wire_reply *w,
	const struct err *e)
{
	if (e->code == ERR_OK) {
		node_state_reached(r->self, b->id, &w->pos);
		node_state_fault(r->self, NULL);
		return;
	}
	if (e->code == ERR_DIVERGED || e->code == ERR_CORRUPT) {
		node_state_condition(r->self, b->id, e->code == ERR_CORRUPT ? WIRE_CORRUPT : WIRE_DIVERGED);
		node_event(r->node, e->code == ERR_CORRUPT ? "database.corrupt" : "database.diverged", "alert", NULL,
			"database %s at %" PRId64 ".%" PRId64 ": %s", b->db, w->pos.epoch, w->pos.seq, e->text);
	} else if (is_fault(e->code)) {
		node_state_fault(r->self, e->text);
		log_error("apply_failed", "database=%s seq=%" PRId64 " rows=%zu error=\"%s\"", b->db, w->pos.seq, b->n, e->text);
	}
	if (node_state_update(r->self))
		r->changed(r->arg);
}

static void apply_rows(struct receiver *r, struct catalog *c, const struct wire_batch *b, struct wire_reply *w,
	struct err *e)
{
	enum wire_condition condition = node_state_condition_of(r->self, b->id);
	if (condition == WIRE_DIVERGED || condition == WIRE_CORRUPT) {
		err_set(e, condition == WIRE_CORRUPT ? ERR_CORRUPT : ERR_DIVERGED, "the database %s on node %s waits for a whole copy",
			b->db, r->node->conf.name);
		return;
	}
	if (b->n > 0 && fetcher_busy(r->fetcher, b->id)) {
		err_set(e, ERR_BUSY, "a whole copy of %s is being fetched", b->db);
		return;
	}
	struct database *db = find_database(r, c, b, e);
	if (!db)
		return;
	node_state_head(r->self, b->id, b->head);
	struct writer *writer = db->writer;
	w->has_pos = writer != NULL;
	if (writer && b->n > 0) {
		struct writer_batch batch = {.prev = b->prev, .rows = b->rows, .ops = b->ops, .n = b->n};
		writer_apply(writer, &batch, &w->pos, &w->bad_seq, e);
		note_outcome(r, b, w, e);
	} else if (writer) {
		writer_head(writer, &w->pos);
	}
	catalog_put(c, db);
	if (e->code == ERR_OK && b->n > 0 && strcmp(b->db, CATALOG_SYSTEM) == 0)
		catalog_refresh(c, e);
}

static void apply(struct receiver *r, struct catalog *c, const struct wire_batch *b, struct wire_reply *w,
	struct err *e)
{
	if (b->n == 0) {
		apply_rows(r, c, b, w, e);
	} else if (begin_applying(r, b->id)) {
		apply_rows(r, c, b, w, e);
		end_applying(r, b->id);
	} else {
		err_set(e, ERR_BUSY, "an earlier message for %s is still being applied", b->db);
	}
}

int receive_rows(struct receiver *r, const char *body, size_t len, struct buf *answer)
{
	struct wire_batch b = {.n = 0};
	struct wire_reply w = {.code = ERR_OK};
	struct err e = ERR_INIT;
	struct catalog *c = open_catalog(r, &e);
	if (c && wire_batch_parse(body, len, &b, &e) == ERR_OK && admit(r, &b.from, &e) == ERR_OK)
		apply(r, c, &b, &w, &e);
	wire_batch_release(&b);
	return reply(r, &w, &e, WIRE_REPLY_ROWS, answer);
}

/* ---- offers ---- */

int receive_offer(struct receiver *r, const char *body, size_t len, struct buf *answer)
{
	struct wire_offer o;
	struct wire_reply w = {.code = ERR_OK, .phase = WIRE_FAILED};
	struct err e = ERR_INIT;
	struct catalog *c = open_catalog(r, &e);
	if (c && wire_offer_parse(body, len, &o, &e) == ERR_OK && admit(r, &o.from, &e) == ERR_OK) {
		bool system = strcmp(o.db, CATALOG_SYSTEM) == 0;
		struct database *db = system ? catalog_get(c, CATALOG_SYSTEM) : catalog_get_id(c, o.id);
		if (!db)
			err_set(&e, ERR_DATABASE_UNKNOWN, "the catalog of node %s does not name %s (%s) yet", r->node->conf.name, o.db,
				o.id);
		catalog_put(c, db);
		if (db)
			fetcher_offer(r->fetcher, &o, &w);
	}
	return reply(r, &w, &e, WIRE_REPLY_OFFER, answer);
}

/* ---- heartbeats ---- */

static enum wire_condition condition_of(struct receiver *r, struct catalog *c, const struct database *db)
{
	enum wire_condition condition = node_state_condition_of(r->self, db->id);
	if (condition != WIRE_OK || db->writer)
		return condition;
	if (!is_damaged(c, db))
		return db->writer ? WIRE_OK : WIRE_MISSING;
	node_state_condition(r->self, db->id, WIRE_CORRUPT);
	return WIRE_CORRUPT;
}

/* Where each database stands, for the answer; also what the own state is made of. */
static void fill_databases(struct receiver *r, struct catalog *c, struct wire_reply *w)
{
	struct database **all;
	size_t n = catalog_all(c, &all);
	w->databases = calloc(n + 1, sizeof *w->databases);
	for (size_t i = 0; i < n; i++) {
		struct writer *writer = all[i]->writer;
		struct wire_database *d = &w->databases[w->n];
		if (w->databases && all[i]->id[0]) {
			snprintf(d->name, sizeof d->name, "%s", all[i]->name);
			snprintf(d->id, sizeof d->id, "%s", all[i]->id);
			d->condition = condition_of(r, c, all[i]);
			d->has_pos = writer != NULL;
			if (writer) {
				writer_head(writer, &d->pos);
				node_state_reached(r->self, d->id, &d->pos);
			}
			w->n++;
		}
		catalog_put(c, all[i]);
	}
	free(all);
}

static void fill_status(struct receiver *r, struct wire_reply *w)
{
	struct node_state_view v;
	struct node *n = r->node;
	node_state_look(r->self, &v);
	pthread_mutex_lock(&n->lock);
	memcpy(w->cluster, n->cluster_id, sizeof w->cluster);
	snprintf(w->role, sizeof w->role, "%s", n->role == NODE_MASTER ? "master" : "slave");
	pthread_mutex_unlock(&n->lock);
	memcpy(w->node_id, n->node_id, sizeof w->node_id);
	w->reign = n->reign;
	snprintf(w->state, sizeof w->state, "%s", node_state_table[v.state].name);
	snprintf(w->sqlite, sizeof w->sqlite, "%s", sqlite3_libversion());
	snprintf(w->machine, sizeof w->machine, "%s", wire_machine());
	snprintf(w->error, sizeof w->error, "%s", v.error);
}

int receive_heartbeat(struct receiver *r, const char *body, size_t len, struct buf *answer)
{
	struct wire_heartbeat h = {.n = 0};
	struct wire_reply w = {.code = ERR_OK};
	struct err e = ERR_INIT;
	struct catalog *c = open_catalog(r, &e);
	if (c && wire_heartbeat_parse(body, len, &h, &e) == ERR_OK) {
		if (h.ask)
			check_cluster(r, &h.from, &e);
		else if (admit(r, &h.from, &e) == ERR_OK)
			node_state_heartbeat(r->self, &h);
	}
	if (e.code == ERR_OK && c)
		fill_databases(r, c, &w);
	if (e.code == ERR_OK && !h.ask && node_state_update(r->self))
		r->changed(r->arg);
	fill_status(r, &w);
	wire_heartbeat_release(&h);
	int status = reply(r, &w, &e, WIRE_REPLY_HEARTBEAT, answer);
	wire_reply_release(&w);
	return status;
}
