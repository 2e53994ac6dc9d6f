/* lib/api: who may answer a read, the position asked for, tags, query, tables. */
#include "t/node.h"
#include "t/tap.h"

#include <inttypes.h>
#include <pthread.h>

#define QUERY "/v1/db/shop/query"

static char token_now[JOURNAL_TOKEN_LEN];

static const char *token(int64_t epoch, int64_t seq)
{
	static char text[JOURNAL_TOKEN_LEN];
	journal_token(node_id, &(struct journal_pos){.epoch = epoch, .seq = seq}, text);
	return text;
}

static int64_t head_seq(void)
{
	struct journal_pos head;
	writer_head(node_writer, &head);
	return head.seq;
}

/* GET with up to two more variables; the answer in c (release c->got). */
static int ask(struct client *c, const char *uri, const char *name, const char *value, const char *name2,
	const char *value2)
{
	client_init(c, "GET", uri);
	if (name)
		client_set(c, name, value);
	if (name2)
		client_set(c, name2, value2);
	return node_run(c);
}

static void is_answer(const char *what, int status, const char *holds, const char *name, const char *value,
	const char *name2, const char *value2)
{
	struct client c;
	int got = ask(&c, QUERY "?sql=select+1", name, value, name2, value2);
	if (!ok(got == status && (!holds || has(&c, holds)), "%s", what))
		printf("#   %d, wanted %d with '%s':\n# %s\n", got, status, holds ? holds : "", c.got.data);
	buf_release(&c.got);
}

#define PLAIN NULL, NULL, NULL, NULL
#define LAST_RESORT "DDB_LAST_RESORT", "1"

static void test_states(void)
{
	node_state("ready", true, 0, "http://127.0.0.1:8001");
	is_answer("a slave in sync answers", 200, "DDB-Node: n2", PLAIN);
	is_answer("also what was passed on to it", 200, "\"rows\":[[1]]", "DDB_FORWARDED", "n3", NULL, NULL);
	node_state("ready", true, 10000, "http://127.0.0.1:8001");
	is_answer("one whose master is silent passes reads on", 200, "X-DDB-Master: 127.0.0.1:8001", PLAIN);
	is_answer("answers as a last resort, and says so", 200, "DDB-Stale: 1", LAST_RESORT, NULL, NULL);
	is_answer("unless the client refuses that", 425, "too_stale", LAST_RESORT, "HTTP_DDB_MAX_STALE", "5000");
	is_answer("as much as the client accepts is fine", 200, "DDB-Stale: 1", LAST_RESORT, "HTTP_DDB_MAX_STALE", "60000");
	is_answer("a limit that is no number is refused", 400, "bad_request", LAST_RESORT, "HTTP_DDB_MAX_STALE", "-1");
	is_answer("what was passed on is a last resort too", 200, "DDB-Stale: 1", "DDB_FORWARDED", "n3", NULL, NULL);
	node_state("ready", true, 3600001, "http://127.0.0.1:8001");
	is_answer("beyond max_stale_ms no more", 425, "too_stale", LAST_RESORT, NULL, NULL);
	node_state("ready", true, 10000, NULL);
	is_answer("no master known: the last resort at once", 200, "DDB-Stale: 1", PLAIN);
	static const char *const not_ready[] = {"starting", "joining", "snapshot", "syncing", "lagging", "diverged", "paused",
		"error", "waiting"};
	for (size_t i = 0; i < sizeof not_ready / sizeof *not_ready; i++) {
		char what[100];
		node_state(not_ready[i], true, 0, "http://127.0.0.1:8001");
		snprintf(what, sizeof what, "%s: passed on", not_ready[i]);
		is_answer(what, 200, "X-Accel-Redirect: @master", PLAIN);
		snprintf(what, sizeof what, "%s: never a last resort", not_ready[i]);
		is_answer(what, 425, "not_ready", LAST_RESORT, NULL, NULL);
	}
	node_state("silent", false, 10000, NULL);
	is_answer("silent and never in sync: refused", 425, "not_ready", PLAIN);
	char path[200];
	snprintf(path, sizeof path, "%s/write.json", node_dir);
	remove(path);
	is_answer("nothing known of this node: refused", 425, "not_ready", PLAIN);
}

static void test_unknown(void)
{
	struct client c;
	static const char *const names[] = {"nix", "_ddb", "a.b", "..%2fx", "%27", ""};
	node_state("master", false, 0, NULL);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char uri[100];
		snprintf(uri, sizeof uri, "/v1/db/%s/tables", names[i]);
		ok(ask(&c, uri, PLAIN) == 404, "'%s' is no database of the master", names[i]);
		buf_release(&c.got);
	}
	node_state("ready", true, 0, "http://127.0.0.1:8001");
	ask(&c, "/v1/db/nix/tables", PLAIN);
	ok(has(&c, "X-Accel-Redirect: @master"), "one that a slave does not know is the master's to answer");
	buf_release(&c.got);
	is_int(ask(&c, "/v1/db/nix/tables", LAST_RESORT, NULL, NULL), 425, "or nobody's");
	buf_release(&c.got);
	char path[200];
	snprintf(path, sizeof path, "%s/db/new.db", node_dir);
	struct err e = ERR_INIT;
	file_replace(path, "", 0, false, &e);
	ask(&c, "/v1/db/new/tables", PLAIN);
	ok(has(&c, "X-Accel-Redirect: @master"), "a file that is still being made is unknown as yet");
	buf_release(&c.got);
	remove(path);
}

#define MIN_SEQ "HTTP_DDB_MIN_SEQ"
#define COOKIE "HTTP_COOKIE"
#define OTHER "ffffffffffffffffffffffffffffffff.1.1"

static void test_positions(void)
{
	char cookie[200];
	int64_t seq = head_seq();
	node_state("ready", true, 0, "http://127.0.0.1:8001");
	journal_token(node_id, &(struct journal_pos){.epoch = 1, .seq = seq}, token_now);
	snprintf(cookie, sizeof cookie, "a=b; DDB-Seq=%s; c", token_now);
	is_answer("a position that is here", 200, token_now, MIN_SEQ, token_now, NULL, NULL);
	is_answer("an older one", 200, token_now, MIN_SEQ, token(1, 1), NULL, NULL);
	is_answer("one given by cookie", 200, token_now, COOKIE, cookie, NULL, NULL);
	int64_t began = clock_boot_ms();
	is_answer("one that is not here yet is passed on", 200, "X-Accel-Redirect", MIN_SEQ, token(1, seq + 1), NULL, NULL);
	ok(clock_boot_ms() - began >= node_app.conf.min_seq_wait_ms, "after a wait");
	is_answer("one of a later reign too", 200, "X-Accel-Redirect", MIN_SEQ, token(2, 1), NULL, NULL);
	is_answer("but not as a last resort", 425, "not_ready", MIN_SEQ, token(1, seq + 1), LAST_RESORT);
	is_answer("one that is no token is refused", 400, "bad_request", MIN_SEQ, "7", NULL, NULL);
	is_answer("in a cookie it is ignored", 200, "rows", COOKIE, "DDB-Seq=7", NULL, NULL);
	is_answer("one of another database is the master's to judge", 200, "X-Accel-Redirect", MIN_SEQ, OTHER, NULL, NULL);
	is_answer("in a cookie too", 200, "X-Accel-Redirect", COOKIE, "DDB-Seq=" OTHER, NULL, NULL);
	node_state("master", false, 0, NULL);
	is_answer("the master says that it is lost", 409, "position_lost", MIN_SEQ, OTHER, NULL, NULL);
	snprintf(cookie, sizeof cookie, "Set-Cookie: DDB-Seq=%s; Path=/v1/db/shop;", token_now);
	is_answer("or replaces the cookie", 200, cookie, COOKIE, "DDB-Seq=" OTHER, NULL, NULL);
	is_answer("what the master does not have is lost", 409, "position_lost", MIN_SEQ, token(1, seq + 1), NULL, NULL);
	is_answer("of a later reign it cannot tell", 425, "not_ready", MIN_SEQ, token(2, 1), NULL, NULL);
	char lost[200];
	snprintf(lost, sizeof lost, "DDB-Seq=%s", token(1, seq + 1));
	is_answer("a cookie that is lost is an error once, and replaced", 409, cookie, COOKIE, lost, NULL, NULL);
}

static void *write_soon(void *arg)
{
	nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
	node_sql("INSERT INTO t VALUES(NULL, 'soon')");
	return arg;
}

static void test_wait(void)
{
	pthread_t writer;
	node_state("ready", true, 0, "http://127.0.0.1:8001");
	node_app.conf.min_seq_wait_ms = 60000;
	int64_t seq = head_seq() + 1;
	pthread_create(&writer, NULL, write_soon, NULL);
	is_answer("a position that comes while it is waited for", 200, token(1, seq), MIN_SEQ, token(1, seq), NULL, NULL);
	pthread_join(writer, NULL);
	node_app.wait.most = 0;
	int64_t began = clock_boot_ms();
	is_answer("too many wait: passed on", 200, "X-Accel-Redirect", MIN_SEQ, token(1, seq + 1), NULL, NULL);
	ok(clock_boot_ms() - began < 20000, "at once");
	node_app.wait.most = 4;
	node_app.conf.min_seq_wait_ms = 20;
}

/* A second reign: what the first one had counts, what it would have had does not. */
static void test_reigns(void)
{
	int64_t end = head_seq();
	node_reign = 2;
	node_sql("INSERT INTO t VALUES(NULL, 'second reign')");
	node_sql("INSERT INTO t VALUES(NULL, 'second reign')");
	node_state("ready", true, 0, "http://127.0.0.1:8001");
	is_answer("the end of a reign that is over", 200, token(2, end + 2), MIN_SEQ, token(1, end), NULL, NULL);
	is_answer("beyond its end: lost", 409, "position_lost", MIN_SEQ, token(1, end + 1), NULL, NULL);
	is_answer("far beyond: lost", 409, "position_lost", MIN_SEQ, token(1, end + 100), NULL, NULL);
	is_answer("the present reign", 200, token(2, end + 2), MIN_SEQ, token(2, end + 2), NULL, NULL);
}

static void test_tags(void)
{
	struct client c;
	char tag[300] = "";
	node_state("ready", true, 0, "http://127.0.0.1:8001");
	ask(&c, QUERY "?sql=select+1", PLAIN);
	const char *from = c.got.data ? strstr(c.got.data, "ETag: ") : NULL;
	if (from)
		snprintf(tag, sizeof tag, "%.*s", (int)strcspn(from + 6, "\r"), from + 6);
	buf_release(&c.got);
	ok(strncmp(tag, "W/\"0123", 7) == 0, "an answer has a weak tag");
	is_answer("which makes the next one a 304", 304, tag, "HTTP_IF_NONE_MATCH", tag, NULL, NULL);
	char list[700];
	snprintf(list, sizeof list, "\"x\", %s , \"y\"", tag);
	is_answer("also in a list", 304, tag, "HTTP_IF_NONE_MATCH", list, NULL, NULL);
	is_answer("another tag does not", 200, tag, "HTTP_IF_NONE_MATCH", "W/\"x\"", NULL, NULL);
	ask(&c, QUERY "?sql=select+2", "HTTP_IF_NONE_MATCH", tag, NULL, NULL);
	ok(status_of(&c) == 200, "another request has another tag");
	buf_release(&c.got);
	node_sql("INSERT INTO t VALUES(NULL, 'x')");
	is_answer("after a write it is another", 200, "rows", "HTTP_IF_NONE_MATCH", tag, NULL, NULL);
	static const char *const moving[] = {"random()", "datetime('now')", "current_timestamp", "date()"};
	for (size_t i = 0; i < sizeof moving / sizeof *moving; i++) {
		char uri[100];
		snprintf(uri, sizeof uri, QUERY "?sql=select+%s", moving[i]);
		ask(&c, uri, PLAIN);
		ok(status_of(&c) == 200 && !has(&c, "ETag"), "%s has none", moving[i]);
		buf_release(&c.got);
	}
	client_init(&c, "HEAD", QUERY "?sql=select+1");
	is_int(node_run(&c), 200, "HEAD");
	ok(has(&c, "ETag: ") && *body_of(&c) == '\0', "has the tag and no body");
	buf_release(&c.got);
}

static void is_posted(const char *body, int status, const char *holds, const char *what)
{
	struct client c;
	char length[20];
	client_init(&c, "POST", QUERY);
	snprintf(length, sizeof length, "%zu", strlen(body));
	client_body(&c, body, strlen(body), length);
	int got = node_run(&c);
	if (!ok(got == status && has(&c, holds), "%s", what))
		printf("#   %d, wanted %d with '%s':\n# %.600s\n", got, status, holds, c.got.data);
	buf_release(&c.got);
}

static void test_query(void)
{
	node_state("master", false, 0, NULL);
	is_posted("{\"sql\":\"select id, v from t where id < ? order by id\",\"params\":[2]}", 200,
		"{\"columns\":[\"id\",\"v\"],\"types\":[\"INTEGER\",\"TEXT\"],\"rows\":[[1,\"one\"]],\"epoch\":2,\"seq\":", "rows");
	is_posted("{\"sql\":\"select :a + @b\",\"params\":{\"a\":1,\"b\":2}}", 200, "\"rows\":[[3]]", "named parameters");
	is_posted("{\"sql\":\"select 1 where 0;  -- nothing more \"}", 200, "\"rows\":[]", "no rows");
	is_posted("{\"sql\":\"values(1),(2)\"}", 200, "\"types\":[null],\"rows\":[[1],[2]]", "values without a table");
	is_posted("{\"sql\":\"explain query plan select * from t\"}", 200, "SCAN t", "a query plan");
	is_posted("{\"sql\":\"pragma table_info(t)\"}", 200, "\"rows\":[[0,\"id\"", "a PRAGMA that only reads");
	static const char *const writes[] = {"insert into t values(9,'x')", "delete from t", "create table u(a)", "drop table t",
		"insert into t values(9,'x') returning id", "update t set v = 1", "reindex", "vacuum", "replace into t values(1,1)"};
	for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
		char body[200];
		snprintf(body, sizeof body, "{\"sql\":\"%s\"}", writes[i]);
		is_posted(body, 400, "not_read_only", writes[i]);
	}
	static const char *const forbidden[] = {"begin", "commit", "savepoint a", "attach 'x' as y", "select * from ddb_journal",
		"pragma journal_mode", "select * from ddb_meta", "detach main"};
	for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
		char body[200];
		snprintf(body, sizeof body, "{\"sql\":\"%s\"}", forbidden[i]);
		is_posted(body, 403, "sql_forbidden", forbidden[i]);
	}
	is_posted("{\"sql\":\"select 1 from nix\"}", 400, "\"detail\":\"no such table: nix\"", "an unknown table");
	is_posted("{\"sql\":\"select nix from t\"}", 400, "\"offset\":7", "where in the text");
	is_posted("{\"sql\":\"select 1; select 2\"}", 400, "more than one statement", "two statements");
	is_posted("{\"sql\":\" -- nothing\\n\"}", 400, "sql_error", "no statement");
	is_posted("{\"sql\":\"select '\\u0000'\"}", 400, "NUL", "a NUL in the text");
	is_posted("{\"sql\":\"select ?\"}", 400, "bad_value", "a parameter without value");
	is_posted("{\"sql\":\"select ?\",\"params\":[[]]}", 400, "parameter 1: an array is no value", "a value that is none");
	is_posted("{\"sql\":\"select 1\",\"parms\":[]}", 400, "parms", "an unknown member");
	is_posted("{\"sql\":7}", 400, "bad_json", "SQL that is no text");
	is_posted("[]", 400, "bad_json", "a body that is no object");
	is_posted("{\"sql\":\"select 1\"", 400, "bad_json", "half a body");
	is_posted("{\"sql\":\"select abs(-9223372036854775808)\"}", 422, "sql_runtime", "an error at the first row is a problem document");
	is_posted("{\"sql\":\"select abs(value) from (select 1 as value union all select -9223372036854775808)\"}", 422, "sql_runtime",
		"at the second, too");
	is_int(node_get(QUERY, NULL), 400, "GET without sql");
	is_int(node_get(QUERY "?sql=select+1&x=1", NULL), 400, "GET with an unknown parameter");
	is_int(node_get(QUERY "?sql=select+?&params=[1", NULL), 400, "GET with broken parameters");
	json_t *v;
	is_int(node_get(QUERY "?sql=select+?,9007199254740993&params=[9007199254740993]&big=string", &v), 200, "GET");
	json_t *row = json_array_get(json_object_get(v, "rows"), 0);
	is_str(json_string_value(json_array_get(row, 0)), "9007199254740993", "big integers as strings");
	json_decref(v);
	is_int(node_get(QUERY "?sql=select+1&big=yes", NULL), 400, "an unknown way to write them");
}

#define NUMBERS "with+recursive+n(i)+as+(select+1+union+all+select+i%2B1+from+n+limit+200000)+"

static void test_many_parameters(void)
{
	struct buf sql = BUF_INIT(1 << 20), params = BUF_INIT(1 << 20), body = BUF_INIT(1 << 22);
	for (int named = 0; named < 2; named++) {
		buf_reset(&sql);
		buf_reset(&params);
		buf_reset(&body);
		for (int i = 0; i < 10000; i++) {
			if (named)
				buf_addf(&params, "%s\"p%d\":%d", i ? "," : "", i, i);
			else
				buf_addf(&params, "%s%d", i ? "," : "", i);
			buf_addf(&sql, named ? "%s:p%d" : "%s?", i ? "," : "", i);
		}
		buf_addf(&body, "{\"sql\":\"select 9999 in (%s)\",\"params\":%c%s%c}", sql.data, named ? '{' : '[', params.data,
			named ? '}' : ']');
		is_posted(body.data, 200, "\"rows\":[[1]]", named ? "10,000 named parameters" : "10,000 parameters");
	}
	buf_release(&sql);
	buf_release(&params);
	buf_release(&body);
}

static void test_streams(void)
{
	struct client c;
	json_t *v;
	is_int(node_get(QUERY "?sql=" NUMBERS "select+i,+hex(zeroblob(40))+from+n", &v), 200, "200,000 rows");
	is_int((long long)json_array_size(json_object_get(v, "rows")), 200000, "all of them");
	json_decref(v);
	ask(&c, QUERY "?sql=" NUMBERS "select+abs(iif(i<100000,i,-9223372036854775808))+from+n", PLAIN);
	is_int(status_of(&c), 200, "an error after pieces have left");
	ok(c.was_cut && !has(&c, "\"seq\""), "cuts the answer");
	v = json_loads(body_of(&c), 0, NULL);
	ok(!v, "which no one can take for whole");
	buf_release(&c.got);
	client_init(&c, "GET", QUERY "?sql=" NUMBERS "select+count(*)+from+n,n");
	node_app.conf.read_deadline_ms = 100;
	int64_t began = clock_boot_ms();
	is_int(node_run(&c), 422, "the deadline");
	ok(has(&c, "\"code\":\"deadline\"") && clock_boot_ms() - began < 20000, "ends what runs for ever");
	buf_release(&c.got);
	node_app.conf.read_deadline_ms = 120000;
	client_init(&c, "GET", QUERY "?sql=" NUMBERS "select+count(*)+from+n,n");
	c.gone_after = 1;
	began = clock_boot_ms();
	node_run(&c);
	ok(clock_boot_ms() - began < 20000, "a client that goes away ends it too");
	buf_release(&c.got);
	client_init(&c, "HEAD", QUERY "?sql=" NUMBERS "select+i+from+n");
	began = clock_boot_ms();
	is_int(node_run(&c), 200, "HEAD of a long answer");
	ok(*body_of(&c) == '\0', "has no body");
	buf_release(&c.got);
	is_posted("{\"sql\":\"select zeroblob(20000000), zeroblob(20000000)\"}", 200, "\"blob\":\"AAAA", "a huge row");
	is_posted("{\"sql\":\"select zeroblob(1000000000)\"}", 422, "sql_runtime", "a value beyond the limit");
}

static void is_described(const char *table, const char *member, const char *want, const char *what)
{
	char uri[300];
	json_t *v;
	snprintf(uri, sizeof uri, "/v1/db/shop/tables/%s", table);
	int status = node_get(uri, &v);
	char *got = json_dumps(json_object_get(v, member), JSON_COMPACT | JSON_ENCODE_ANY);
	is_str(status == 200 ? got : "no answer", want, what);
	free(got);
	json_decref(v);
}

static void test_tables(void)
{
	json_t *v;
	node_execute("{\"statements\":[\"create table pair(b int, a text collate nocase, n, primary key(a, b)) without rowid\","
		"\"create table heap(x default (1 + 1), y not null)\", \"create table keyed(k text primary key, v bool)\","
		"\"create table both(a, b, primary key(a, b))\", \"create table strict_one(id int primary key, a any) strict\","
		"\"create table taken(rowid, _rowid_, oid)\", \"create table half(rowid text, x)\","
		"\"create table made(id integer primary key, g as (id * 2), h as (id) stored)\","
		"\"create table child(id integer primary key, a text, b int, p references keyed on delete cascade,"
		" foreign key(a, b) references pair(a, b) on update set null)\","
		"\"create view seen as select k, v from keyed\", \"create view broken as select * from seen2\","
		"\"create virtual table words using fts5(w)\", \"create virtual table box using rtree(id, x0, x1)\","
		"\"create unique index heap_x on heap(x, y + 1) where x > 5\", \"create table \\\"odd \\\"\\\" name/ä\\\"(\\\"c \\\"\\\" d\\\")\","
		"\"create trigger heap_ai after insert on heap begin select 1; end\"]}");
	is_int(node_get("/v1/db/shop/tables", &v), 200, "the tables");
	size_t i;
	json_t *one;
	int ours = 0, shadows = 0;
	json_array_foreach(json_object_get(v, "tables"), i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		ours += strncmp(name, "ddb_", 4) == 0 || strncmp(name, "sqlite_", 7) == 0;
		shadows += strcmp(json_string_value(json_object_get(one, "type")), "shadow") == 0;
	}
	is_int(ours, 0, "without our own and SQLite's");
	is_int(shadows, 8, "with the shadows of virtual tables");
	json_decref(v);

	is_described("t", "key", "[\"id\"]", "an INTEGER PRIMARY KEY");
	is_described("T", "name", "\"t\"", "case does not count");
	is_described("keyed", "key_kind", "\"primary\"", "a TEXT PRIMARY KEY");
	is_described("heap", "key", "[\"rowid\"]", "no key: the rowid");
	is_described("both", "key_kind", "\"rowid\"", "a key of two columns: the rowid");
	is_described("pair", "key", "[\"a\",\"b\"]", "but not WITHOUT ROWID");
	is_described("pair", "key_kind", "\"composite\"", "where it is composite");
	is_described("half", "key", "[\"_rowid_\"]", "a column named rowid leaves another name");
	is_described("taken", "key_kind", "null", "three leave none");
	is_described("seen", "key_kind", "null", "a view has no key");
	is_described("seen", "type", "\"view\"", "and is one");
	is_described("words", "key_kind", "\"rowid\"", "a virtual table has a rowid");
	is_described("box", "key", "[\"id\"]", "an R-tree has its first column");
	is_described("strict_one", "strict", "true", "STRICT");
	is_described("made", "columns", "[{\"name\":\"id\",\"type\":\"INTEGER\",\"notnull\":false,\"default\":null,\"pk\":1,"
		"\"hidden\":false,\"generated\":false},{\"name\":\"g\",\"type\":\"\",\"notnull\":false,\"default\":null,\"pk\":0,"
		"\"hidden\":false,\"generated\":true},{\"name\":\"h\",\"type\":\"\",\"notnull\":false,\"default\":null,\"pk\":0,"
		"\"hidden\":false,\"generated\":true}]", "columns");
	is_described("heap", "indexes", "[{\"name\":\"heap_x\",\"unique\":true,\"origin\":\"c\",\"partial\":true,\"columns\":"
		"[\"x\",null],\"sql\":\"CREATE UNIQUE INDEX heap_x on heap(x, y + 1) where x > 5\"}]", "indexes");
	is_described("heap", "triggers", "[{\"name\":\"heap_ai\",\"sql\":\"CREATE TRIGGER heap_ai after insert on heap begin"
		" select 1; end\"}]", "triggers");
	is_described("child", "foreign_keys", "[{\"table\":\"keyed\",\"from\":[\"p\"],\"to\":[null],\"on_delete\":\"CASCADE\","
		"\"on_update\":\"NO ACTION\"},{\"table\":\"pair\",\"from\":[\"a\",\"b\"],\"to\":[\"a\",\"b\"],\"on_delete\":\"NO ACTION\","
		"\"on_update\":\"SET NULL\"}]", "foreign keys");
	is_described("odd%20%22%20name%2F%C3%A4", "sql", "\"CREATE TABLE \\\"odd \\\"\\\" name/ä\\\"(\\\"c \\\"\\\" d\\\")\"", "an odd name");
	static const char *const unknown[] = {"nix", "ddb_journal", "DDB_meta", "sqlite_schema", "sqlite_master", "", "t%22", "main.t"};
	for (i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		char uri[100];
		snprintf(uri, sizeof uri, "/v1/db/shop/tables/%s", unknown[i]);
		ok(node_get(uri, NULL) == 404, "'%s' is unknown", unknown[i]);
	}
	int status = node_get("/v1/db/shop/tables/broken", NULL);
	ok(status >= 400 && status < 500, "a view of nothing is a clear error (%d)", status);
}

/* Requests of all kinds from many threads, while the schema changes under them. */
static void *read_much(void *arg)
{
	static const char *const uris[] = {QUERY "?sql=select+count(*)+from+t", "/v1/db/shop/tables/moving/rows?order=a.desc",
		"/v1/db/shop/tables", "/v1/db/shop/tables/moving", "/v1/db/shop/tables/t/rows/1", "/v1/db/shop/tables/nix/rows"};
	int *wrong = arg;
	for (int i = 0; i < 300; i++) {
		int status = node_get(uris[i % 6], NULL);
		*wrong += status != (i % 6 == 5 ? 404 : 200);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[6];
	int wrong[6] = {0}, sum = 0;
	node_state("master", false, 0, NULL);
	node_sql("CREATE TABLE moving(a); INSERT INTO moving VALUES(1), (2)");
	for (int i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, read_much, &wrong[i]);
	for (int i = 0; i < 40; i++) {
		char sql[200];
		snprintf(sql, sizeof sql, "ALTER TABLE moving ADD COLUMN c%d DEFAULT %d; INSERT INTO moving(a) VALUES(%d)", i, i, i);
		node_sql(sql);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(thread[i], NULL);
		sum += wrong[i];
	}
	is_int(sum, 0, "1800 requests in six threads while the schema changes: each is answered as it should be");
}

int main(void)
{
	node_begin();
	node_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
	node_sql("INSERT INTO t VALUES(1, 'one'), (2, 'two')");
	node_app.conf.min_seq_wait_ms = 20;
	node_app.conf.silent_ms = 9000;
	test_states();
	test_unknown();
	test_positions();
	test_wait();
	test_reigns();
	test_tags();
	test_query();
	test_many_parameters();
	test_streams();
	test_tables();
	test_threads();
	node_end();
	return tap_done();
}
