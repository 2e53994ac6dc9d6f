/* lib/cluster/pool: what is pending, counted without counting anything twice;
 * states; turns of repair; how far journals may be cut. */
#define _GNU_SOURCE   /* nftw */
#include "lib/base/clock.h"
#include "lib/cluster/pool.h"
#include "t/tap.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

static struct node node;
static struct readers *readers;
static struct catalog *catalog;
static struct pool *pool;
static char system_path[PATH_MAX], shop_path[PATH_MAX], shop_id[JOURNAL_ID_LEN];
static struct slave *slave[3];   /* 1: n2, 2: n3 */
static int retired;

static void committed(void *arg, struct database *db, const struct journal_pos *head, int64_t bytes)
{
	pool_committed(*(struct pool **)arg, db, head, bytes);
}

static void ignore(void *arg) { (void)arg; }
static void retire(void *arg, struct slave *s)
{
	(void)arg;
	(void)s;
	retired++;
}
static void note(void *arg, struct slave *s)
{
	(void)arg;
	slave[s->name[1] - '1'] = s;
}

static void system_op(const char *sql)
{
	struct err e = ERR_INIT;
	struct journal_pos pos;
	json_t *op = json_pack("{s:[s]}", "statements", sql);
	if (catalog_system_op(catalog, op, &pos, &e) != ERR_OK)
		printf("# %s: %s\n", sql, e.text);
	json_decref(op);
	pool_refresh_databases(pool, catalog);
	if (pool_refresh_slaves(pool, system_path, retire, NULL, &e) != ERR_OK)
		printf("# %s\n", e.text);
	pool_each_slave(pool, note, NULL);
}

/* n operations in shop; the head afterwards. */
static struct journal_pos operations(int n)
{
	struct err e = ERR_INIT;
	struct database *db = catalog_get(catalog, "shop");
	struct journal_pos head;
	json_t *op = json_pack("{s:[s]}", "statements", "insert into t values(1)");
	for (int i = 0; i < n; i++) {
		struct writer_answer a = {.results = BUF_INIT(4096)};
		if (writer_op(db->writer, op, 0, false, &a, &e) != ERR_OK)
			printf("# %s\n", e.text);
		buf_release(&a.results);
	}
	json_decref(op);
	writer_head(db->writer, &head);
	catalog_put(catalog, db);
	return head;
}

/* The truth: rows and bytes of the journal in (after, upto]. */
static int64_t journal_bytes(int64_t after, int64_t upto)
{
	struct err e = ERR_INIT;
	struct conn *c;
	int64_t rows, bytes, oldest;
	readers_take(readers, shop_path, &c, &e);
	journal_pending(c, after, upto - after, &rows, &bytes, &oldest, &e);
	readers_give(readers, c, false);
	return bytes;
}

static struct journal_pos at(int64_t seq)
{
	struct err e = ERR_INIT;
	struct conn *c;
	struct journal_pos pos = {0};
	readers_take(readers, shop_path, &c, &e);
	journal_at(c, seq, &pos, &e);
	readers_give(readers, c, false);
	return pos;
}

/* A member of a slave's figures; -1: null. */
static int64_t pending(int i, const char *key)
{
	json_t *all = pool_json(pool), *v = NULL;
	size_t k;
	json_t *s;
	json_array_foreach(all, k, s)
		if (strcmp(json_string_value(json_object_get(s, "name")), slave[i]->name) == 0)
			v = json_object_get(json_object_get(s, "pending"), key);
	int64_t n = json_is_integer(v) ? json_integer_value(v) : -1;
	json_decref(all);
	return n;
}

static void count_all(void)
{
	for (int i = 0; i < 100 && pool_count_some(pool); i++)
		;
}

static void ack(int i, int64_t seq, int64_t bytes)
{
	struct journal_pos pos = at(seq);
	pool_acked(pool, slave[i], shop_id, &pos, bytes);
}

/* A session in which every database's position is known. */
static void connect_slave(int i, int64_t seq)
{
	struct wire_database *heads;
	pool_connected(pool, slave[i]);
	size_t n = pool_heads(pool, &heads);
	for (size_t d = 0; d < n; d++)
		if (strcmp(heads[d].id, shop_id) != 0)
			pool_acked(pool, slave[i], heads[d].id, &heads[d].pos, -1);
	free(heads);
	ack(i, seq, -1);
}

static void test_pending(void)
{
	struct journal_pos head = operations(20);
	is_int(pending(1, "operations"), -1, "of a slave that was never heard of nothing is known");
	is_int(pending(1, "bytes"), -1, "no bytes");
	is_int(pending(1, "oldest_ms"), -1, "no age");
	connect_slave(1, 5);
	is_int(pending(1, "operations"), head.seq - 5, "once its position is known: the rows it lacks");
	is_int(pending(1, "bytes"), -1, "their bytes are not counted yet");
	ok(pending(1, "oldest_at_ms") > 1600000000000, "the oldest one's moment");
	head = operations(7);
	count_all();
	is_int(pending(1, "bytes"), journal_bytes(5, head.seq), "counted");
	head = operations(7);
	is_int(pending(1, "bytes"), journal_bytes(5, head.seq), "commits add to it");
	ack(1, 12, journal_bytes(5, 12));
	is_int(pending(1, "bytes"), journal_bytes(12, head.seq), "acknowledgements take away");
	is_int(pending(1, "operations"), head.seq - 12, "rows, too");
	ack(1, head.seq, journal_bytes(12, head.seq));
	ok(pending(1, "bytes") == 0 && pending(1, "operations") == 0 && pending(1, "oldest_at_ms") == -1,
		"all of it acknowledged: nothing pending");
	head = operations(3);
	is_int(pending(1, "bytes"), journal_bytes(head.seq - 3, head.seq), "from then on exact without a count");
	ack(1, head.seq - 2, -1);
	is_int(pending(1, "bytes"), -1, "a position of unknown distance makes a new count");
	count_all();
	is_int(pending(1, "bytes"), journal_bytes(head.seq - 2, head.seq), "which is made");
}

static void test_states(void)
{
	struct journal_pos head = operations(1);
	connect_slave(1, head.seq);
	pool_update(pool);
	is_int(pool_in_sync(pool), 1, "a slave that has everything is ready");
	is_int(pool_wait_acked(pool, shop_id, &head, 1, 5000), 1, "who waits for one slave has it");
	is_int(pool_wait_acked(pool, shop_id, &head, 2, 20), 1, "who waits for two learns in time that one has it");
	connect_slave(2, 3);
	is_int(pool_in_sync(pool), 1, "one that lacks rows is not ready");
	pool_failed(pool, slave[1], "connection refused");
	is_int(pool_in_sync(pool), 0, "one that cannot be reached is not ready");
	is_str(slave_state_table[slave[1]->state].name, "down", "but down");
	is_int(pool_wait_acked(pool, shop_id, &head, 1, 20), 1, "what it had it still has");
	struct wire_reply r = {.code = ERR_OK, .state = "ready"};
	connect_slave(1, head.seq);
	pool_update(pool);
	struct pool_target *t;
	free((pool_targets(pool, &t), t)); /* a heartbeat is sent now … */
	pool_answered(pool, "n2", &r);     /* … and its answer names no database at all */
	struct pool_work w;
	pool_link(pool, slave[1], shop_id, &w);
	is_int(w.mode, LINK_UNKNOWN, "a slave that lost its file since is asked again");
	connect_slave(1, head.seq);
}

static void test_repair(void)
{
	struct pool_work w;
	struct journal_pos head = operations(1);
	connect_slave(1, head.seq - 1);
	connect_slave(2, head.seq - 1);
	pool_diverged(pool, slave[1], shop_id, 7, "diverged", "row 7");
	pool_diverged(pool, slave[2], shop_id, 8, "diverged", "row 8");
	size_t cursor = 0;
	bool one = false, two = false;
	while (pool_work(pool, slave[1], &cursor, &w))
		one |= w.mode == LINK_COPY && w.turn;
	for (cursor = 0; pool_work(pool, slave[2], &cursor, &w);)
		two |= w.mode == LINK_COPY;
	ok(one && !two, "one repair at a time");
	ack(1, head.seq, -1);
	for (cursor = 0; pool_work(pool, slave[2], &cursor, &w);)
		two |= w.mode == LINK_COPY && w.turn;
	ok(two, "then the next");
	pool_failed(pool, slave[2], "gone");
	connect_slave(2, head.seq);
	pool_diverged(pool, slave[1], shop_id, 9, "diverged", "row 9");
	pool_diverged(pool, slave[2], shop_id, 9, "diverged", "row 9");
	pool_link(pool, slave[2], shop_id, &w);
	is_int(w.mode, LINK_STUCK, "two at the same row: the second is left alone");
	pool_link(pool, slave[1], shop_id, &w);
	is_int(w.mode, LINK_STUCK, "so is the first, whose copy was not on its way yet");
	ok(pool_copy_all(pool, "n3") && !pool_copy_all(pool, "n9"), "an administrator may ask for copies");
	pool_link(pool, slave[2], shop_id, &w);
	ok(w.mode == LINK_COPY && w.keep_old, "which keep the old file");
	ack(1, head.seq, -1);
	ack(2, head.seq, -1);
}

static void test_cutting(void)
{
	struct journal_pos head = operations(10);
	connect_slave(1, head.seq);
	connect_slave(2, head.seq - 6);
	count_all();
	is_int(pool_prune_floor(pool, shop_id, 1 << 20), head.seq - 6, "rows stay until every slave has them");
	int64_t bytes = journal_bytes(head.seq - 6, head.seq);
	is_int(pool_prune_floor(pool, shop_id, bytes), head.seq - 6, "up to the limit of the queue");
	is_int(pool_prune_floor(pool, shop_id, bytes - 1), head.seq, "and no longer");
	struct pool_work w;
	pool_link(pool, slave[2], shop_id, &w);
	ok(w.mode == LINK_COPY && strcmp(w.reason, "queue") == 0, "that slave then needs a copy");
	is_int(pool_journal_bytes(pool, shop_id), journal_bytes(0, head.seq), "the journal's bytes are known");
	pool_pruned(pool, shop_id, 5, 100);
	is_int(pool_journal_bytes(pool, shop_id), journal_bytes(0, head.seq) - 100, "also after a cut");
}

static void test_members(void)
{
	json_t *before = pool_positions(pool);
	system_op("update nodes set paused = 1 where name = 'n2'");
	is_str(slave_state_table[slave[1]->state].name, "paused", "paused");
	system_op("update nodes set paused = 0 where name = 'n2'");
	system_op("delete from nodes where name = 'n3'");
	is_int(retired, 1, "a slave that is removed is retired");
	pool_forget(pool);
	is_int(pending(1, "operations"), -1, "forgotten");
	pool_recall(pool, before);
	ok(pending(1, "operations") >= 0, "and recalled from what was kept");
	json_decref(before);
	struct journal_pos head = operations(1);
	pool_drain(pool);
	is_int(pool_wait_acked(pool, shop_id, &head, 3, 60000), 0, "who drains does not wait");
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static bool set_up(const char *dir)
{
	struct err e = ERR_INIT;
	struct conf conf;
	struct database *db;
	conf_init(&conf);
	snprintf(conf.name, sizeof conf.name, "n1");
	snprintf(conf.data, sizeof conf.data, "%s", dir);
	snprintf(conf.run, sizeof conf.run, "%s", dir);
	snprintf(conf.url, sizeof conf.url, "http://127.0.0.1:1");
	snprintf(conf.peer_url, sizeof conf.peer_url, "http://127.0.0.1:2");
	snprintf(system_path, sizeof system_path, "%s/db/_ddb.db", dir);
	snprintf(shop_path, sizeof shop_path, "%s/db/shop.db", dir);
	readers = readers_new(256, 8);
	if (node_init_master(&conf, &e) == ERR_OK && node_open(&node, &conf, &e) == ERR_OK &&
		pool_new(&pool, &node, readers, ignore, NULL, &e) == ERR_OK)
		catalog_open(&catalog, &node, committed, &pool, &e);
	node.reign = 1;
	if (e.code == ERR_OK && catalog_create(catalog, "shop", &db, &e) == ERR_OK) {
		memcpy(shop_id, db->id, sizeof shop_id);
		json_t *op = json_pack("{s:[s]}", "statements", "create table t(a)");
		struct writer_answer a = {.results = BUF_INIT(4096)};
		writer_op(db->writer, op, 0, false, &a, &e);
		buf_release(&a.results);
		json_decref(op);
		catalog_put(catalog, db);
	}
	if (e.code != ERR_OK)
		printf("# %s\n", e.text);
	return e.code == ERR_OK;
}

int main(void)
{
	char dir[] = "/tmp/ddb-pool-XXXXXX";
	if (!mkdtemp(dir) || !ok(set_up(dir), "a master with a database"))
		return 1;
	system_op("insert into nodes(name, url, peer_url, added_ms) values('n2','http://h:1','http://h:2',0),('n3','http://h:3','http://h:4',0)");
	ok(slave[1] && slave[2], "its slaves are those of _ddb");
	test_pending();
	test_states();
	test_repair();
	test_cutting();
	test_members();
	catalog_close(catalog);
	pool_free(pool);
	readers_free(readers);
	node_close(&node);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
