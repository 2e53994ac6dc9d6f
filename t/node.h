/* A node for unit tests of handlers that read: a data folder with one database
 * "shop", its writer, a state file, and the program `read` without its main. */
#ifndef DDB_T_NODE_H
#define DDB_T_NODE_H

#include "lib/api/app.h"
#include "lib/api/query.h"
#include "lib/api/routes.h"
#include "lib/api/rows.h"
#include "lib/api/tables.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/cluster/statefile.h"
#include "t/client.h"

#include <stdio.h>
#include <unistd.h>

static char node_dir[] = "/tmp/ddb-node-XXXXXX";
static char node_id[] = "0123456789abcdef0123456789abcdef";
static _Atomic int64_t node_reign = 1;
static struct writer *node_writer;
static struct app_read node_app;

static route_handler *const node_handlers[ROUTE_ID_N] = {
	[ROUTE_ID_QUERY_GET] = query_get, [ROUTE_ID_QUERY_POST] = query_post, [ROUTE_ID_TABLE_LIST] = tables_list,
	[ROUTE_ID_TABLE_GET] = tables_describe, [ROUTE_ID_ROWS_GET] = rows_list, [ROUTE_ID_ROW_GET] = rows_get,
};
static const struct serve node_program = {
	.program = ROUTE_READ, .table = routes, .handler = node_handlers, .table_n = ROUTE_ID_N, .body_max = 1 << 24,
	.app = &node_app,
};

/* Writes the state file: a node in that state, whose last heartbeat is age_ms old. */
static inline void node_state(const char *state, bool was_in_sync, int64_t age_ms, const char *master)
{
	struct err e = ERR_INIT;
	json_t *doc = json_pack("{s:i,s:s,s:s,s:s,s:b,s:I,s:{s:s*},s:{}}", "version", 1, "boot_id", clock_boot_id(), "node", "n2",
		"state", state, "was_in_sync", was_in_sync, "heartbeat_boot_ms", (json_int_t)(clock_boot_ms() - age_ms), "master",
		"url", master, "databases");
	if (!doc || statefile_write(&node_app.conf, doc, &e) != ERR_OK)
		printf("# state file: %s\n", e.text);
	json_decref(doc);
}

static inline void node_begin(void)
{
	struct err e = ERR_INIT;
	struct conn c;
	char path[200];
	if (!mkdtemp(node_dir))
		exit(99);
	conf_init(&node_app.conf);
	snprintf(node_app.conf.name, sizeof node_app.conf.name, "n2");
	snprintf(node_app.conf.data, sizeof node_app.conf.data, "%s", node_dir);
	snprintf(node_app.conf.run, sizeof node_app.conf.run, "%s", node_dir);
	node_app.conf.read_deadline_ms = 120000; /* a machine busy with other tests must not decide what is right */
	node_app.wait.most = 4;
	node_app.readers = readers_new(1024, 4);
	snprintf(path, sizeof path, "%s/db", node_dir);
	file_mkdir(path, &e);
	snprintf(path, sizeof path, "%s/db/shop.db", node_dir);
	conn_open(&c, path, CONN_CREATE, 1024, &e);
	journal_create(&c, node_id, "shop", &e);
	conn_close(&c);
	if (writer_open(&node_writer, path, &node_app.conf, &node_reign, NULL, &e) != ERR_OK) {
		printf("Bail out! %s\n", e.text);
		exit(99);
	}
	node_state("master", false, 0, NULL);
}

/* Runs an operation's body as execute would; false and a comment when it fails. */
static inline bool node_execute(const char *body)
{
	struct err e = ERR_INIT;
	struct writer_answer a = {.results = BUF_INIT(1 << 24)};
	json_t *op = NULL;
	if (op_parse(body, strlen(body), &op, &e) == ERR_OK)
		writer_op(node_writer, op, 120000, false, &a, &e);
	if (e.code != ERR_OK)
		printf("# %.200s: %s\n", body, e.text);
	json_decref(op);
	buf_release(&a.results);
	return e.code == ERR_OK;
}

/* The same with plain SQL. */
static inline bool node_sql(const char *sql)
{
	json_t *op = json_pack("{s:s}", "sql", sql);
	char *body = json_dumps(op, 0);
	bool ok = node_execute(body);
	free(body);
	json_decref(op);
	return ok;
}

static inline void node_end(void)
{
	static const char *const files[] = {"db/shop.db", "db/shop.db-wal", "db/shop.db-shm", "db", "write.json", ""};
	char path[200];
	writer_close(node_writer);
	readers_free(node_app.readers);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", node_dir, files[i]);
		remove(path);
	}
}

/* Answers c's request; the status. */
static inline int node_run(struct client *c)
{
	return client_run(c, &node_program, ROUTE_PUBLIC);
}

/* GET uri: the status, and the body parsed in *json if wanted (caller: json_decref). */
static inline int node_get(const char *uri, json_t **json)
{
	struct client c;
	client_init(&c, "GET", uri);
	int status = node_run(&c);
	if (json)
		*json = json_loads(body_of(&c), JSON_ALLOW_NUL, NULL);
	buf_release(&c.got);
	return status;
}

#endif
