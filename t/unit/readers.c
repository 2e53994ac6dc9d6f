/* lib/sql/readers: connections are reused, and follow the file of their name. */
#include "lib/journal/journal.h"
#include "lib/sql/readers.h"
#include "t/tap.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/ddb-readers-XXXXXX";
static char path[100], other[100];

static void make(const char *where, int value)
{
	struct conn c;
	struct err e = ERR_INIT;
	char sql[100];
	snprintf(sql, sizeof sql, "CREATE TABLE t(a); INSERT INTO t VALUES(%d)", value);
	if (conn_open(&c, where, CONN_CREATE, 256, &e) != ERR_OK || conn_exec(&c, sql, &e) != ERR_OK)
		printf("# %s: %s\n", where, e.text);
	conn_close(&c);
}

/* The log belongs to the file: it goes and comes with it. */
static void move(const char *from, const char *to)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char a[120], b[120];
	for (int i = 0; i < 3; i++) {
		snprintf(a, sizeof a, "%s%s", from, ends[i]);
		snprintf(b, sizeof b, "%s%s", to, ends[i]);
		if (rename(a, b) != 0)
			unlink(b);
	}
}

static int64_t value_of(struct conn *c)
{
	int64_t v = -1;
	struct err e = ERR_INIT;
	conn_int(c, "SELECT a FROM t", -2, &v, &e);
	return v;
}

/* Our own statement is kept prepared on a connection of AUTHZ_QUERY; when the
 * schema changes, SQLite prepares it anew in the middle of a step. */
static void schema_change(struct readers *r)
{
	struct err e = ERR_INIT;
	struct conn w, *a;
	struct journal_pos head;
	char at[120];
	snprintf(at, sizeof at, "%s/journal.db", dir);
	ok(conn_open(&w, at, CONN_CREATE, 256, &e) == ERR_OK &&
			journal_create(&w, "0123456789abcdef0123456789abcdef", "j", &e) == ERR_OK, "a database with a journal");
	ok(readers_take(r, at, &a, &e) == ERR_OK && journal_head(a, &head, &e) == ERR_OK, "its head is read");
	ok(a->authz.mode == AUTHZ_QUERY, "and the connection is in query mode again");
	ok(conn_exec(&w, "CREATE TABLE t(a)", &e) == ERR_OK, "the schema changes");
	ok(journal_head(a, &head, &e) == ERR_OK, "the head is read again: %s", e.text);
	readers_give(r, a, false);
	conn_close(&w);
	char gone[120];
	snprintf(gone, sizeof gone, "%s/gone-journal", dir);
	move(at, gone);
	move("/nonexistent", gone);
}

int main(void)
{
	struct err e = ERR_INIT;
	struct conn *a, *b, *c;
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/one.db", dir);
	snprintf(other, sizeof other, "%s/two.db", dir);
	struct readers *r = readers_new(256, 2);

	ok(readers_take(r, path, &a, &e) == ERR_DATABASE_UNKNOWN, "a missing file is an unknown database");
	err_reset(&e);
	make(path, 1);
	ok(readers_take(r, path, &a, &e) == ERR_OK && value_of(a) == 1, "a connection to a file");
	ok(a->authz.mode == AUTHZ_QUERY, "it is in query mode");
	ok(readers_take(r, path, &b, &e) == ERR_OK && a != b, "a second one while the first is in use");

	ok(conn_exec(a, "BEGIN; SELECT * FROM t", &e) == ERR_OK, "a transaction is begun");
	a->deadline_us = 1;
	struct conn *was = a;
	readers_give(r, a, false);
	ok(readers_take(r, path, &a, &e) == ERR_OK && a == was, "what was given back is taken again");
	ok(sqlite3_get_autocommit(a->db) && a->deadline_us == 0, "without its transaction and deadline");

	readers_give(r, a, false);
	make(other, 2);
	move(other, path);
	ok(readers_take(r, path, &a, &e) == ERR_OK && value_of(a) == 2, "a replaced file is noticed");
	is_int(value_of(b), 1, "a connection in use still has the old file");
	readers_give(r, b, false);
	ok(readers_take(r, path, &b, &e) == ERR_OK && value_of(b) == 2, "and is not reused for the new one");

	unlink(path);
	readers_give(r, a, false);
	ok(readers_take(r, path, &a, &e) == ERR_DATABASE_UNKNOWN, "a removed file is noticed");
	err_reset(&e);
	readers_give(r, b, true);

	make(path, 3);
	readers_take(r, path, &a, &e);
	readers_take(r, path, &b, &e);
	readers_take(r, path, &c, &e);
	readers_give(r, a, false);
	readers_give(r, b, false);
	readers_give(r, c, false);
	ok(readers_take(r, path, &a, &e) == ERR_OK && value_of(a) == 3, "more than the most idle ones may be given back");
	ok(conn_exec(a, "INSERT INTO t VALUES(4)", &e) == ERR_NOT_READ_ONLY, "a reader cannot write");
	readers_give(r, a, false);
	schema_change(r);
	readers_free(r);

	snprintf(other, sizeof other, "%s/gone", dir);
	move(path, other);
	move("/nonexistent", other);
	rmdir(dir);
	return tap_done();
}
