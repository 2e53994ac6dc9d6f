/* read: answers queries from the local files, which it opens read-only. It
 * links nothing that writes (t/links.t). */
#include "lib/api/app.h"
#include "lib/api/databases.h"
#include "lib/api/health.h"
#include "lib/api/pool.h"
#include "lib/api/program.h"
#include "lib/api/query.h"
#include "lib/api/routes.h"
#include "lib/api/rows.h"
#include "lib/api/tables.h"

#define IDLE_PER_THREAD 2   /* connections kept open: a few databases are in use at a time */

static route_handler *const handlers[ROUTE_ID_N] = {
	[ROUTE_ID_HEALTH_READ] = health_read,
	[ROUTE_ID_DB_LIST] = databases_list,
	[ROUTE_ID_QUERY_GET] = query_get,
	[ROUTE_ID_QUERY_POST] = query_post,
	[ROUTE_ID_TABLE_LIST] = tables_list,
	[ROUTE_ID_TABLE_GET] = tables_describe,
	[ROUTE_ID_ROWS_GET] = rows_list,
	[ROUTE_ID_ROW_GET] = rows_get,
	[ROUTE_ID_POOL_PENDING] = pool_pending,
};

static void before_drain(void *arg)
{
	struct app_read *app = arg;
	app->stopping = true;
}

int main(int argc, char **argv)
{
	struct program p = {.program = ROUTE_READ};
	int status;
	if (!program_begin(&p, argc, argv, &status))
		return status;
	struct app_read app = {.conf = p.conf, .wait.most = (int)(p.conf.read_threads + 1) / 2};
	app.readers = readers_new(p.conf.cache_kib, (size_t)p.conf.read_threads * IDLE_PER_THREAD);
	if (!app.readers) {
		struct err e = ERR_INIT;
		err_set(&e, ERR_NOMEM, "no memory for the readers");
		return program_refuse(&p, &e);
	}
	const struct serve serve = {
		.program = ROUTE_READ, .table = routes, .handler = handlers, .table_n = ROUTE_ID_N,
		.body_max = (size_t)p.conf.body_bytes, .app = &app,
		.socket = {{"public", ROUTE_PUBLIC, (int)p.conf.read_threads, false}, {"health", ROUTE_HEALTH, 2, true}}, .socket_n = 2,
	};
	status = program_serve(&p, &serve, before_drain);
	readers_free(app.readers);
	return status;
}
