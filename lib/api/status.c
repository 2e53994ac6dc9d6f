#include "lib/api/status.h"
#include "config.h"
#include "lib/api/app.h"
#include "lib/base/clock.h"
#include "lib/base/presence.h"
#include "lib/cluster/statefile.h"
#include "lib/http/route.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (16 * 1024 * 1024)

void status_ping(struct request *r)
{
	response_header(r, "Content-Type", "text/plain");
	response_write(r, "pong\n", 5);
}

static json_t *number(int64_t v)
{
	return v < 0 ? json_null() : json_integer(v);
}

static json_t *moment(int64_t unix_ms)
{
	char text[CLOCK_ISO_LEN];
	if (unix_ms <= 0)
		return json_null();
	clock_iso(unix_ms, text);
	return json_string(text);
}

/* The value of a key of the state file, null where there is none. */
static json_t *from(const json_t *doc, const char *key)
{
	json_t *v = json_object_get(doc, key);
	return v ? json_incref(v) : json_null();
}

static json_t *databases(const json_t *doc)
{
	const json_t *all = json_object_get(doc, "databases");
	if (!all)
		return json_null();
	json_t *out = json_object();
	int64_t now = clock_boot_ms();
	const char *name;
	json_t *db;
	json_object_foreach((json_t *)all, name, db) {
		const json_t *since = json_object_get(db, "behind_since_boot_ms");
		int64_t behind = json_is_integer(since) ? now - json_integer_value(since) : 0;
		json_object_set_new(out, name, json_pack("{s:o, s:o, s:o, s:o, s:I}", "id", from(db, "id"), "epoch",
			from(db, "epoch"), "seq", from(db, "seq"), "head", from(db, "head"), "behind_ms",
			(json_int_t)(behind > 0 ? behind : 0)));
	}
	return out;
}

static json_t *programs(const struct conf *conf)
{
	json_t *out = json_object();
	for (int i = ROUTE_WRITE; i <= ROUTE_STATUS; i++) {
		struct presence p;
		presence_look(conf->run, route_program_name(i), &p);
		json_object_set_new(out, route_program_name(i), json_pack("{s:b, s:o, s:o}", "running", p.running, "pid",
			p.running ? json_integer(p.pid) : json_null(), "since", p.running ? moment(p.since_ms) : json_null()));
	}
	return out;
}

/* The document; what `write` says counts only if it was said since the machine started. */
static json_t *document(const struct conf *conf)
{
	struct statefile_view v;
	statefile_view(conf, &v);
	json_t *doc = v.known ? statefile_document(conf) : NULL;
	const struct node_state_row *row = &node_state_table[v.state];
	json_t *out = json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o}",
		"node", conf->name,
		"role", from(doc, "role"),
		"state", doc ? json_string(row->name) : json_null(),
		"why", doc ? row->sentence : "The write program of this node has said nothing since the machine started.",
		"since", moment(json_integer_value(json_object_get(doc, "since_ms"))),
		"error", from(doc, "error"),
		"epoch", from(doc, "epoch"),
		"cluster", from(doc, "cluster"),
		"version", PACKAGE_VERSION,
		"sqlite", sqlite3_libversion(),
		"lag_ms", doc ? number(v.lag_ms) : json_null(),
		"heartbeat_age_ms", doc ? number(v.heartbeat_age_ms) : json_null(),
		"databases", databases(doc),
		"master", from(doc, "master"),
		"programs", programs(conf));
	json_decref(doc);
	return out;
}

void status_get(struct request *r)
{
	const struct app_status *app = r->app;
	json_t *doc = document(&app->conf);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	struct buf body = BUF_INIT(BODY_MAX);
	if (text)
		buf_addf(&body, "%s\n", text);
	else
		body.failed = true;
	free(text);
	response_header(r, "DDB-Node", app->conf.name);
	response_json(r, 200, &body);
	buf_release(&body);
}
