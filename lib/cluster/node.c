#include "lib/cluster/node.h"
#include "db/schema.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/cluster/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NODE_CACHE_KIB 512

void node_random_id(char id[JOURNAL_ID_LEN])
{
	unsigned char bytes[(JOURNAL_ID_LEN - 1) / 2];
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(id, JOURNAL_ID_LEN, bytes, sizeof bytes);
}

static void path_in(const struct conf *conf, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX - 64, conf->data, name);
}

static enum err_code make_folders(const struct conf *conf, struct err *e)
{
	static const char *const folders[] = {"", "db", "dropped", "orphaned", "snapshots", "incoming"};
	char path[PATH_MAX];
	for (size_t i = 0; i < sizeof folders / sizeof *folders && e->code == ERR_OK; i++) {
		path_in(conf, folders[i], path);
		file_mkdir(path, e);
	}
	return e->code;
}

/* The lock outlives nothing: the kernel takes it back when the process ends. */
static enum err_code lock_folder(struct node *n, struct err *e)
{
	char path[PATH_MAX];
	path_in(&n->conf, "lock", path);
	n->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (n->lock_fd < 0)
		return err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	if (flock(n->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK;
	int why = errno;
	close(n->lock_fd);
	n->lock_fd = -1;
	if (why == EWOULDBLOCK)
		return err_set(e, ERR_WRITER_LOCKED, "another write program holds %s; a node has one writer", n->conf.data);
	return err_set(e, ERR_IO, "cannot lock %s: %s", path, strerror(why));
}

/* ---- the values of node.db ---- */

static enum err_code put(struct conn *db, const char *name, const char *text, struct err *e)
{
	sqlite3_stmt *stmt;
	unsigned traits;
	static const char sql[] = "INSERT INTO node(name, value) VALUES(?, ?)"
		" ON CONFLICT(name) DO UPDATE SET value = excluded.value";
	if (conn_prepare(db, sql, sizeof sql - 1, &stmt, &traits, NULL, e) != ERR_OK)
		return e->code;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
	int rc = sqlite3_step(stmt);
	if (rc != SQLITE_DONE)
		conn_error(db, rc, e);
	conn_release(db, stmt);
	return e->code;
}

static enum err_code put_number(struct conn *db, const char *name, int64_t v, struct err *e)
{
	char digits[24];
	snprintf(digits, sizeof digits, "%" PRId64, v);
	return put(db, name, digits, e);
}

/* Copies the value into out; "" when there is none. */
static enum err_code get(struct conn *db, const char *name, char *out, size_t size, struct err *e)
{
	char sql[100], *text = NULL;
	snprintf(sql, sizeof sql, "SELECT value FROM node WHERE name = '%s'", name);
	if (conn_text(db, sql, &text, e) != ERR_OK)
		return e->code;
	snprintf(out, size, "%s", text ? text : "");
	free(text);
	return ERR_OK;
}

static enum err_code create_db(const struct conf *conf, const char *path, const char *cluster_id, const char *role,
	int64_t promised, struct err *e)
{
	struct conn db;
	char id[JOURNAL_ID_LEN];
	node_random_id(id);
	if (conn_open(&db, path, CONN_CREATE, NODE_CACHE_KIB, e) != ERR_OK)
		return e->code;
	if (conn_exec(&db, "BEGIN IMMEDIATE", e) == ERR_OK && conn_exec(&db, schema_node, e) == ERR_OK &&
		put(&db, "node_id", id, e) == ERR_OK && put(&db, "cluster_id", cluster_id, e) == ERR_OK &&
		put(&db, "name", conf->name, e) == ERR_OK && put(&db, "role", role, e) == ERR_OK &&
		put_number(&db, "promised", promised, e) == ERR_OK && put(&db, "boot", clock_boot_id(), e) == ERR_OK)
		conn_exec(&db, "COMMIT", e);
	conn_close(&db);
	return e->code;
}

static enum err_code load(struct node *n, struct err *e)
{
	char name[64], role[16], promised[24], boot[64];
	if (get(&n->db, "node_id", n->node_id, sizeof n->node_id, e) != ERR_OK ||
		get(&n->db, "cluster_id", n->cluster_id, sizeof n->cluster_id, e) != ERR_OK ||
		get(&n->db, "name", name, sizeof name, e) != ERR_OK || get(&n->db, "role", role, sizeof role, e) != ERR_OK ||
		get(&n->db, "promised", promised, sizeof promised, e) != ERR_OK ||
		get(&n->db, "boot", boot, sizeof boot, e) != ERR_OK)
		return e->code;
	if (strcmp(name, n->conf.name) != 0)
		return err_set(e, ERR_BAD_VALUE, "%s belongs to the node '%s', the configuration names '%s'", n->conf.data, name,
			n->conf.name);
	n->role = strcmp(role, "master") == 0 ? NODE_MASTER : NODE_SLAVE;
	n->promised = strtoll(promised, NULL, 10);
	n->rebooted = strcmp(boot, clock_boot_id()) != 0;
	return put(&n->db, "boot", clock_boot_id(), e);
}

enum err_code node_open(struct node *n, const struct conf *conf, struct err *e)
{
	char path[PATH_MAX];
	memset(n, 0, sizeof *n);
	n->conf = *conf;
	n->lock_fd = -1;
	if (make_folders(conf, e) != ERR_OK || lock_folder(n, e) != ERR_OK)
		return e->code;
	path_in(conf, "node.db", path);
	if (access(path, F_OK) != 0)
		create_db(conf, path, "", "slave", 0, e);
	pthread_mutex_init(&n->lock, NULL);
	if (e->code != ERR_OK || conn_open(&n->db, path, CONN_WRITER, NODE_CACHE_KIB, e) != ERR_OK || load(n, e) != ERR_OK)
		node_close(n);
	return e->code;
}

void node_close(struct node *n)
{
	conn_close(&n->db);
	if (n->lock_fd >= 0)
		close(n->lock_fd);
	n->lock_fd = -1;
	pthread_mutex_destroy(&n->lock);
}

/* ---- changes ---- */

enum err_code node_adopt(struct node *n, const char *cluster_id, struct err *e)
{
	pthread_mutex_lock(&n->lock);
	if (strlen(cluster_id) != JOURNAL_ID_LEN - 1)
		err_set(e, ERR_WIRE, "a cluster id has %d hex digits", JOURNAL_ID_LEN - 1);
	else if (n->cluster_id[0] && strcmp(n->cluster_id, cluster_id) != 0)
		err_set(e, ERR_CLUSTER_FOREIGN, "the node %s belongs to the cluster %s, the request comes from %s", n->conf.name,
			n->cluster_id, cluster_id);
	else if (!n->cluster_id[0] && put(&n->db, "cluster_id", cluster_id, e) == ERR_OK)
		memcpy(n->cluster_id, cluster_id, JOURNAL_ID_LEN);
	pthread_mutex_unlock(&n->lock);
	return e->code;
}

enum err_code node_promise(struct node *n, int64_t epoch, struct err *e)
{
	pthread_mutex_lock(&n->lock);
	if (epoch < n->promised)
		err_set(e, ERR_EPOCH_STALE, "the node %s has promised epoch %" PRId64 "; %" PRId64 " is older", n->conf.name,
			n->promised, epoch);
	else if (epoch > n->promised && put_number(&n->db, "promised", epoch, e) == ERR_OK)
		n->promised = epoch;
	pthread_mutex_unlock(&n->lock);
	return e->code;
}

enum err_code node_set_role(struct node *n, enum node_role role, struct err *e)
{
	pthread_mutex_lock(&n->lock);
	if (put(&n->db, "role", role == NODE_MASTER ? "master" : "slave", e) == ERR_OK)
		n->role = role;
	pthread_mutex_unlock(&n->lock);
	return e->code;
}

void node_event(struct node *n, const char *kind, const char *level, const char *data_json, const char *fmt, ...)
{
	char text[600];
	struct err e = ERR_INIT;
	sqlite3_stmt *stmt;
	unsigned traits;
	static const char sql[] = "INSERT INTO event(at_ms, kind, level, text, data) VALUES(?, ?, ?, ?, ?)";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_line(strcmp(level, "info") == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, kind, "text=\"%s\" data=%s", text,
		data_json ? data_json : "{}");
	pthread_mutex_lock(&n->lock);
	if (n->db.db && conn_prepare(&n->db, sql, sizeof sql - 1, &stmt, &traits, NULL, &e) == ERR_OK) {
		sqlite3_bind_int64(stmt, 1, clock_wall_ms());
		sqlite3_bind_text(stmt, 2, kind, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 3, level, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 4, text, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 5, data_json ? data_json : "{}", -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			log_warn("event_not_kept", "error=\"%s\"", sqlite3_errmsg(n->db.db));
		conn_release(&n->db, stmt);
		char prune[100];
		snprintf(prune, sizeof prune, "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - %" PRId64,
			n->conf.events);
		conn_step(&n->db, prune, &e);
	}
	pthread_mutex_unlock(&n->lock);
}

/* ---- a new cluster ---- */

/* The first rows of _ddb: its tables, this node, the first epoch. */
static json_t *first_operation(const struct conf *conf, const char *node_id)
{
	int64_t now = clock_wall_ms();
	return json_pack("{s:[s,{s:s,s:[s,s,s,I]},{s:s,s:[s,s,I]}]}", "statements", schema_catalog,
		"sql", "INSERT INTO nodes(name, url, peer_url, added_ms) VALUES(?, ?, ?, ?)",
		"params", conf->name, conf->url, conf->peer_url, (json_int_t)now,
		"sql", "INSERT INTO epochs(epoch, node, node_id, began_ms) VALUES(1, ?, ?, ?)",
		"params", conf->name, node_id, (json_int_t)now);
}

static enum err_code first_catalog(struct node *n, struct err *e)
{
	struct conn c;
	struct writer *w;
	struct journal_pos pos;
	char path[PATH_MAX], id[JOURNAL_ID_LEN], body[128];
	_Atomic int64_t reign = 1;
	path_in(&n->conf, "db/" CATALOG_SYSTEM ".db", path);
	node_random_id(id);
	if (conn_open(&c, path, CONN_CREATE, NODE_CACHE_KIB, e) != ERR_OK)
		return e->code;
	journal_create(&c, id, CATALOG_SYSTEM, e);
	conn_close(&c);
	if (e->code != ERR_OK || writer_open(&w, path, &n->conf, &reign, NULL, e) != ERR_OK)
		return e->code;
	snprintf(body, sizeof body, "{\"name\":\"%s\",\"id\":\"%s\"}", CATALOG_SYSTEM, id);
	json_t *op = first_operation(&n->conf, n->node_id);
	struct writer_answer a = {.results = BUF_INIT(4096)};
	if (writer_control(w, "create", body, &pos, e) == ERR_OK)
		writer_op(w, op, 0, false, &a, e);
	json_decref(op);
	buf_release(&a.results);
	writer_close(w);
	return e->code;
}

enum err_code node_init_master(const struct conf *conf, struct err *e)
{
	char path[PATH_MAX], cluster_id[JOURNAL_ID_LEN];
	struct node n;
	if (make_folders(conf, e) != ERR_OK)
		return e->code;
	path_in(conf, "node.db", path);
	if (access(path, F_OK) == 0)
		return err_set(e, ERR_EXISTS, "%s exists: this folder already belongs to a node", path);
	node_random_id(cluster_id);
	/* The role comes last, so that a half-made master is a slave without a cluster. */
	if (create_db(conf, path, cluster_id, "slave", 1, e) != ERR_OK || node_open(&n, conf, e) != ERR_OK)
		return e->code;
	if (first_catalog(&n, e) == ERR_OK)
		node_set_role(&n, NODE_MASTER, e);
	node_close(&n);
	return e->code;
}
