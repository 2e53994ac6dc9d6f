#include "lib/api/health.h"
#include "lib/api/app.h"
#include "lib/base/jsonw.h"
#include "lib/cluster/statefile.h"

#include <inttypes.h>

#define BODY_MAX 4096

void health_live(struct request *r)
{
	const struct app_status *app = r->app;
	struct buf body = BUF_INIT(BODY_MAX);
	buf_add_str(&body, "{\"node\":");
	jsonw_str(&body, app->conf.name);
	buf_add_str(&body, ",\"status\":\"alive\"}\n");
	response_json(r, 200, &body);
	buf_release(&body);
}

/* Whether this node may answer although its master is silent (design section 9). */
static bool last_resort(const struct conf *conf, const struct statefile_view *v)
{
	return v->known && v->state == NODE_SILENT && v->was_in_sync && v->heartbeat_age_ms >= 0 &&
	       v->heartbeat_age_ms <= conf->max_stale_ms;
}

/* The HTTP status, and why, for people who look at HAProxy's page. */
static int judge(const struct conf *conf, const struct statefile_view *v, int64_t lag_most, bool stale,
	const char **why)
{
	if (!v->known) {
		*why = "The write program of this node has said nothing yet.";
		return 503;
	}
	const struct node_state_row *row = &node_state_table[v->state];
	*why = row->sentence;
	if (stale && last_resort(conf, v)) {
		*why = "The master is silent; this node was in sync and answers as a last resort.";
		return 200;
	}
	if (row->health_read == 200 && lag_most >= 0 && (v->lag_ms < 0 || v->lag_ms > lag_most)) {
		*why = "Farther behind the master than the check asks for.";
		return 503;
	}
	return row->health_read;
}

static void add_ms(struct buf *body, const char *name, int64_t ms)
{
	if (ms >= 0)
		buf_addf(body, ",\"%s\":%" PRId64, name, ms);
	else
		buf_addf(body, ",\"%s\":null", name);
}

void health_read(struct request *r)
{
	const struct app_read *app = r->app;
	struct statefile_view v;
	struct err e = ERR_INIT;
	int64_t lag_most, stale;
	const char *why;
	if (request_param_int(r, "lag", -1, 0, INT64_MAX, &lag_most, &e) != ERR_OK ||
		request_param_int(r, "stale", 0, 0, 1, &stale, &e) != ERR_OK) {
		response_problem(r, &e);
		return;
	}
	statefile_view(&app->conf, &v);
	int status = judge(&app->conf, &v, lag_most, stale == 1, &why);
	if (app->stopping) {
		status = 503;
		why = "The program is stopping.";
	}
	struct buf body = BUF_INIT(BODY_MAX);
	buf_add_str(&body, "{\"node\":");
	jsonw_str(&body, app->conf.name);
	buf_add_str(&body, ",\"state\":");
	jsonw_str(&body, v.known ? node_state_table[v.state].name : NULL);
	buf_add_str(&body, ",\"status\":");
	jsonw_str(&body, why);
	add_ms(&body, "lag_ms", v.lag_ms);
	add_ms(&body, "heartbeat_age_ms", v.heartbeat_age_ms);
	buf_add_str(&body, "}\n");
	response_json(r, status, &body);
	buf_release(&body);
}
