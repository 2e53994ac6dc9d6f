/* The views of the pool; see pool.h. */
#include "lib/api/app.h"
#include "lib/api/pool.h"
#include "lib/base/clock.h"
#include "lib/cluster/statefile.h"
#include "lib/journal/journal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (16 * 1024 * 1024)
#define SINCE_MOST 1000000

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

/* A slave of which nothing is known but that it belongs to the pool. */
static json_t *unknown_slave(const char *name, const char *url)
{
	return json_pack("{s:s, s:s, s:n, s:n, s:n, s:{s:n, s:n, s:n}, s:n, s:n}", "name", name, "url", url, "state", "since",
		"last_error", "pending", "operations", "bytes", "oldest_ms", "databases", "answered_ms");
}

/* The pool out of this node's copy of the system database; *slaves NULL where
 * that cannot be read. */
static void from_catalog(const struct app_status *app, json_t **master, json_t **slaves)
{
	static const char sql[] = "SELECT name, url, name = (SELECT node FROM epochs ORDER BY epoch DESC LIMIT 1)"
		" FROM nodes ORDER BY name";
	char path[PATH_MAX + 16];
	struct err e = ERR_INIT;
	struct conn *c;
	sqlite3_stmt *stmt;
	unsigned traits;
	*master = *slaves = NULL;
	snprintf(path, sizeof path, "%s/db/" CATALOG_SYSTEM ".db", app->conf.data);
	if (readers_take(app->readers, path, &c, &e) != ERR_OK)
		return;
	if (conn_prepare(c, sql, sizeof sql - 1, &stmt, &traits, NULL, &e) == ERR_OK) {
		*slaves = json_array();
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			const char *name = (const char *)sqlite3_column_text(stmt, 0);
			const char *url = (const char *)sqlite3_column_text(stmt, 1);
			if (sqlite3_column_int(stmt, 2) && !*master)
				*master = json_pack("{s:s, s:s}", "name", name, "url", url);
			else
				json_array_append_new(*slaves, unknown_slave(name, url));
		}
		conn_release(c, stmt);
	}
	readers_give(app->readers, c, e.code != ERR_OK);
}

static json_t *copy_of(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);
	return v ? json_incref(v) : json_null();
}

/* What was committed since write last wrote its state file, of one database or of all. */
struct since {
	int64_t rows, bytes, oldest_at_ms;
};

/* Rows of the journal beyond the head that the state file names. */
static void look_since(const struct app_status *app, const char *name, const json_t *database, struct since *s)
{
	char path[PATH_MAX + CATALOG_NAME_LEN + 16];
	struct err e = ERR_INIT;
	struct conn *c;
	const json_t *head = json_object_get(database, "seq");
	*s = (struct since){0};
	snprintf(path, sizeof path, "%s/db/%s.db", app->conf.data, name);
	if (!json_is_integer(head) || readers_take(app->readers, path, &c, &e) != ERR_OK)
		return;
	journal_pending(c, json_integer_value(head), SINCE_MOST, &s->rows, &s->bytes, &s->oldest_at_ms, &e);
	readers_give(app->readers, c, e.code != ERR_OK);
}

static json_t *plus(const json_t *v, int64_t more)
{
	return json_is_integer(v) ? json_integer(json_integer_value(v) + more) : json_null();
}

static json_t *pending_view(const json_t *slave, const struct since *all)
{
	const json_t *p = json_object_get(slave, "pending"), *oldest = json_object_get(p, "oldest_at_ms");
	int64_t at_ms = json_is_integer(oldest) ? json_integer_value(oldest) :
		json_is_integer(json_object_get(p, "operations")) ? all->oldest_at_ms : 0;
	int64_t age = clock_wall_ms() - at_ms;
	return json_pack("{s:o, s:o, s:o}", "operations", plus(json_object_get(p, "operations"), all->rows), "bytes",
		plus(json_object_get(p, "bytes"), all->bytes), "oldest_ms", at_ms ? json_integer(age > 0 ? age : 0) : json_null());
}

/* A slave to which nothing is on its way: only there do the figures of the
 * journals now and the positions of the state file belong together. */
static bool stands_still(const json_t *slave)
{
	static const char *const states[] = {"connecting", "down", "paused", "diverged", "incompatible"};
	const char *state = json_string_value(json_object_get(slave, "state"));
	for (size_t i = 0; state && i < sizeof states / sizeof *states; i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
}

static json_t *positions_view(const struct app_status *app, const json_t *doc, const json_t *slave, struct since *all)
{
	json_t *out = json_object(), *one;
	const char *name;
	bool still = stands_still(slave);
	*all = (struct since){0};
	json_object_foreach(json_object_get(slave, "databases"), name, one) {
		struct since s = {0};
		if (still)
			look_since(app, name, json_object_get(json_object_get(doc, "databases"), name), &s);
		all->rows += s.rows;
		all->bytes += s.bytes;
		if (s.oldest_at_ms && (!all->oldest_at_ms || s.oldest_at_ms < all->oldest_at_ms))
			all->oldest_at_ms = s.oldest_at_ms;
		json_object_set_new(out, name, json_pack("{s:o, s:o, s:o}", "epoch", copy_of(one, "epoch"), "seq",
			copy_of(one, "seq"), "lag", plus(json_object_get(one, "lag"), s.rows)));
	}
	return out;
}

/* One slave as the state file has it, its moments turned into ages. silent:
 * write has said nothing for too long, and what it said last is no present state. */
static json_t *slave_view(const struct app_status *app, const json_t *doc, const json_t *slave, bool silent)
{
	struct since since;
	static const char *const kept[] = {"name", "url", "peer_url", "last_error", "paused", "sqlite", "machine"};
	static const char *const of_now[] = {"state", "since", "node_state"};
	const json_t *answered = json_object_get(slave, "answered_boot_ms");
	json_t *out = json_object();
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		json_object_set_new(out, kept[i], copy_of(slave, kept[i]));
	for (size_t i = 0; i < sizeof of_now / sizeof *of_now; i++)
		json_object_set_new(out, of_now[i], silent ? json_null() : copy_of(slave, of_now[i]));
	json_object_set_new(out, "answered_ms",
		json_is_integer(answered) ? json_integer(clock_boot_ms() - json_integer_value(answered)) : json_null());
	json_object_set_new(out, "databases", positions_view(app, doc, slave, &since));
	json_object_set_new(out, "pending", silent ? json_pack("{s:n, s:n, s:n}", "operations", "bytes", "oldest_ms") :
		pending_view(slave, &since));
	return out;
}

static json_t *slaves_view(const struct app_status *app, const json_t *doc, const struct statefile_view *view)
{
	bool silent = view->heartbeat_age_ms < 0 || view->heartbeat_age_ms > app->conf.silent_ms;
	json_t *out = json_array(), *one;
	size_t i;
	json_array_foreach(json_object_get(doc, "slaves"), i, one)
		json_array_append_new(out, slave_view(app, doc, one, silent));
	return out;
}

/* The pool as this node can tell it. known_by names the node whose view it is
 * when that is not the active master. */
static json_t *document(const struct app_status *app, const struct statefile_view *view)
{
	json_t *doc = view->known ? statefile_document(&app->conf) : NULL;
	json_t *master, *slaves;
	json_t *epoch = json_incref(json_object_get(doc, "epoch"));
	if (view->is_master) {
		master = json_pack("{s:s, s:s, s:s}", "name", app->conf.name, "url", app->conf.url, "state",
			node_state_table[view->state].name);
		slaves = slaves_view(app, doc, view);
	} else {
		from_catalog(app, &master, &slaves);
	}
	json_t *out = json_pack("{s:o, s:o, s:o, s:o}", "epoch", epoch ? epoch : json_null(), "master",
		master ? master : json_null(), "slaves", slaves ? slaves : json_array(), "known_by",
		view->is_master ? json_null() : text_or_null(app->conf.name));
	if (view->is_master)
		json_object_set_new(out, "age_ms", json_integer(view->heartbeat_age_ms));
	json_decref(doc);
	return out;
}

static void answer(struct request *r, const char *part)
{
	const struct app_status *app = r->app;
	struct statefile_view view;
	statefile_view(&app->conf, &view);
	response_header(r, "DDB-Node", app->conf.name);
	if (!view.is_master && view.master_host[0] && !request_forwarded(r) && !request_last_resort(r)) {
		response_forward(r, view.master_host);
		return;
	}
	json_t *doc = document(app, &view);
	if (part) {
		json_t *all = doc;
		doc = json_pack("{s:O}", part, json_object_get(all, part));
		json_decref(all);
	}
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	struct buf body = BUF_INIT(BODY_MAX);
	if (text)
		buf_addf(&body, "%s\n", text);
	else
		body.failed = true;
	response_header(r, "Cache-Control", "no-store");
	response_json(r, 200, &body);
	buf_release(&body);
	free(text);
	json_decref(doc);
}

void pool_get(struct request *r)
{
	answer(r, NULL);
}

void pool_get_slaves(struct request *r)
{
	answer(r, "slaves");
}
