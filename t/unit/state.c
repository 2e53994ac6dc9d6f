/* lib/cluster/state, statefile: the tables of states, and what a reader makes of the state file. */
#include "lib/base/clock.h"
#include "lib/cluster/statefile.h"
#include "t/tap.h"

#include <stdlib.h>
#include <unistd.h>

static struct conf conf;

static void test_tables(void)
{
	bool whole = true, found = true;
	for (int i = 0; i < NODE_STATE_N; i++) {
		const struct node_state_row *row = &node_state_table[i];
		whole = whole && row->name && row->sentence && row->health_read && row->health_write;
		found = found && node_state_by_name(row->name) == (enum node_state)i;
		if (row->health_read == 200)
			whole = whole && i == NODE_READY;
		if (row->health_write == 200)
			whole = whole && i == NODE_IS_MASTER;
	}
	ok(whole, "each node state has a name, a sentence and answers; ready alone is healthy for reads, master for writes");
	ok(found, "each node state is found by its name");
	ok(node_state_by_name("sleeping") == NODE_STATE_N && node_state_by_name(NULL) == NODE_STATE_N,
		"an unknown name is no state");
	whole = true;
	for (int i = 0; i < SLAVE_STATE_N; i++)
		whole = whole && slave_state_table[i].name && slave_state_table[i].sentence && slave_state_table[i].event_level;
	ok(whole, "each slave state has a name, a sentence and a level");
}

static void put(const char *state, int64_t heartbeat_boot_ms, json_t *behind, const char *boot)
{
	struct err e = ERR_INIT;
	json_t *doc = json_pack("{s:i, s:s, s:s, s:s, s:I, s:b, s:I, s:n, s:{s:s, s:s}, s:{s:{s:s, s:i, s:i, s:o}}}",
		"version", 1, "boot_id", boot, "node", "n2", "state", state, "epoch", (json_int_t)3, "was_in_sync", 0,
		"heartbeat_boot_ms", (json_int_t)heartbeat_boot_ms, "error", "master", "name", "n1", "url",
		"http://10.0.0.1:8001/x", "databases", "shop", "id", "i", "epoch", 3, "seq", 7, "behind_since_boot_ms", behind);
	ok(statefile_write(&conf, doc, &e) == ERR_OK, "write.json is written (%s)", state);
	json_decref(doc);
}

static void test_view(void)
{
	struct statefile_view v;
	int64_t now = clock_boot_ms();
	statefile_view(&conf, &v);
	ok(!v.known && v.state == NODE_STARTING && v.heartbeat_age_ms == -1 && v.lag_ms == -1,
		"without a file nothing is known, and nothing is zero");
	put("ready", now - 10, json_null(), clock_boot_id());
	statefile_view(&conf, &v);
	ok(v.known && v.state == NODE_READY && v.lag_ms == 0 && v.heartbeat_age_ms >= 10 && v.heartbeat_age_ms < 2000,
		"a young heartbeat: ready");
	is_str(v.master_host, "10.0.0.1:8001", "the master's host");
	is_int(v.epoch, 3, "the epoch");
	put("ready", now - conf.silent_ms - 50, json_null(), clock_boot_id());
	statefile_view(&conf, &v);
	ok(v.state == NODE_SILENT && v.was_in_sync, "an old heartbeat makes a ready node silent, without anyone writing it");
	put("ready", now - 10, json_integer(now - conf.lag_ms - 50), clock_boot_id());
	statefile_view(&conf, &v);
	ok(v.state == NODE_LAGGING && v.lag_ms > conf.lag_ms, "behind for too long: lagging");
	put("lagging", now - conf.silent_ms - 50, json_integer(now - 1), clock_boot_id());
	statefile_view(&conf, &v);
	ok(v.state == NODE_SILENT && !v.was_in_sync, "who lagged when the master fell silent was not in sync");
	put("ready", now - 10, json_null(), "00000000-0000-0000-0000-000000000000");
	statefile_view(&conf, &v);
	ok(!v.known && v.state == NODE_STARTING, "a file of another boot says nothing");
	put("master", now - 10, json_null(), clock_boot_id());
	statefile_view(&conf, &v);
	ok(v.known && v.is_master, "a master");
	json_t *doc = statefile_document(&conf);
	is_str(json_string_value(json_object_get(doc, "state")), "master", "the whole document");
	json_decref(doc);
}

/* A file replaced many times within one tick of the file system's clock, always with the same size. */
static void test_cache(void)
{
	struct statefile_view v;
	int wrong = 0;
	for (int i = 0; i < 50; i++) {
		struct err e = ERR_INIT;
		json_t *doc = json_pack("{s:i, s:s, s:s, s:s}", "version", 1, "boot_id", clock_boot_id(), "state",
			"ready", "node", i % 2 ? "a" : "b");
		if (statefile_write(&conf, doc, &e) != ERR_OK)
			wrong++;
		json_decref(doc);
		statefile_view(&conf, &v);
		if (strcmp(v.node, i % 2 ? "a" : "b") != 0)
			wrong++;
	}
	is_int(wrong, 0, "a file replaced within one tick is read again");
}

static void test_host(void)
{
	char host[16];
	ok(statefile_host("http://h:1", host, sizeof host) && strcmp(host, "h:1") == 0, "a host is taken from a URL");
	ok(!statefile_host("https://h", host, sizeof host) && !statefile_host("http://", host, sizeof host) &&
			!statefile_host("http://a-name-that-does-not-fit:80", host, sizeof host) &&
			!statefile_host(NULL, host, sizeof host),
		"other forms are not");
}

int main(void)
{
	char dir[] = "/tmp/ddb-state-XXXXXX";
	conf_init(&conf);
	if (!mkdtemp(dir))
		return 1;
	snprintf(conf.run, sizeof conf.run, "%s", dir);
	test_tables();
	test_view();
	test_cache();
	test_host();
	char path[64];
	snprintf(path, sizeof path, "%s/write.json", dir);
	unlink(path);
	rmdir(dir);
	return tap_done();
}
