/* lib/sql and lib/journal: an operation has the same effect wherever it is
 * run, and what must not run does not. A master's writer and a slave's, in one
 * process; every batch goes from one journal to the other. */
#include "lib/base/file.h"
#include "lib/cluster/node.h"
#include "lib/journal/writer.h"
#include "t/tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* In memory: what is tested here does not depend on a disk's fsync. */
static char folder[] = "/dev/shm/ddb-engine-XXXXXX";
static struct conf conf;
static _Atomic int64_t reign = 1, no_reign = 0;
static struct writer *master, *slave;
static char id[JOURNAL_ID_LEN];

static void path_of(const char *name, char out[300])
{
	snprintf(out, 300, "%s/%s.db", folder, name);
}

static struct writer *make(const char *name, const _Atomic int64_t *r)
{
	struct err e = ERR_INIT;
	struct conn c;
	struct writer *w = NULL;
	char path[300];
	path_of(name, path);
	conn_open(&c, path, CONN_CREATE, 1024, &e);
	journal_create(&c, id, "test", &e);
	conn_close(&c);
	writer_open(&w, path, &conf, r, NULL, &e);
	if (e.code != ERR_OK)
		printf("# %s\n", e.text);
	return w;
}

/* Runs a body on the master; its answer in *out (caller frees), the code returned. */
static enum err_code run(const char *body, char **out, struct err *e)
{
	json_t *op;
	struct writer_answer a = {.results = BUF_INIT(1 << 20)};
	err_reset(e);
	if (out)
		*out = NULL;
	if (op_parse(body, strlen(body), &op, e) != ERR_OK)
		return e->code;
	writer_op(master, op, 2000, false, &a, e);
	json_decref(op);
	if (out)
		*out = buf_steal(&a.results);
	buf_release(&a.results);
	return e->code;
}

static bool fine(const char *sql)
{
	struct err e = ERR_INIT;
	json_t *body = json_pack("{s:s}", "sql", sql);
	char *text = json_dumps(body, 0);
	run(text, NULL, &e);
	if (e.code != ERR_OK)
		printf("# %s: %s: %s\n", sql, err_name(e.code), e.text);
	free(text);
	json_decref(body);
	return e.code == ERR_OK;
}

static void refused(const char *sql, enum err_code want)
{
	struct err e = ERR_INIT;
	struct journal_pos before, after;
	json_t *body = json_pack("{s:s}", "sql", sql);
	char *text = json_dumps(body, 0);
	writer_head(master, &before);
	run(text, NULL, &e);
	writer_head(master, &after);
	if (!ok(e.code == want && before.seq == after.seq, "refused: %.60s", sql))
		printf("#   got %s (%s)\n", err_name(e.code), e.text);
	free(text);
	json_decref(body);
}

struct collected {
	struct journal_row row[4096];
	json_t *op[4096];
	size_t n;
};

static bool collect(void *arg, const struct journal_row *row)
{
	struct collected *all = arg;
	struct journal_row *mine = &all->row[all->n];
	*mine = *row;
	mine->kind = strdup(row->kind);
	mine->body = strdup(row->body);
	all->op[all->n] = strcmp(row->kind, "op") == 0 ? json_loads(row->body, JSON_ALLOW_NUL, NULL) : NULL;
	all->n++;
	return true;
}

static void release(struct collected *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free((char *)all->row[i].kind);
		free((char *)all->row[i].body);
		json_decref(all->op[i]);
	}
	free(all);
}

static struct collected *rows_after(int64_t seq)
{
	struct collected *all = calloc(1, sizeof *all);
	struct err e = ERR_INIT;
	struct conn c;
	char path[300];
	path_of("master", path);
	conn_open(&c, path, CONN_READER, 1024, &e);
	journal_each(&c, seq, 4096, collect, all, &e);
	conn_close(&c);
	return all;
}

/* Brings the slave up to the master in batches of `size`. */
static enum err_code follow(size_t size, int64_t *bad, struct err *e)
{
	struct journal_pos pos;
	writer_head(slave, &pos);
	struct collected *all = rows_after(pos.seq);
	err_reset(e);
	for (size_t at = 0; at < all->n && e->code == ERR_OK; at += size) {
		struct writer_batch b = {pos, all->row + at, all->op + at, all->n - at < size ? all->n - at : size};
		writer_apply(slave, &b, &pos, bad, e);
	}
	if (e->code != ERR_OK)
		printf("# %s: %s\n", err_name(e->code), e->text);
	release(all);
	return e->code;
}

static bool in_step(void)
{
	struct journal_pos a, b;
	writer_head(master, &a);
	writer_head(slave, &b);
	return a.seq == b.seq && memcmp(a.hash, b.hash, sizeof a.hash) == 0;
}

static void test_values_of_the_moment(void)
{
	char *answer;
	struct err e = ERR_INIT;
	int64_t bad;
	ok(fine("CREATE TABLE m(k INTEGER PRIMARY KEY, r DEFAULT (random()), b DEFAULT (randomblob(5)),"
		" t DEFAULT CURRENT_TIMESTAMP, j DEFAULT (julianday('now')))"), "a table full of chance");
	ok(fine("INSERT INTO m(k) VALUES(1),(2),(3)"), "rows of chance");
	ok(fine("INSERT INTO m(k, r) SELECT k + 10, r FROM m ORDER BY random() LIMIT 2"), "a random choice");
	run("{\"sql\":\"select changes(), total_changes(), last_insert_rowid(), random()\"}", &answer, &e);
	ok(answer && strstr(answer, "\"rows\":[[0,0,0,"), "counters start from zero");
	free(answer);
	is_int(follow(2, &bad, &e), ERR_OK, "the slave repeats them");
	ok(in_step(), "with the same hash");
}

static void test_virtual_tables(void)
{
	int64_t bad;
	struct err e = ERR_INIT;
	ok(fine("CREATE TABLE d(id INTEGER PRIMARY KEY, x TEXT, l AS (length(x)));"
		"CREATE VIRTUAL TABLE f USING fts5(x, content='d', content_rowid='id');"
		"CREATE TRIGGER ai AFTER INSERT ON d BEGIN INSERT INTO f(rowid, x) VALUES(new.id, new.x); END;"
		"CREATE TRIGGER ad AFTER DELETE ON d BEGIN INSERT INTO f(f, rowid, x) VALUES('delete', old.id, old.x); END;"
		"CREATE VIRTUAL TABLE g USING fts4(y); CREATE VIRTUAL TABLE r USING rtree(i, x0, x1);"), "FTS and R-tree");
	ok(fine("INSERT INTO d(x) VALUES('the quick brown fox'),('jumps over'); INSERT INTO g VALUES('lazy dog');"
		"INSERT INTO r VALUES(1, 0, 5), (2, 3, 9)"), "rows in them");
	ok(fine("DELETE FROM d WHERE id = 1; UPDATE g SET y = 'eager dog'; UPDATE r SET x1 = 7 WHERE i = 1"), "changed");
	refused("INSERT INTO r VALUES(1, 0, 5)", ERR_CONSTRAINT);
	ok(fine("INSERT INTO r VALUES(3, 1, 2)"), "an R-tree goes on after a failed operation");
	is_int(follow(1, &bad, &e), ERR_OK, "the slave repeats them");
	ok(in_step(), "with the same hash");
}

static void test_refusals(void)
{
	fine("CREATE TABLE u(a UNIQUE, b); INSERT INTO u VALUES(1, 1), (2, 2)");
	refused("ATTACH '/etc/passwd' AS x", ERR_SQL_FORBIDDEN);
	refused("PRAGMA journal_mode=DELETE", ERR_SQL_FORBIDDEN);
	refused("PRAGMA synchronous=OFF", ERR_SQL_FORBIDDEN);
	refused("CREATE TEMP TABLE x(a)", ERR_SQL_FORBIDDEN);
	refused("BEGIN", ERR_SQL_FORBIDDEN);
	refused("INSERT INTO u VALUES(3, 3); COMMIT", ERR_SQL_FORBIDDEN);
	refused("SAVEPOINT x", ERR_SQL_FORBIDDEN);
	refused("VACUUM", ERR_SQL_RUNTIME);
	refused("SELECT * FROM ddb_journal", ERR_SQL_FORBIDDEN);
	refused("DELETE FROM ddb_journal", ERR_SQL_FORBIDDEN);
	refused("CREATE TABLE ddb_mine(a)", ERR_SQL_FORBIDDEN);
	refused("CREATE TABLE \"DDB_Mine\"(a)", ERR_SQL_FORBIDDEN);
	refused("ALTER TABLE u RENAME TO ddb_u", ERR_SQL_FORBIDDEN);
	refused("CREATE VIRTUAL TABLE ddb USING fts5(x)", ERR_SQL_FORBIDDEN);
	refused("CREATE INDEX i ON ddb_journal(at_ms)", ERR_SQL_FORBIDDEN);
	refused("INSERT INTO u SELECT 9, rootpage FROM sqlite_schema", ERR_SQL_FORBIDDEN);
	refused("INSERT INTO u VALUES(9, sqlite_version())", ERR_SQL_FORBIDDEN);
	refused("INSERT INTO u SELECT 9, name FROM pragma_database_list", ERR_SQL_FORBIDDEN);
	refused("INSERT INTO u SELECT 9, pageno FROM dbstat", ERR_SQL_FORBIDDEN);
	refused("SELECT fts3_tokenizer('simple')", ERR_SQL_FORBIDDEN);
	refused("SELECT load_extension('x')", ERR_SQL_FORBIDDEN);
	refused("DELETE FROM sqlite_stat1", ERR_SQL_FORBIDDEN);
	refused("DROP TABLE sqlite_stat1", ERR_SQL_FORBIDDEN);
	refused("CREATE VIRTUAL TABLE v USING dbstat", ERR_SQL_FORBIDDEN);
	refused("INSERT INTO u VALUES(1, 5)", ERR_CONSTRAINT);
	refused("INSERT OR ROLLBACK INTO u VALUES(1, 5)", ERR_CONSTRAINT);
	refused("INSERT INTO u VALUES(3, 3); INSERT INTO nowhere VALUES(1)", ERR_SQL);
	refused("CREATE TABLE big(i INTEGER PRIMARY KEY); INSERT INTO big VALUES(9223372036854775807)", ERR_SQL_RUNTIME);
	refused("INSERT INTO u WITH RECURSIVE c(x) AS (SELECT 100 UNION ALL SELECT x+1 FROM c) SELECT x, x FROM c",
		ERR_DEADLINE);
	refused("SELEC 1", ERR_SQL);
	ok(fine("INSERT INTO u VALUES(3, 3)"), "the next operation is served");
	ok(fine("ANALYZE") && fine("REINDEX") && fine("DROP TABLE u"), "ANALYZE, REINDEX and DROP are operations like others");
}

static void test_foreign_keys(void)
{
	int64_t bad;
	struct err e = ERR_INIT;
	fine("CREATE TABLE p(i INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
	ok(fine("INSERT INTO c VALUES(1); INSERT INTO p VALUES(1)"), "a deferred key may be cured within the operation");
	refused("INSERT INTO c VALUES(2)", ERR_CONSTRAINT);
	refused("PRAGMA defer_foreign_keys=ON; DELETE FROM p", ERR_CONSTRAINT);
	is_int(follow(100, &bad, &e), ERR_OK, "the slave repeats them");
	ok(in_step(), "with the same hash");
}

static void test_divergence(void)
{
	struct err e = ERR_INIT;
	int64_t bad = 0;
	struct journal_pos before, pos, head;
	struct conn c;
	char path[300];
	fine("CREATE TABLE z(k INTEGER PRIMARY KEY, v); INSERT INTO z VALUES(1, 'a'), (2, 'b')");
	follow(100, &bad, &e);
	writer_head(slave, &before);
	writer_close(slave);
	path_of("slave", path);
	conn_open(&c, path, CONN_WRITER, 1024, &e);
	conn_exec(&c, "UPDATE z SET v = 'behind your back' WHERE k = 2", &e);
	conn_close(&c);
	writer_open(&slave, path, &conf, &no_reign, NULL, &e);
	fine("UPDATE z SET v = v || 'x' WHERE k = 1");
	fine("UPDATE z SET v = v || 'x' WHERE k = 2");
	is_int(follow(100, &bad, &e), ERR_DIVERGED, "a row edited by hand is found");
	is_int(bad, before.seq + 2, "at the first operation that shows it");
	writer_head(slave, &pos);
	is_int(pos.seq, before.seq, "nothing of the batch is kept");
	writer_head(master, &head);
	struct collected *all = rows_after(before.seq);
	struct writer_batch gap = {all->row[0].pos, all->row + 1, all->op + 1, 1};
	err_reset(&e);
	is_int(writer_apply(slave, &gap, &pos, &bad, &e), ERR_POSITION, "a gap is refused");
	struct writer_batch other = {before, all->row, all->op, 1};
	other.prev.hash[0] ^= 1;
	err_reset(&e);
	is_int(writer_apply(slave, &other, &pos, &bad, &e), ERR_POSITION, "another history is refused");
	struct writer_batch good = {before, all->row, all->op, 1};
	err_reset(&e);
	is_int(writer_apply(slave, &good, &pos, &bad, &e), ERR_OK, "the right row is taken");
	err_reset(&e);
	is_int(writer_apply(slave, &good, &pos, &bad, &e), ERR_OK, "a repeated row is skipped");
	is_int(pos.seq, before.seq + 1, "and counted once");
	release(all);
	err_reset(&e);
	json_t *op;
	op_parse("{\"sql\":\"select 1\"}", 18, &op, &e);
	struct writer_answer a = {.results = BUF_INIT(100)};
	is_int(writer_op(slave, op, 0, false, &a, &e), ERR_MISDIRECTED, "a slave takes no operations of clients");
	buf_release(&a.results);
	json_decref(op);
}

static void test_shapes(void)
{
	struct err e = ERR_INIT;
	char *answer;
	static const char *const bad[] = {"", "[]", "{}", "{\"sql\":1}", "{\"statements\":[]}", "{\"statements\":[1]}",
		"{\"sql\":\"select 1\",\"x\":1}", "{\"sql\":\"select ?\",\"params\":1}", "{\"sql\":\"a\",\"params\":[],\"rows\":[]}",
		"{\"sql\":\"select 1\"", "{\"sql\":\"select 1\",\"rows\":[1]}"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		is_int(run(bad[i], NULL, &e), ERR_BAD_JSON, bad[i]);
	is_int(run("{\"sql\":\"select ?\",\"params\":[]}", NULL, &e), ERR_BAD_VALUE, "a missing parameter is refused");
	is_int(run("{\"statements\":[\"select 1\",\"selec\"]}", NULL, &e), ERR_SQL, "an error in a batch");
	is_int(e.statement, 1, "names its statement");
	fine("CREATE TABLE s(a, b)");
	is_int(run("{\"statements\":[{\"sql\":\"insert into s values(:a, $b)\",\"params\":{\"a\":1,\"b\":\"x\"}},"
		   "{\"sql\":\"insert into s values(?,?) returning a\",\"rows\":[[2,null],[3,{\"blob\":\"AP8=\"}]]}]}", &answer, &e),
		ERR_OK, "named parameters and rows");
	ok(answer && strstr(answer, "\"rows\":[[2],[3]],\"changes\":2,\"last_rowid\":3"), "RETURNING and counts come back");
	free(answer);
}

static void remove_files(void)
{
	static const char *const names[] = {"master.db", "slave.db"}, *const ends[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < 6; i++) {
		char path[300];
		snprintf(path, sizeof path, "%s/%s%s", folder, names[i / 3], ends[i % 3]);
		unlink(path);
	}
	rmdir(folder);
}

int main(void)
{
	struct err e = ERR_INIT;
	if (!mkdtemp(folder))
		return 1;
	conf_init(&conf);
	node_random_id(id);
	master = make("master", &reign);
	slave = make("slave", &no_reign);
	struct journal_pos pos;
	writer_control(master, "create", "{}", &pos, &e);
	test_shapes();
	test_values_of_the_moment();
	test_virtual_tables();
	test_foreign_keys();
	test_refusals();
	test_divergence();
	writer_close(master);
	writer_close(slave);
	remove_files();
	return tap_done();
}
