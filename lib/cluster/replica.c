#include "lib/cluster/replica.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/cluster/heartbeat.h"
#include "lib/cluster/inspect.h"
#include "lib/cluster/prune.h"
#include "lib/cluster/receive.h"
#include "lib/cluster/sender.h"
#include "lib/cluster/statefile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POSITIONS_MS 2000

struct replica {
	struct node *node;
	struct readers *readers;
	struct catalog *catalog;
	struct self *self;
	struct pool *pool;
	struct reign *reign;
	struct fetcher *fetcher;
	struct receiver receiver;
	struct shelf *shelf;
	struct heartbeat *heartbeat;
	struct prune *prune;
	struct inspect *inspect;
	struct sender_env senders;
	char system_path[PATH_MAX];

	/* The keeper: works out the states, keeps the senders in step with the
	 * pool, opens the reign, writes the state file. */
	pthread_t keeper;
	bool keeper_runs, was_master;
	pthread_mutex_t lock;
	pthread_cond_t wake;           /* CLOCK_MONOTONIC */
	bool quit, poked;
	char *positions;               /* the slaves', as last kept */
	int64_t positions_boot_ms;
	_Atomic bool system_changed;   /* _ddb was written */
};

/* ---- what other threads tell the keeper ---- */

static void poke(void *arg)
{
	struct replica *r = arg;
	pthread_mutex_lock(&r->lock);
	r->poked = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

static void fenced(void *arg, int64_t epoch, const char *by, const char *detail)
{
	struct replica *r = arg;
	reign_fenced(r->reign, epoch, by, detail);
	poke(r);
}

static void wake_one(void *arg, struct slave *s)
{
	(void)arg;
	if (s->sender)
		sender_wake(s->sender);
}

static void copy_ready(void *arg)
{
	struct replica *r = arg;
	pool_each_slave(r->pool, wake_one, NULL);
}

void replica_committed(void *arg, struct database *db, const struct journal_pos *head, int64_t row_bytes)
{
	struct replica *r = arg;
	if (!reign_is_master(r->reign))
		return;
	pool_committed(r->pool, db, head, row_bytes);
	if (strcmp(db->name, CATALOG_SYSTEM) == 0) {
		r->system_changed = true;
		poke(r);
	}
}

/* ---- the keeper ---- */

static void start_sender(void *arg, struct slave *s)
{
	struct replica *r = arg;
	struct err e = ERR_INIT;
	if (!s->sender && sender_start(&s->sender, &r->senders, s, &e) != ERR_OK)
		log_error("sender_not_started", "slave=%s error=\"%s\"", s->name, e.text);
}

static void retire(void *arg, struct slave *s)
{
	(void)arg;
	sender_stop(s->sender);
	s->sender = NULL;
}

struct senders {
	struct sender **list;
	size_t n;
};

static void take_sender(void *arg, struct slave *s)
{
	struct senders *all = arg;
	struct sender **list = s->sender ? realloc(all->list, (all->n + 1) * sizeof(struct sender *)) : NULL;
	if (!list)
		return;
	all->list = list;
	all->list[all->n++] = s->sender;
	s->sender = NULL;
}

static void stop_senders(struct replica *r)
{
	struct senders all = {.n = 0};
	pool_each_slave(r->pool, take_sender, &all);
	for (size_t i = 0; i < all.n; i++)
		sender_quit(all.list[i]);
	for (size_t i = 0; i < all.n; i++)
		sender_stop(all.list[i]);
	free(all.list);
}

/* The pool as _ddb says now. */
static void refresh_pool(struct replica *r)
{
	struct err e = ERR_INIT;
	r->system_changed = false;
	pool_refresh_databases(r->pool, r->catalog);
	if (pool_refresh_slaves(r->pool, r->system_path, retire, r, &e) != ERR_OK) {
		log_warn("pool_unreadable", "error=\"%s\"", e.text);
		r->system_changed = true; /* again at the next beat */
	}
}

static void ask_members(struct replica *r)
{
	struct pool_target *targets;
	size_t n = pool_targets(r->pool, &targets);
	char (*names)[WIRE_NAME_LEN] = calloc(n + 1, sizeof *names);
	for (size_t i = 0; names && i < n; i++)
		memcpy(names[i], targets[i].name, WIRE_NAME_LEN);
	if (names)
		reign_members(r->reign, (const char (*)[WIRE_NAME_LEN])names, n);
	free(names);
	free(targets);
}

static void keep_as_master(struct replica *r)
{
	if (r->system_changed)
		refresh_pool(r);
	if (reign_step(r->reign, r->catalog)) {
		refresh_pool(r);
		heartbeat_wake(r->heartbeat);
	}
	if (reign_is_open(r->reign))
		pool_each_slave(r->pool, start_sender, r);
	pool_update(r->pool);
}

static json_t *databases_json(struct replica *r)
{
	struct database **all;
	size_t n = catalog_all(r->catalog, &all);
	json_t *o = json_object();
	for (size_t i = 0; i < n; i++) {
		struct writer *w = all[i]->writer;
		struct journal_pos pos;
		if (w)
			writer_head(w, &pos);
		if (all[i]->id[0])
			json_object_set_new(o, all[i]->name, node_state_database(r->self, all[i]->id, w ? &pos : NULL));
		catalog_put(r->catalog, all[i]);
	}
	free(all);
	return o;
}

static json_t *master_json(const struct replica *r, const struct node_state_view *v)
{
	const struct conf *conf = &r->node->conf;
	if (v->is_master)
		return json_pack("{s:s, s:s, s:s}", "name", conf->name, "url", conf->url, "peer_url", conf->peer_url);
	if (!v->master_url[0])
		return json_null();
	return json_pack("{s:s, s:s, s:s}", "name", v->master_name, "url", v->master_url, "peer_url", v->master_peer_url);
}

static void write_statefile(struct replica *r)
{
	struct node_state_view v;
	struct err e = ERR_INIT;
	char cluster[JOURNAL_ID_LEN];
	node_state_look(r->self, &v);
	pthread_mutex_lock(&r->node->lock);
	memcpy(cluster, r->node->cluster_id, sizeof cluster);
	int64_t promised = r->node->promised;
	pthread_mutex_unlock(&r->node->lock);
	json_t *doc = json_pack("{s:i, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:o, s:o, s:o, s:o}",
		"version", 1, "boot_id", clock_boot_id(), "pid", (int)getpid(), "node", r->node->conf.name, "node_id",
		r->node->node_id, "cluster", cluster, "role", v.is_master ? "master" : "slave", "state",
		node_state_table[v.state].name, "since_ms", (json_int_t)v.since_ms, "epoch", (json_int_t)promised, "reign",
		(json_int_t)r->node->reign, "was_in_sync", v.was_in_sync, "open", v.open, "heartbeat_boot_ms",
		v.heartbeat_boot_ms >= 0 ? json_integer(v.heartbeat_boot_ms) : json_null(), "error",
		v.error[0] ? json_string(v.error) : json_null(), "master", master_json(r, &v), "databases", databases_json(r));
	if (doc && v.is_master)
		json_object_set_new(doc, "slaves", pool_json(r->pool));
	if (!doc)
		err_set(&e, ERR_NOMEM, "no memory for the state file");
	else
		statefile_write(&r->node->conf, doc, &e);
	if (e.code != ERR_OK)
		log_warn("state_not_written", "error=\"%s\"", e.text);
	json_decref(doc);
}

static void positions_path(const struct replica *r, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.*s/positions.json", PATH_MAX - 32, r->node->conf.data);
}

/* Kept now and then, where they changed; a lost file costs a question. */
static void keep_positions(struct replica *r, bool now)
{
	char path[PATH_MAX];
	struct err e = ERR_INIT;
	if (!now && clock_boot_ms() - r->positions_boot_ms < POSITIONS_MS)
		return;
	r->positions_boot_ms = clock_boot_ms();
	json_t *all = pool_positions(r->pool);
	char *text = all ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(all);
	if (!text || (r->positions && strcmp(text, r->positions) == 0)) {
		free(text);
		return;
	}
	positions_path(r, path);
	if (file_replace(path, text, strlen(text), false, &e) != ERR_OK)
		log_warn("positions_not_kept", "error=\"%s\"", e.text);
	free(r->positions);
	r->positions = text;
}

static void recall_positions(struct replica *r)
{
	char path[PATH_MAX];
	positions_path(r, path);
	json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	pool_recall(r->pool, all);
	json_decref(all);
}

static void keep(struct replica *r)
{
	bool master = reign_is_master(r->reign);
	if (master)
		keep_as_master(r);
	else if (r->was_master) {
		stop_senders(r);
		pool_forget(r->pool);
	}
	r->was_master = master;
	if (master)
		keep_positions(r, false);
	node_state_update(r->self);
	write_statefile(r);
}

static void *keeper_thread(void *arg)
{
	struct replica *r = arg;
	pthread_mutex_lock(&r->lock);
	while (!r->quit) {
		r->poked = false;
		pthread_mutex_unlock(&r->lock);
		keep(r);
		struct timespec until = clock_deadline(r->node->conf.heartbeat_ms);
		pthread_mutex_lock(&r->lock);
		for (int rc = 0; !r->quit && !r->poked && rc == 0;)
			rc = pthread_cond_timedwait(&r->wake, &r->lock, &until);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- life ---- */

enum err_code replica_new(struct replica **out, struct node *node, struct readers *readers, struct err *e)
{
	struct replica *r = calloc(1, sizeof *r);
	pthread_condattr_t attr;
	*out = NULL;
	if (!r)
		return err_set(e, ERR_NOMEM, "no memory for replication");
	r->node = node;
	r->readers = readers;
	snprintf(r->system_path, sizeof r->system_path, "%.*s/db/" CATALOG_SYSTEM ".db", PATH_MAX - 32, node->conf.data);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	json_t *before = statefile_document(&node->conf);
	if (node_state_new(&r->self, node, before, e) == ERR_OK && pool_new(&r->pool, node, readers, poke, r, e) == ERR_OK &&
		reign_new(&r->reign, node, r->self, e) == ERR_OK)
		fetcher_new(&r->fetcher, node, readers, r->self, e);
	json_decref(before);
	receiver_init(&r->receiver, node, r->self, r->fetcher, readers);
	if (e->code != ERR_OK) {
		replica_free(r);
		return e->code;
	}
	r->receiver.fenced = fenced;
	r->receiver.changed = poke;
	r->receiver.arg = r;
	*out = r;
	return ERR_OK;
}

enum err_code replica_start(struct replica *r, struct catalog *catalog, struct err *e)
{
	r->catalog = catalog;
	fetcher_set_catalog(r->fetcher, catalog);
	if (shelf_new(&r->shelf, &r->node->conf, r->readers, copy_ready, r, e) != ERR_OK)
		return e->code;
	r->senders = (struct sender_env){r->node, r->pool, r->readers, r->shelf, fenced, r};
	if (reign_is_master(r->reign)) {
		refresh_pool(r);
		recall_positions(r);
		ask_members(r);
	}
	struct prune_env prune = {r->node, catalog, r->readers, r->pool, r->shelf, r->reign, r->self};
	if (heartbeat_start(&r->heartbeat, r->node, r->pool, r->reign, r->self, poke, r, e) != ERR_OK ||
		prune_start(&r->prune, &prune, e) != ERR_OK ||
		inspect_start(&r->inspect, r->node, catalog, r->self, poke, r, e) != ERR_OK)
		return e->code;
	/* A master that is the only member is open when this returns. */
	keep(r);
	if (pthread_create(&r->keeper, NULL, keeper_thread, r) != 0)
		return err_set(e, ERR_NOMEM, "cannot start the keeper's thread");
	r->keeper_runs = true;
	r->receiver.catalog = catalog; /* from now on messages are taken */
	return ERR_OK;
}

void replica_drain(struct replica *r)
{
	pool_drain(r->pool);
	reign_drain(r->reign);
}

void replica_stop(struct replica *r)
{
	r->receiver.catalog = NULL;
	replica_drain(r);
	if (r->keeper_runs) {
		pthread_mutex_lock(&r->lock);
		r->quit = true;
		pthread_cond_signal(&r->wake);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->keeper, NULL);
		r->keeper_runs = false;
		if (r->was_master)
			keep_positions(r, true);
	}
	heartbeat_stop(r->heartbeat);
	r->heartbeat = NULL;
	stop_senders(r);
	prune_stop(r->prune);
	r->prune = NULL;
	inspect_stop(r->inspect);
	r->inspect = NULL;
	fetcher_free(r->fetcher);
	r->fetcher = NULL;
	shelf_free(r->shelf);
	r->shelf = NULL;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	fetcher_free(r->fetcher);
	reign_free(r->reign);
	pool_free(r->pool);
	node_state_free(r->self);
	receiver_release(&r->receiver);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r->positions);
	free(r);
}

/* ---- for clients' requests ---- */

enum err_code replica_wait_open(struct replica *r, int64_t timeout_ms, struct err *e)
{
	return reign_wait_open(r->reign, timeout_ms, e);
}

bool replica_master_host(struct replica *r, char *out, size_t size)
{
	struct node_state_view v;
	node_state_look(r->self, &v);
	return !v.is_master && statefile_host(v.master_url, out, size);
}

int replica_slaves_in_sync(struct replica *r)
{
	return reign_is_open(r->reign) ? pool_in_sync(r->pool) : 0;
}

int replica_wait_acked(struct replica *r, const char *database_id, const struct journal_pos *pos, int n,
	int64_t timeout_ms)
{
	return pool_wait_acked(r->pool, database_id, pos, n, timeout_ms);
}

void replica_self(struct replica *r, struct replica_self *self)
{
	struct node_state_view v;
	node_state_look(r->self, &v);
	*self = (struct replica_self){.state = v.state, .since_ms = v.since_ms, .reign = r->node->reign,
		.open = reign_is_open(r->reign)};
	pthread_mutex_lock(&r->node->lock);
	self->promised = r->node->promised;
	pthread_mutex_unlock(&r->node->lock);
	memcpy(self->error, v.error, sizeof self->error);
}

/* ---- for other nodes' messages ---- */

int replica_take_rows(struct replica *r, const char *body, size_t len, struct buf *answer)
{
	return receive_rows(&r->receiver, body, len, answer);
}

int replica_take_heartbeat(struct replica *r, const char *body, size_t len, struct buf *answer)
{
	return receive_heartbeat(&r->receiver, body, len, answer);
}

int replica_take_snapshot(struct replica *r, const char *body, size_t len, struct buf *answer)
{
	return receive_offer(&r->receiver, body, len, answer);
}

/* ---- for administrators ---- */

json_t *replica_slaves(struct replica *r)
{
	return pool_json(r->pool);
}

static bool name_ok(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return len > 0 && len < WIRE_NAME_LEN;
}

/* Whether _ddb has a node of that name. */
static bool in_pool(struct replica *r, const char *name, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM nodes WHERE name = ?";
	struct conn *c;
	sqlite3_stmt *stmt;
	unsigned traits;
	bool found = false;
	if (readers_take(r->readers, r->system_path, &c, e) != ERR_OK)
		return false;
	if (conn_prepare(c, sql, sizeof sql - 1, &stmt, &traits, NULL, e) == ERR_OK) {
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
		found = sqlite3_step(stmt) == SQLITE_ROW;
		conn_release(c, stmt);
	}
	readers_give(r->readers, c, e->code != ERR_OK);
	return found;
}

/* Runs one statement in _ddb; params is stolen. The keeper follows at once. */
static enum err_code change(struct replica *r, const char *sql, json_t *params, struct err *e)
{
	struct journal_pos pos;
	json_t *op = json_pack("{s:[{s:s, s:o}]}", "statements", "sql", sql, "params", params);
	if (!op)
		return err_set(e, ERR_NOMEM, "no memory for the operation");
	catalog_system_op(r->catalog, op, &pos, e);
	json_decref(op);
	return e->code;
}

/* http://host:port and nothing else: it goes into the configuration of HAProxy,
 * where follow-pool passes the same form only, and into headers for nginx. */
static bool address_ok(const char *url)
{
	static const char scheme[] = "http://", digits[] = "0123456789";
	if (!url || strlen(url) >= WIRE_URL_LEN || strncmp(url, scheme, sizeof scheme - 1) != 0)
		return false;
	url += sizeof scheme - 1;
	size_t host = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	if (host == 0 || url[host] != ':')
		return false;
	url += host + 1;
	size_t port = strspn(url, digits);
	return port > 0 && port <= 5 && url[port] == '\0' && strtol(url, NULL, 10) >= 1 && strtol(url, NULL, 10) <= 65535;
}

enum err_code replica_pool_add(struct replica *r, const char *name, const char *url, const char *peer_url,
	struct err *e)
{
	if (!name_ok(name))
		return err_set(e, ERR_BAD_NAME, "a node's name has 1 to %d letters, digits, - and _", WIRE_NAME_LEN - 1);
	if (!address_ok(url) || !address_ok(peer_url))
		return err_set(e, ERR_BAD_VALUE, "url and peer_url must have the form http://host:port");
	if (in_pool(r, name, e))
		return err_set(e, ERR_EXISTS, "the pool has a node %s already", name);
	if (e->code == ERR_OK && change(r, "INSERT INTO nodes(name, url, peer_url, added_ms) VALUES(?, ?, ?, ?)",
		    json_pack("[s, s, s, I]", name, url, peer_url, (json_int_t)clock_wall_ms()), e) == ERR_CONSTRAINT) {
		err_reset(e);
		err_set(e, ERR_EXISTS, "the pool has a node %s already", name);
	}
	return e->code;
}

static enum err_code find_slave(struct replica *r, const char *name, struct err *e)
{
	if (strcmp(name, r->node->conf.name) == 0)
		return err_set(e, ERR_BAD_VALUE, "node %s is the master, not a slave", name);
	return in_pool(r, name, e) ? ERR_OK : err_set(e, ERR_NODE_UNKNOWN, "the pool has no slave %.64s", name);
}

enum err_code replica_pool_remove(struct replica *r, const char *name, struct err *e)
{
	if (find_slave(r, name, e) == ERR_OK)
		change(r, "DELETE FROM nodes WHERE name = ?", json_pack("[s]", name), e);
	return e->code;
}

enum err_code replica_pool_pause(struct replica *r, const char *name, bool paused, struct err *e)
{
	if (find_slave(r, name, e) == ERR_OK)
		change(r, "UPDATE nodes SET paused = ? WHERE name = ?", json_pack("[i, s]", paused, name), e);
	return e->code;
}

enum err_code replica_pool_reseed(struct replica *r, const char *name, struct err *e)
{
	if (find_slave(r, name, e) == ERR_OK && !pool_copy_all(r->pool, name))
		err_set(e, ERR_NODE_UNKNOWN, "the pool has no slave %.64s", name);
	return e->code;
}
