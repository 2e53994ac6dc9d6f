/* status: what the node's other programs report, merged; says what is unknown
 * when they are silent. */
#include "lib/api/app.h"
#include "lib/api/events.h"
#include "lib/api/health.h"
#include "lib/api/openapi.h"
#include "lib/api/pool.h"
#include "lib/api/program.h"
#include "lib/api/routes.h"
#include "lib/api/status.h"

#define IDLE_MOST 8

static route_handler *const handlers[ROUTE_ID_N] = {
	[ROUTE_ID_PING] = status_ping,
	[ROUTE_ID_HEALTH_LIVE] = health_live,
	[ROUTE_ID_STATUS] = status_get,
	[ROUTE_ID_OPENAPI] = openapi_get,
	[ROUTE_ID_POOL] = pool_get,
	[ROUTE_ID_POOL_SLAVES] = pool_get_slaves,
	[ROUTE_ID_EVENTS] = events_get,
};

int main(int argc, char **argv)
{
	struct program p = {.program = ROUTE_STATUS};
	int status;
	if (!program_begin(&p, argc, argv, &status))
		return status;
	struct app_status app = {.conf = p.conf, .readers = readers_new(p.conf.cache_kib, IDLE_MOST)};
	if (!app.readers) {
		struct err e = ERR_INIT;
		err_set(&e, ERR_NOMEM, "no memory for the readers");
		return program_refuse(&p, &e);
	}
	const struct serve serve = {
		.program = ROUTE_STATUS, .table = routes, .handler = handlers, .table_n = ROUTE_ID_N,
		.body_max = (size_t)p.conf.body_bytes, .app = &app,
		.socket = {{"public", ROUTE_PUBLIC, (int)p.conf.status_threads, false}}, .socket_n = 1,
	};
	status = program_serve(&p, &serve, NULL);
	readers_free(app.readers);
	return status;
}
