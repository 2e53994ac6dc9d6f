#include "lib/api/replicate.h"
#include "lib/api/app.h"
#include "lib/cluster/replica.h"
#include "lib/http/route.h"

#define ANSWER_MAX (16 * 1024 * 1024)

static void answer(struct request *r, int (*take)(struct replica *, const char *, size_t, struct buf *))
{
	struct app_write *app = r->app;
	struct err e = ERR_INIT;
	struct buf body = BUF_INIT(r->route->body_max), out = BUF_INIT(ANSWER_MAX);
	if (request_body(r, r->route->body_max, &body, &e) == ERR_OK) {
		int status = take(app->replica, body.data ? body.data : "", body.len, &out);
		response_json(r, status, &out);
	} else {
		response_problem(r, &e);
	}
	buf_release(&body);
	buf_release(&out);
}

void replicate_rows(struct request *r)
{
	answer(r, replica_take_rows);
}

void replicate_snapshot(struct request *r)
{
	answer(r, replica_take_snapshot);
}

void replicate_heartbeat(struct request *r)
{
	answer(r, replica_take_heartbeat);
}
