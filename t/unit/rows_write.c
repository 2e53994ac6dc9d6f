/* lib/api/rows_{insert,change}: rows inserted, changed, replaced and deleted
 * through the writer of a master that is alone; mistakes change nothing. */
#include "lib/api/app.h"
#include "lib/api/routes.h"
#include "lib/api/rows_write.h"
#include "lib/cluster/replica.h"
#include "t/client.h"
#include "t/tap.h"

#include <dirent.h>
#include <unistd.h>

#define TABLES "/v1/db/shop/tables/"

static char dir[] = "/tmp/ddb-rows-XXXXXX";
static struct app_write app;
static struct database *shop;

static route_handler *const handlers[ROUTE_ID_N] = {
	[ROUTE_ID_ROWS_INSERT] = rows_insert, [ROUTE_ID_ROWS_UPDATE] = rows_update, [ROUTE_ID_ROWS_DELETE] = rows_delete,
	[ROUTE_ID_ROW_PUT] = rows_put_one, [ROUTE_ID_ROW_UPDATE] = rows_update_one, [ROUTE_ID_ROW_DELETE] = rows_delete_one,
};
static const struct serve program = {
	.program = ROUTE_WRITE, .table = routes, .handler = handlers, .table_n = ROUTE_ID_N, .body_max = 1 << 24, .app = &app,
};

static bool begin(void)
{
	struct err e = ERR_INIT;
	struct conf conf;
	if (!mkdtemp(dir))
		return false;
	conf_init(&conf);
	snprintf(conf.name, sizeof conf.name, "n1");
	snprintf(conf.data, sizeof conf.data, "%s", dir);
	snprintf(conf.run, sizeof conf.run, "%s", dir);
	snprintf(conf.url, sizeof conf.url, "http://127.0.0.1:1");
	snprintf(conf.peer_url, sizeof conf.peer_url, "http://127.0.0.1:2");
	conf.write_deadline_ms = 120000; /* a machine busy with other tests must not decide what is right */
	app.wait.most = 4;
	app.readers = readers_new(1024, 4);
	if (node_init_master(&conf, &e) == ERR_OK && node_open(&app.node, &conf, &e) == ERR_OK &&
		replica_new(&app.replica, &app.node, app.readers, &e) == ERR_OK &&
		catalog_open(&app.catalog, &app.node, replica_committed, app.replica, &e) == ERR_OK &&
		replica_start(app.replica, app.catalog, &e) == ERR_OK && replica_wait_open(app.replica, 10000, &e) == ERR_OK)
		catalog_create(app.catalog, "shop", &shop, &e);
	if (e.code != ERR_OK)
		printf("Bail out! %s\n", e.text);
	return e.code == ERR_OK;
}

static void remove_all(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *one;
	char inner[600];
	while (d && (one = readdir(d))) {
		if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, one->d_name);
		remove_all(inner);
	}
	if (d)
		closedir(d);
	remove(path);
}

static void end(void)
{
	catalog_put(app.catalog, shop);
	replica_drain(app.replica);
	replica_stop(app.replica);
	catalog_close(app.catalog);
	replica_free(app.replica);
	readers_free(app.readers);
	node_close(&app.node);
	remove_all(dir);
}

static bool sql(const char *text)
{
	struct err e = ERR_INIT;
	struct writer_answer a = {.results = BUF_INIT(1 << 20)};
	json_t *op = json_pack("{s:[s]}", "statements", text);
	if (writer_op(shop->writer, op, 10000, false, &a, &e) != ERR_OK)
		printf("# %s: %s\n", text, e.text);
	json_decref(op);
	buf_release(&a.results);
	return e.code == ERR_OK;
}

/* One value that SQL gives. */
static void is_sql(const char *text, const char *want, const char *what)
{
	struct err e = ERR_INIT;
	struct conn *c;
	char *got = NULL;
	if (readers_take(app.readers, shop->path, &c, &e) == ERR_OK) {
		conn_text(c, text, &got, &e);
		readers_give(app.readers, c, false);
	}
	is_str(e.code == ERR_OK ? got : e.text, want, what);
	free(got);
}

static int64_t head(void)
{
	struct journal_pos pos;
	writer_head(shop->writer, &pos);
	return pos.seq;
}

/* The request's status; its answer in c (release c->got). */
static int send(struct client *c, const char *method, const char *path, const char *body)
{
	char *uri = malloc(strlen(path) + 100), length[24];
	snprintf(uri, strlen(path) + 100, TABLES "%s", path);
	client_init(c, method, uri);
	if (body) {
		snprintf(length, sizeof length, "%zu", strlen(body));
		client_body(c, body, strlen(body), length);
	}
	int status = client_run(c, &program, ROUTE_PUBLIC);
	free(uri);
	return status;
}

/* That the answer has the status and begins (after "{") or holds the text. */
static void is_sent(const char *method, const char *path, const char *body, int status, const char *holds, const char *what)
{
	struct client c;
	int64_t before = head();
	int got = send(&c, method, path, body);
	bool good = got == status && (!holds || has(&c, holds));
	if (status >= 400 && head() != before)
		good = false;
	if (!ok(good, "%s", what))
		printf("# %s %s %s\n# wanted %d with %s, %s\n# %.900s\n", method, path, body ? body : "", status, holds ? holds : "",
			head() != before ? "something was journaled" : "nothing was journaled", c.got.data);
	buf_release(&c.got);
}

static void test_insert(void)
{
	sql("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT DEFAULT 'none', b, g AS (id * 2)); CREATE TABLE heap(x, y DEFAULT 9);"
	    "CREATE TABLE k(k TEXT PRIMARY KEY, v); CREATE TABLE pair(a, b, v, PRIMARY KEY(b, a)) WITHOUT ROWID;"
	    "CREATE TABLE any_key(k PRIMARY KEY, v); CREATE VIRTUAL TABLE words USING fts5(w, v); CREATE VIRTUAL TABLE box USING"
	    " rtree(id, x0, x1); CREATE VIEW seen AS SELECT a, b FROM t; CREATE TRIGGER seen_in INSTEAD OF INSERT ON seen BEGIN"
	    " INSERT INTO t(a, b) VALUES(new.a, new.b); END; CREATE TABLE log(what); CREATE TRIGGER t_log AFTER UPDATE ON t BEGIN"
	    " INSERT INTO log VALUES('t'), ('t'); END; CREATE TABLE ign(a); CREATE TRIGGER ign_1 BEFORE INSERT ON ign WHEN new.a = 0"
	    " BEGIN SELECT RAISE(IGNORE); END; CREATE TABLE taken(rowid, oid, _rowid_)");
	is_sent("POST", "t/rows", "{\"a\":\"one\",\"b\":1}", 201, "{\"inserted\":1,\"keys\":[1],\"epoch\":1,\"seq\":", "one row");
	is_sent("POST", "t/rows", "{\"a\":\"two\"}", 201, "\r\nLocation: /v1/db/shop/tables/t/rows/2\r\n", "has an address");
	is_sent("POST", "T/rows", "{\"A\":\"three\",\"id\":3}", 201, "\"keys\":[3]", "case does not count");
	is_sent("POST", "t/rows", "[{\"id\":10},{\"id\":11},{\"b\":1,\"id\":12},{\"id\":13,\"b\":2},{},{\"a\":null}]", 201,
		"\"inserted\":6,\"keys\":[10,11,12,13,14,15]", "rows with different columns");
	is_sql("SELECT group_concat(id || ':' || coalesce(a, 'NULL')) FROM t WHERE id >= 10",
		"10:none,11:none,12:none,13:none,14:none,15:NULL", "what is not given gets its default, null is NULL");
	is_sent("POST", "t/rows", "[{\"id\":20,\"a\":1},{\"id\":21},{\"id\":20}]", 409, "\"row\":2}", "all or none, and which row it was");
	is_sql("SELECT count(*) FROM t WHERE id = 20", "0", "- none");
	is_sent("POST", "heap/rows", "[{\"x\":1},{\"x\":2,\"rowid\":70}]", 201, "\"keys\":[1,70]", "without a key: rowids");
	is_sent("POST", "k/rows", "[{\"k\":\"a/b\"},{\"k\":\"ä\"}]", 201, "\"keys\":[\"a/b\",\"ä\"]", "text keys");
	is_sent("POST", "k/rows", "{\"k\":\"x y/%\"}", 201, "/tables/k/rows/x%20y%2F%25\r\n", "are encoded in the address");
	is_sent("POST", "k/rows", "{\"k\":\"5\"}", 201, "/tables/k/rows/5\r\n", "a text of digits");
	is_sent("POST", "pair/rows", "[{\"a\":1,\"b\":2},{\"a\":3,\"b\":4}]", 201, "\"keys\":[[2,1],[4,3]]", "composite keys");
	is_sent("POST", "any_key/rows", "[{\"k\":{\"blob\":\"AA==\"}},{\"k\":1.5},{\"k\":null},{\"k\":\"1\"},{\"k\":true}]", 201,
		"\"keys\":[{\"blob\":\"AA==\"},1.5,null,\"1\",1]", "keys of all kinds");
	struct client c;
	send(&c, "POST", "any_key/rows", "{\"k\":\"7\"}");
	ok(status_of(&c) == 201 && !has(&c, "Location"), "an address that would mean another row is not given");
	buf_release(&c.got);
	is_sent("POST", "words/rows", "[{\"w\":\"hello\"},{\"w\":\"world\",\"rowid\":9},{\"v\":1}]", 201, "\"inserted\":3,\"keys\":[1,9,10]", "FTS5");
	is_sent("POST", "box/rows", "[{\"x0\":1,\"x1\":2},{\"id\":5,\"x0\":1,\"x1\":2}]", 201, "\"keys\":[1,5]", "R-tree");
	is_sent("POST", "seen/rows", "[{\"a\":\"by view\"},{\"a\":\"by view\"}]", 201, "\"inserted\":2,\"keys\":[]", "through a view");
	is_sql("SELECT count(*) FROM t WHERE a = 'by view'", "2", "- into its table");
	is_sent("POST", "ign/rows", "[{\"a\":0},{\"a\":1}]", 201, "\"inserted\":1,\"keys\":[1]", "a row that a trigger ignores is not counted");
	is_sent("POST", "taken/rows", "{\"oid\":1}", 201, "\"inserted\":1,\"keys\":[]", "a table without any key");
	is_sent("POST", "t/rows?big=string", "{\"id\":9007199254740993}", 201, "\"keys\":[\"9007199254740993\"]", "big keys as strings");
	sql("DELETE FROM t WHERE id > 100");
}

static void test_values(void)
{
	is_sent("POST", "heap/rows", "[{\"x\":9223372036854775807,\"y\":-9223372036854775808},{\"x\":0.1,\"y\":-0.0},"
		"{\"x\":\"a\\u0000b\",\"y\":{\"blob\":\"AP8=\"}},{\"x\":{\"real\":\"-Infinity\"},\"y\":false}]", 201, "\"inserted\":4", "values");
	is_sql("SELECT group_concat(typeof(x) || ' ' || typeof(y)) FROM heap WHERE rowid > 70",
		"integer integer,real real,text blob,real integer", "keep their types");
	is_sql("SELECT hex(x) FROM heap WHERE rowid = 73", "610062", "and their bytes");
	static const struct {
		const char *table, *body;
		int status;
		const char *holds;
	} bad[] = {
		{"t", "{\"nix\":1}", 400, "table t has no column 'nix'"}, {"t", "{\"g\":1}", 400, "is generated"},
		{"t", "{\"a\":1,\"A\":2}", 400, "given twice"}, {"t", "{\"a\":1,\"a\":2}", 400, "bad_json"},
		{"t", "{\"a\":[1]}", 400, "column a of t: a value is"}, {"t", "{\"a\":{}}", 400, "column a of t: a value is"},
		{"t", "{\"a\":{\"blob\":1}}", 400, "column a of t"}, {"t", "{\"a\":{\"blob\":\"*\"}}", 400, "base64"},
		{"t", "{\"a\":{\"real\":\"NaN\"}}", 400, "NaN"}, {"t", "[]", 400, "bad_json"}, {"t", "[1]", 400, "row 0 is no object"},
		{"t", "[{\"id\":90},[]]", 400, "\"row\":1}"},
		{"t", "[{\"a\":1},{\"a\":2},{\"a\":[]}]", 400, "\"row\":2}"}, {"t", "[{\"a\":1},{\"nix\":2}]", 400, "\"row\":1}"}, {"t", "7", 400, "bad_json"}, {"t", "null", 400, "bad_json"},
		{"t", "{\"a\":", 400, "bad_json"}, {"t", "", 400, "bad_json"}, {"t", "{\"a\":18446744073709551616}", 400, "bad_json"},
		{"t", "{\"id\":\"x\"}", 422, "datatype mismatch"}, {"t", "{\"a\\\") VALUES(1);--\":1}", 400, "no column"},
		{"nix", "{}", 404, "table_unknown"}, {"ddb_meta", "{\"name\":\"x\",\"value\":1}", 404, "table_unknown"},
		{"sqlite_schema", "{\"name\":\"x\"}", 404, "table_unknown"}, {"words_data", "{\"id\":1}", 400, "may not be modified"},
		{"t", "{\"id\":9223372036854775807}", 422, "9223372036854775807"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char path[100], what[200];
		snprintf(path, sizeof path, "%s/rows", bad[i].table);
		snprintf(what, sizeof what, "%s into %s is refused", *bad[i].body ? bad[i].body : "nothing", bad[i].table);
		is_sent("POST", path, bad[i].body, bad[i].status, bad[i].holds, what);
	}
	is_sent("POST", "t/rows?id=eq.1", "{}", 400, "id has no meaning here", "a filter on an insert is refused");
}

static void test_update(void)
{
	is_sent("PATCH", "t/rows/1", "{\"b\":2}", 200, "{\"changes\":1,\"row\":{\"id\":1,\"a\":\"one\",\"b\":2,\"g\":2},\"epoch\":1", "one row by its key");
	is_sent("PATCH", "t/rows/1", "{\"id\":100,\"b\":{\"blob\":\"AA==\"}}", 200, "\"row\":{\"id\":100,\"a\":\"one\",\"b\":{\"blob\":\"AA==\"},\"g\":200}", "its key too");
	is_sent("PATCH", "t/rows/1", "{\"b\":2}", 404, "row_not_found", "no such row, and nothing journaled");
	is_sent("PATCH", "heap/rows/70", "{\"y\":1}", 200, "\"row\":{\"rowid\":70,\"x\":2,\"y\":1}", "by the rowid");
	is_sent("PATCH", "k/rows/a%2Fb", "{\"v\":1}", 200, "\"row\":{\"k\":\"a/b\",\"v\":1}", "by a text with a slash");
	is_sent("PATCH", "words/rows/9", "{\"v\":\"x\"}", 200, "\"row\":{\"rowid\":9,\"w\":\"world\",\"v\":\"x\"}", "of FTS5");
	is_sent("PATCH", "words/rows/77", "{\"v\":\"x\"}", 404, "row_not_found", "- which is not there");
	is_sent("PATCH", "pair/rows/1", "{\"v\":\"x\"}", 404, "no address", "by a composite key there is no address");
	is_sent("PATCH", "seen/rows/1", "{\"a\":\"x\"}", 404, "no address", "nor in a view");
	is_sent("PATCH", "t/rows/100", "{}", 400, "bad_json", "no change at all");
	is_sent("PATCH", "t/rows/100", "[{\"a\":1}]", 400, "bad_json", "a list of changes");
	is_sent("PATCH", "t/rows/100", "{\"nix\":1}", 400, "no column 'nix'", "an unknown column");
	is_sent("PATCH", "t/rows/100?a=eq.x", "{\"a\":1}", 400, "no meaning here", "a key and a filter");
	is_sent("PATCH", "t/rows?id=in.(10,11,12)", "{\"a\":\"many\"}", 200, "{\"changes\":3,\"epoch\"", "many by a filter, without what triggers change");
	is_sql("SELECT count(*) FROM log", "10", "- which they did");
	is_sent("PATCH", "pair/rows?a=eq.1&b=eq.2", "{\"v\":\"x\"}", 200, "{\"changes\":1", "by the columns of a composite key");
	is_sent("PATCH", "any_key/rows?k=eq.%5Cx00", "{\"v\":\"x\"}", 200, "{\"changes\":1", "by a blob");
	is_sent("PATCH", "t/rows?id=eq.999", "{\"a\":1}", 200, "{\"changes\":0", "none by a filter is no mistake");
	is_sent("PATCH", "t/rows", "{\"a\":1}", 400, "no_filter", "without any filter");
	is_sent("PATCH", "t/rows?all=1", "{\"a\":1}", 400, "all can only be true", "all=1");
	is_sent("PATCH", "t/rows?all=true", "{\"b\":1}", 200, "{\"changes\":", "all=true");
	is_sent("PATCH", "t/rows?id=gt.0&limit=1", "{\"a\":1}", 400, "limit has no meaning in a change", "a limit");
	is_sent("PATCH", "t/rows?nix=eq.1", "{\"a\":1}", 400, "bad_filter", "an unknown filter");
	is_sent("PATCH", "nix/rows?a=eq.1", "{\"a\":1}", 404, "table_unknown", "an unknown table");
}

static void test_put(void)
{
	sql("CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE, a DEFAULT 7, b NOT NULL DEFAULT 'b', g AS (a + 1) STORED);"
	    "INSERT INTO p VALUES(1, 'one', 1, 'x'), (2, 'two', 2, 'y'); CREATE TABLE only(k TEXT PRIMARY KEY COLLATE NOCASE);"
	    "CREATE TABLE child(p REFERENCES p ON DELETE CASCADE); INSERT INTO child VALUES(1)");
	is_sent("PUT", "p/rows/1", "{\"u\":\"uno\"}", 200, "{\"changes\":1,\"row\":{\"id\":1,\"u\":\"uno\",\"a\":7,\"b\":\"b\",\"g\":8},\"epoch\"",
		"a row is replaced: what is not given gets its default");
	is_sql("SELECT count(*) FROM child", "1", "it was not deleted in between");
	is_sent("PUT", "p/rows/3", "{\"id\":3,\"u\":\"tre\",\"a\":null}", 201, "\"row\":{\"id\":3,\"u\":\"tre\",\"a\":null,\"b\":\"b\",\"g\":null}",
		"or inserted, the key said twice");
	is_sent("PUT", "p/rows/3", "{}", 200, "\"row\":{\"id\":3,\"u\":null,\"a\":7", "an empty row is all defaults");
	is_sent("PUT", "p/rows/1", "{\"u\":\"two\"}", 409, "UNIQUE constraint failed: p.u", "another row is never removed");
	is_sql("SELECT count(*) FROM p", "3", "- all are there");
	is_sent("PUT", "p/rows/1", "{\"b\":null}", 409, "NOT NULL constraint failed", "a constraint");
	is_sent("PUT", "p/rows/1", "{\"id\":2}", 400, "another key", "a body that says another key");
	is_sent("PUT", "p/rows/1", "{\"rowid\":2}", 400, "another key", "- by another name");
	is_sent("PUT", "p/rows/1", "{\"g\":2}", 400, "is generated", "a generated column");
	is_sent("PUT", "p/rows/1", "[]", 400, "bad_json", "no object");
	is_sent("PUT", "p/rows/x", "{}", 422, "datatype mismatch", "a key that cannot be one");
	is_sent("PUT", "only/rows/Abc", "{}", 201, "\"row\":{\"k\":\"Abc\"}", "a table of keys alone");
	is_sent("PUT", "only/rows/aBC", "{}", 200, "\"row\":{\"k\":\"aBC\"}", "whose case does not count");
	is_sql("SELECT group_concat(k) FROM only", "aBC", "- one row");
	is_sent("PUT", "heap/rows/500", "{\"x\":1}", 201, "\"row\":{\"rowid\":500,\"x\":1,\"y\":9}", "by a rowid");
	is_sent("PUT", "heap/rows/500", "{\"y\":1}", 200, "\"row\":{\"rowid\":500,\"x\":null,\"y\":1}", "again");
	is_sent("PUT", "words/rows/40", "{\"w\":\"new\"}", 201, "\"row\":{\"rowid\":40,\"w\":\"new\",\"v\":null}", "FTS5");
	is_sent("PUT", "words/rows/40", "{\"v\":\"new\"}", 200, "\"row\":{\"rowid\":40,\"w\":null,\"v\":\"new\"}", "again");
	is_sent("PUT", "box/rows/40", "{\"x0\":1,\"x1\":2}", 201, "\"row\":{\"id\":40,\"x0\":1.0", "R-tree");
	is_sent("PATCH", "box/rows/40", "{\"x0\":0}", 200, "\"row\":{\"id\":40,\"x0\":0.0", "changed");
	is_sent("PUT", "pair/rows/1", "{}", 404, "no address", "a composite key");
	is_sent("PUT", "seen/rows/1", "{}", 404, "no address", "a view");
	is_sent("PUT", "any_key/rows/5", "{\"v\":1}", 201, "\"row\":{\"k\":5,\"v\":1}", "without affinity: a number");
	is_sent("PUT", "any_key/rows/%225%22", "{\"v\":2}", 201, "\"row\":{\"k\":\"5\",\"v\":2}", "a text");
}

static void test_delete(void)
{
	is_sent("DELETE", "p/rows/1", NULL, 200, "{\"changes\":1,\"epoch\"", "one row, without what went with it");
	is_sql("SELECT count(*) FROM child", "0", "- which went");
	is_sent("DELETE", "p/rows/1", NULL, 404, "row_not_found", "twice, and nothing journaled");
	is_sent("DELETE", "p/rows/x", NULL, 404, "row_not_found", "a key that cannot be one");
	is_sent("DELETE", "words/rows/40", NULL, 200, "{\"changes\":1", "of FTS5");
	is_sent("DELETE", "words/rows/40", NULL, 404, "row_not_found", "twice");
	is_sent("DELETE", "k/rows/a%2Fb", NULL, 200, "{\"changes\":1", "by a text with a slash");
	is_sent("DELETE", "pair/rows/1", NULL, 404, "no address", "a composite key");
	is_sent("DELETE", "heap/rows?x=is.null", NULL, 200, "{\"changes\":1", "by a filter");
	is_sent("DELETE", "heap/rows", NULL, 400, "no_filter", "without any filter");
	is_sent("DELETE", "heap/rows?big=string", NULL, 400, "no_filter", "which big= is not");
	is_sent("DELETE", "heap/rows?all=true", NULL, 200, "{\"changes\":6", "all=true");
	is_sent("DELETE", "seen/rows?all=true", NULL, 400, "cannot modify seen", "a view without a trigger");
	is_sent("DELETE", "ddb_journal/rows?all=true", NULL, 404, "table_unknown", "the journal");
	is_sent("DELETE", "words_data/rows?all=true", NULL, 400, "may not be modified", "a shadow");
}

static void test_many(void)
{
	struct buf body = BUF_INIT(1 << 24);
	struct client c;
	sql("CREATE TABLE many(id INTEGER PRIMARY KEY, a, b)");
	for (int i = 0; i < 20000; i++)
		buf_addf(&body, "%c{\"a\":%d,\"b\":\"row %d\"}", i ? ',' : '[', i, i);
	buf_add_char(&body, ']');
	is_int(send(&c, "POST", "many/rows", body.data), 201, "20,000 rows at once");
	ok(has(&c, "\"inserted\":20000") && has(&c, ",20000]"), "with their keys");
	buf_release(&c.got);
	buf_reset(&body);
	for (int i = 0; i < 30000; i++)
		buf_addf(&body, "%c{\"%c\":%d}", i ? ',' : '[', i % 2 ? 'a' : 'b', i);
	buf_add_char(&body, ']');
	is_sent("POST", "many/rows", body.data, 413, "too_big", "too many changes between columns");
	buf_reset(&body);
	buf_add_str(&body, "many/rows?id=in.(0");
	for (int i = 1; i < 10000; i++)
		buf_addf(&body, ",%d", i);
	buf_add_char(&body, ')');
	is_sent("PATCH", body.data, "{\"a\":null}", 200, "{\"changes\":9999", "a filter of 10,000 values");
	is_sent("DELETE", body.data, NULL, 200, "{\"changes\":9999", "a delete by it");
	is_sent("DELETE", "many/rows?all=true", NULL, 200, "{\"changes\":10001", "the rest");
	buf_release(&body);
}

int main(void)
{
	if (!begin())
		return 99;
	test_insert();
	test_values();
	test_update();
	test_put();
	test_delete();
	test_many();
	end();
	return tap_done();
}
