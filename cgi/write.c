/* write: the node's one writer. As master it takes all changes and sends them
 * to the slaves; as slave it takes them from the master. */
#include "lib/api/app.h"
#include "lib/api/databases.h"
#include "lib/api/execute.h"
#include "lib/api/health.h"
#include "lib/api/pool.h"
#include "lib/api/program.h"
#include "lib/api/replicate.h"
#include "lib/api/routes.h"
#include "lib/api/rows_write.h"
#include "lib/cluster/replica.h"

#include <stdio.h>
#include <time.h>

#define IDLE_MOST 32
#define LOCK_TRIES 20          /* the writer before may still be finishing */
#define LOCK_PAUSE_MS 100

static route_handler *const handlers[ROUTE_ID_N] = {
	[ROUTE_ID_HEALTH_WRITE] = health_write,
	[ROUTE_ID_DB_CREATE] = databases_put,
	[ROUTE_ID_DB_DROP] = databases_delete,
	[ROUTE_ID_EXECUTE] = execute_post,
	[ROUTE_ID_ROWS_INSERT] = rows_insert,
	[ROUTE_ID_ROWS_UPDATE] = rows_update,
	[ROUTE_ID_ROWS_DELETE] = rows_delete,
	[ROUTE_ID_ROW_PUT] = rows_put_one,
	[ROUTE_ID_ROW_UPDATE] = rows_update_one,
	[ROUTE_ID_ROW_DELETE] = rows_delete_one,
	[ROUTE_ID_POOL_ADD] = pool_add,
	[ROUTE_ID_POOL_REMOVE] = pool_remove,
	[ROUTE_ID_POOL_PAUSE] = pool_pause,
	[ROUTE_ID_POOL_RESUME] = pool_resume,
	[ROUTE_ID_POOL_RESEED] = pool_reseed,
	[ROUTE_ID_REPLICATE] = replicate_rows,
	[ROUTE_ID_REPLICATE_SNAPSHOT] = replicate_snapshot,
	[ROUTE_ID_HEARTBEAT] = replicate_heartbeat,
};

static void before_drain(void *arg)
{
	struct app_write *app = arg;
	app->stopping = true;
	replica_drain(app->replica);
}

/* One request (plain CGI) does not wait for the lock: the writer that holds it stays. */
static enum err_code open_node(const struct program *p, struct app_write *app, struct err *e)
{
	int tries = p->mode == SERVE_FASTCGI ? LOCK_TRIES : 1;
	while (node_open(&app->node, &p->conf, e) == ERR_WRITER_LOCKED && --tries > 0) {
		err_reset(e);
		nanosleep(&(struct timespec){0, LOCK_PAUSE_MS * 1000000L}, NULL);
	}
	return e->code;
}

/* Ends in reverse what start() began, as far as it came. */
static void stop(struct app_write *app)
{
	if (app->replica)
		replica_stop(app->replica);
	catalog_close(app->catalog);
	replica_free(app->replica);
	readers_free(app->readers);
	node_close(&app->node);
}

static enum err_code start(const struct program *p, struct app_write *app, struct err *e)
{
	if (open_node(p, app, e) != ERR_OK)
		return e->code;
	app->readers = readers_new(p->conf.cache_kib, IDLE_MOST);
	if (!app->readers)
		err_set(e, ERR_NOMEM, "no memory for the readers");
	else if (replica_new(&app->replica, &app->node, app->readers, e) == ERR_OK &&
		catalog_open(&app->catalog, &app->node, replica_committed, app->replica, e) == ERR_OK)
		replica_start(app->replica, app->catalog, e);
	if (e->code != ERR_OK)
		stop(app);
	return e->code;
}

static int init_master(const struct program *p)
{
	struct err e = ERR_INIT;
	if (node_init_master(&p->conf, &e) != ERR_OK) {
		fprintf(stderr, "write init-master: %s\n", e.text);
		return e.code == ERR_WRITER_LOCKED ? PROGRAM_EXIT_LOCKED : PROGRAM_EXIT_FAILED;
	}
	printf("%s is the first master of a new cluster; its data is in %s\n", p->conf.name, p->conf.data);
	return 0;
}

int main(int argc, char **argv)
{
	struct program p = {.program = ROUTE_WRITE, .command = "init-master"};
	struct err e = ERR_INIT;
	int status;
	if (!program_begin(&p, argc, argv, &status))
		return status;
	if (p.has_command)
		return init_master(&p);
	static struct app_write app;
	app.wait.most = (int)(p.conf.write_threads + 1) / 2;
	if (start(&p, &app, &e) != ERR_OK)
		return program_refuse(&p, &e);
	const struct serve serve = {
		.program = ROUTE_WRITE, .table = routes, .handler = handlers, .table_n = ROUTE_ID_N,
		.body_max = (size_t)p.conf.body_bytes, .app = &app,
		.socket = {{"public", ROUTE_PUBLIC, (int)p.conf.write_threads, true},
			{"peers", ROUTE_PEERS, (int)p.conf.peer_threads, true}, {"health", ROUTE_HEALTH, 2, true}},
		.socket_n = 3,
	};
	status = program_serve(&p, &serve, before_drain);
	stop(&app);
	return status;
}
