/* Operations at random, repeated by a slave in batches of random sizes that is
 * closed and opened at random: every hash must be equal. DDB_SEED repeats a
 * run, DDB_LONG makes many. */
#include "lib/cluster/node.h"
#include "lib/journal/writer.h"
#include "t/tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* In memory: what is tested here does not depend on a disk's fsync. */
static char folder[] = "/dev/shm/ddb-replay-XXXXXX";
static struct conf conf;
static _Atomic int64_t reign = 1, no_reign = 0;
static uint64_t state;

static unsigned chance(unsigned n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % n;
}

static const char *const schema =
	"CREATE TABLE keyed(id INTEGER PRIMARY KEY, a UNIQUE, b TEXT COLLATE NOCASE, c DEFAULT (random()));"
	"CREATE TABLE bare(a, b, at DEFAULT (datetime('now')));"
	"CREATE TABLE word(k TEXT PRIMARY KEY COLLATE NOCASE, v) WITHOUT ROWID;"
	"CREATE TABLE pair(x, y, v, PRIMARY KEY(x, y));"
	"CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT, v);"
	"CREATE TABLE parent(id INTEGER PRIMARY KEY, v);"
	"CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE"
	" DEFERRABLE INITIALLY DEFERRED);"
	"CREATE TABLE made(id INTEGER PRIMARY KEY, v TEXT, n AS (length(v)), s AS (v || '!') STORED);"
	"CREATE TABLE log(id INTEGER PRIMARY KEY, what, at DEFAULT (strftime('%Y-%m-%d %H:%M:%f','now')), r DEFAULT (randomblob(3)));"
	"CREATE TRIGGER keyed_i AFTER INSERT ON keyed BEGIN INSERT INTO log(what) VALUES('i' || new.id || ' ' || changes()); END;"
	"CREATE TRIGGER keyed_u AFTER UPDATE ON keyed BEGIN INSERT INTO log(what) VALUES('u' || old.id); END;"
	"CREATE TRIGGER bare_d BEFORE DELETE ON bare WHEN old.a = 7 BEGIN SELECT RAISE(IGNORE); END;"
	"CREATE VIRTUAL TABLE text5 USING fts5(v, content='made', content_rowid='id');"
	"CREATE TRIGGER made_i AFTER INSERT ON made BEGIN INSERT INTO text5(rowid, v) VALUES(new.id, new.v); END;"
	"CREATE TRIGGER made_d AFTER DELETE ON made BEGIN INSERT INTO text5(text5, rowid, v) VALUES('delete', old.id, old.v); END;"
	"CREATE TRIGGER made_u AFTER UPDATE ON made BEGIN INSERT INTO text5(text5, rowid, v) VALUES('delete', old.id, old.v);"
	" INSERT INTO text5(rowid, v) VALUES(new.id, new.v); END;"
	"CREATE VIRTUAL TABLE text4 USING fts4(v); CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, y0, y1);"
	"CREATE VIEW seen AS SELECT a, count(*) AS n FROM bare GROUP BY a";

/* Each has up to four %u, filled with small random numbers. Some fail, always or at times. */
static const char *const templates[] = {
	"INSERT INTO keyed(a, b) VALUES(%u, 'w%u')",
	"INSERT INTO keyed(a, b) VALUES(%u, 'w%u')",
	"INSERT OR REPLACE INTO keyed(id, a, b) VALUES(%u, %u, 'R%u')",
	"INSERT OR IGNORE INTO keyed(a, b) VALUES(%u, 'W%u')",
	"INSERT INTO keyed(a, b) VALUES(%u, 'x') ON CONFLICT(a) DO UPDATE SET b = b || excluded.b, c = random()",
	"UPDATE keyed SET a = -a WHERE a IN (%u, %u); UPDATE keyed SET a = %u - a WHERE a < 0",
	"UPDATE OR REPLACE keyed SET a = a + 1 WHERE a > %u",
	"UPDATE keyed SET b = lower(b), c = random() WHERE b = 'W%u'",
	"UPDATE keyed SET b = 'lim' WHERE a > %u ORDER BY a DESC LIMIT 3",
	"DELETE FROM keyed WHERE a %% 11 = %u",
	"INSERT OR ROLLBACK INTO keyed(id, a) VALUES(%u, %u)",
	"INSERT INTO keyed(a) VALUES(%u); INSERT INTO nowhere VALUES(1)",
	"INSERT INTO bare(a, b) VALUES(%u, NULL), (NULL, %u), (random() %% 9, hex(randomblob(2)))",
	"INSERT INTO bare(a, b) SELECT a, b FROM bare ORDER BY random() LIMIT 4",
	"DELETE FROM bare WHERE rowid IN (SELECT rowid FROM bare ORDER BY random() LIMIT 2)",
	"DELETE FROM bare WHERE a = %u",
	"DELETE FROM bare",
	"INSERT INTO word VALUES('Key%u', %u) ON CONFLICT DO UPDATE SET v = v + 1, k = 'KEY' || %u",
	"UPDATE OR IGNORE word SET k = upper(k) WHERE v > %u",
	"REPLACE INTO word VALUES('key%u', random())",
	"INSERT OR REPLACE INTO pair VALUES(NULL, %u, datetime('now')), (%u, NULL, 1), (%u, %u, 2)",
	"DELETE FROM pair WHERE x IS NULL AND y > %u",
	"INSERT INTO auto(v) VALUES(%u), (%u); DELETE FROM auto WHERE id = (SELECT max(id) FROM auto)",
	"UPDATE sqlite_sequence SET seq = seq + %u WHERE name = 'auto'",
	"INSERT OR IGNORE INTO parent VALUES(%u, 'p'); INSERT INTO child(p) SELECT id FROM parent ORDER BY random() LIMIT 2",
	"INSERT INTO child(p) VALUES(%u)",
	"INSERT INTO child(p) VALUES(9%u); INSERT OR IGNORE INTO parent VALUES(9%u, 'late')",
	"DELETE FROM parent WHERE id %% 5 = %u %% 5",
	"UPDATE OR IGNORE parent SET id = id + %u WHERE id < 10",
	"PRAGMA defer_foreign_keys=ON; DELETE FROM parent WHERE id = %u",
	"INSERT INTO made(v) VALUES('lorem %u ipsum'), ('dolor %u'); INSERT INTO text4 VALUES('amet %u')",
	"UPDATE made SET v = v || ' sit' WHERE id %% 7 = %u %% 7",
	"DELETE FROM made WHERE n > 30 OR id = %u",
	"DELETE FROM text4 WHERE docid = %u",
	"UPDATE text4 SET v = 'changed %u' WHERE docid %% 3 = 0",
	"INSERT INTO text5(text5) VALUES('optimize')",
	"INSERT INTO text5(text5) VALUES('rebuild')",
	"INSERT INTO text4(text4) VALUES('optimize')",
	"INSERT INTO text5(text5, rank) VALUES('merge', %u)",
	"INSERT OR REPLACE INTO box VALUES(%u, %u, 200, 0, 5)",
	"INSERT INTO box VALUES(%u, 1, 2, 3, 4)",
	"DELETE FROM box WHERE x0 > %u",
	"INSERT INTO log(what) SELECT 'c' || count(*) || ' ' || total_changes() || ' ' || last_insert_rowid() FROM keyed WHERE a > %u",
	"DELETE FROM log WHERE id < (SELECT max(id) FROM log) - 50",
	"ANALYZE", "ANALYZE keyed", "REINDEX",
	"CREATE INDEX IF NOT EXISTS by_b ON keyed(b, a)", "DROP INDEX IF EXISTS by_b",
	"CREATE INDEX IF NOT EXISTS by_a ON bare(a) WHERE a > 3", "DROP INDEX IF EXISTS by_a",
	"ALTER TABLE bare RENAME TO barer; ALTER TABLE barer RENAME TO bare",
	"ALTER TABLE pair RENAME COLUMN v TO w", "ALTER TABLE pair RENAME COLUMN w TO v",
	"ALTER TABLE auto ADD COLUMN extra%u DEFAULT 5", "ALTER TABLE auto DROP COLUMN extra%u",
	"CREATE TABLE IF NOT EXISTS more%u AS SELECT * FROM keyed", "DROP TABLE IF EXISTS more%u",
	"INSERT INTO more%u SELECT * FROM more%u ORDER BY random()",
	"ALTER TABLE text4 RENAME TO text4b; ALTER TABLE text4b RENAME TO text4",
	"ANALYZE; ALTER TABLE keyed RENAME TO ddb_keyed",
	"PRAGMA user_version=%u", "SELECT 1",
};
#define TEMPLATE_N (sizeof templates / sizeof *templates)

static void fill(char *out, size_t size, const char *from)
{
	size_t at = 0;
	for (; *from && at + 12 < size; from++) {
		if (from[0] == '%' && from[1] == 'u')
			at += (size_t)snprintf(out + at, size - at, "%u", chance(20));
		else
			out[at++] = *from;
		if (from[0] == '%')
			from++;
	}
	out[at] = '\0';
}

static char id[JOURNAL_ID_LEN];

static struct writer *open_at(const char *name, const _Atomic int64_t *r, bool create)
{
	struct err e = ERR_INIT;
	struct conn c;
	struct writer *w = NULL;
	char path[300];
	snprintf(path, sizeof path, "%s/%s.db", folder, name);
	if (create && conn_open(&c, path, CONN_CREATE, 1024, &e) == ERR_OK) {
		journal_create(&c, id, "test", &e);
		conn_close(&c);
	}
	writer_open(&w, path, &conf, r, NULL, &e);
	if (e.code != ERR_OK)
		printf("# %s\n", e.text);
	return w;
}

struct client {
	struct writer *w;
	char sql[40][400];
	size_t n;
	int done;
};

/* One client's operations; several run side by side, so that groups form. */
static void *client(void *arg)
{
	struct client *k = arg;
	for (size_t i = 0; i < k->n; i++) {
		struct err e = ERR_INIT;
		struct writer_answer a = {.results = BUF_INIT(1 << 20)};
		json_t *op = json_pack("{s:[s]}", "statements", k->sql[i]);
		if (writer_op(k->w, op, 5000, false, &a, &e) == ERR_OK)
			k->done++;
		else if (e.code == ERR_INTERNAL || e.code == ERR_CORRUPT || e.code == ERR_IO)
			printf("# %s: %s\n", k->sql[i], e.text);
		buf_release(&a.results);
		json_decref(op);
	}
	return NULL;
}

#define CLIENTS 4

static int write_some(struct writer *master)
{
	static struct client k[CLIENTS];
	pthread_t thread[CLIENTS];
	int done = 0;
	for (int i = 0; i < CLIENTS; i++) {
		k[i].w = master;
		k[i].done = 0;
		k[i].n = 10 + chance(30);
		for (size_t j = 0; j < k[i].n; j++)
			fill(k[i].sql[j], sizeof k[i].sql[j], templates[chance(TEMPLATE_N)]);
		pthread_create(&thread[i], NULL, client, &k[i]);
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(thread[i], NULL);
		done += k[i].done;
	}
	return done;
}

struct batch {
	struct journal_row row[64];
	json_t *op[64];
	size_t n;
};

static bool collect(void *arg, const struct journal_row *row)
{
	struct batch *b = arg;
	b->row[b->n] = *row;
	b->row[b->n].kind = strcmp(row->kind, "op") == 0 ? "op" : "create";
	b->row[b->n].body = strdup(row->body);
	b->op[b->n] = strcmp(row->kind, "op") == 0 ? json_loads(row->body, JSON_ALLOW_NUL, NULL) : NULL;
	b->n++;
	return true;
}

/* Brings the slave up to the master, now and then with a new connection. */
static bool follow(struct writer **slave, struct err *e)
{
	struct conn journal;
	char path[300];
	snprintf(path, sizeof path, "%s/master.db", folder);
	if (conn_open(&journal, path, CONN_READER, 1024, e) != ERR_OK)
		return false;
	size_t got = 1;
	while (got && e->code == ERR_OK) {
		struct batch b = {.n = 0};
		struct journal_pos pos;
		int64_t bad = 0;
		writer_head(*slave, &pos);
		journal_each(&journal, pos.seq, 1 + chance(60), collect, &b, e);
		got = b.n;
		struct writer_batch send = {pos, b.row, b.op, b.n};
		if (got && writer_apply(*slave, &send, &pos, &bad, e) != ERR_OK)
			for (size_t i = 0; i < b.n; i++)
				if (b.row[i].pos.seq == bad)
					printf("# %s: %s\n# %s\n", err_name(e->code), e->text, b.row[i].body);
		for (size_t i = 0; i < b.n; i++) {
			free((char *)b.row[i].body);
			json_decref(b.op[i]);
		}
		if (chance(5) == 0) {
			writer_close(*slave);
			*slave = open_at("slave", &no_reign, false);
		}
	}
	conn_close(&journal);
	return e->code == ERR_OK;
}

static void remove_files(void)
{
	static const char *const names[] = {"master.db", "slave.db"}, *const ends[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < 6; i++) {
		char path[300];
		snprintf(path, sizeof path, "%s/%s%s", folder, names[i / 3], ends[i % 3]);
		unlink(path);
	}
}

static void one_run(uint64_t seed, int rounds)
{
	struct err e = ERR_INIT;
	struct journal_pos pos;
	int done = 0, sent = 0;
	state = seed;
	node_random_id(id);
	struct writer *master = open_at("master", &reign, true), *slave = open_at("slave", &no_reign, true);
	writer_control(master, "create", "{}", &pos, &e);
	json_t *op = json_pack("{s:[s]}", "statements", schema);
	struct writer_answer a = {.results = BUF_INIT(1 << 20)};
	writer_op(master, op, 5000, false, &a, &e);
	buf_release(&a.results);
	json_decref(op);
	bool good = e.code == ERR_OK;
	if (!good)
		printf("# schema: %s\n", e.text);
	for (int i = 0; i < rounds && good; i++) {
		done += write_some(master);
		good = follow(&slave, &e);
		if (chance(10) == 0) { /* a master that restarts forgets nothing that matters */
			writer_close(master);
			master = open_at("master", &reign, false);
		}
		sent++;
	}
	struct journal_pos m, s;
	writer_head(master, &m);
	writer_head(slave, &s);
	ok(good && m.seq == s.seq && memcmp(m.hash, s.hash, sizeof m.hash) == 0 && done > 10 * rounds,
		"DDB_SEED=%" PRIu64 ": %d operations in %d rounds, equal to the last hash", seed, done, sent);
	writer_close(master);
	writer_close(slave);
	remove_files();
}

int main(void)
{
	const char *seed = getenv("DDB_SEED");
	const char *is_long = getenv("DDB_LONG");
	conf_init(&conf);
	if (!mkdtemp(folder))
		return 1;
	if (seed) {
		one_run(strtoull(seed, NULL, 10), 60);
	} else {
		int runs = is_long && *is_long ? 15 : 2;
		for (int i = 0; i < runs; i++)
			one_run((uint64_t)(i + 1) * 1000003 + (uint64_t)getpid(), is_long ? 60 : 12);
	}
	rmdir(folder);
	return tap_done();
}
