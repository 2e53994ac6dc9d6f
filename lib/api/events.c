#include "lib/api/events.h"
#include "lib/api/app.h"
#include "lib/base/clock.h"
#include "lib/base/jsonw.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_MOST 1000

static void add_event(struct request *r, const struct conf *conf, sqlite3_stmt *stmt, bool first)
{
	struct buf *out = &r->out;
	char at[CLOCK_ISO_LEN];
	clock_iso(sqlite3_column_int64(stmt, 1), at);
	buf_addf(out, "%s{\"id\":%" PRId64 ",\"at\":\"%s\",\"node\":", first ? "" : ",", (int64_t)sqlite3_column_int64(stmt, 0),
		at);
	jsonw_str(out, conf->name);
	buf_add_str(out, ",\"kind\":");
	jsonw_str(out, (const char *)sqlite3_column_text(stmt, 2));
	buf_add_str(out, ",\"level\":");
	jsonw_str(out, (const char *)sqlite3_column_text(stmt, 3));
	buf_add_str(out, ",\"text\":");
	jsonw_str(out, (const char *)sqlite3_column_text(stmt, 4));
	buf_add_str(out, ",\"data\":");
	buf_add_str(out, (const char *)sqlite3_column_text(stmt, 5));
	buf_add_char(out, '}');
}

static enum err_code add_events(struct request *r, const struct conf *conf, struct conn *c, int64_t since, int64_t limit,
	struct err *e)
{
	static const char after[] = "SELECT id, at_ms, kind, level, text, data FROM event WHERE id > ?1 ORDER BY id LIMIT ?2";
	static const char last[] = "SELECT * FROM (SELECT id, at_ms, kind, level, text, data FROM event"
		" WHERE id > ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id";
	const char *sql = since < 0 ? last : after;
	sqlite3_stmt *stmt;
	unsigned traits;
	if (conn_prepare(c, sql, strlen(sql), &stmt, &traits, NULL, e) != ERR_OK)
		return e->code;
	sqlite3_bind_int64(stmt, 1, since);
	sqlite3_bind_int64(stmt, 2, limit);
	int rc;
	bool first = true;
	buf_add_str(&r->out, "{\"events\":[");
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		add_event(r, conf, stmt, first);
		first = false;
	}
	if (rc != SQLITE_DONE)
		conn_error(c, rc, e);
	conn_release(c, stmt);
	buf_add_str(&r->out, "]}\n");
	return e->code;
}

void events_get(struct request *r)
{
	const struct app_status *app = r->app;
	struct err e = ERR_INIT;
	struct conn *c = NULL;
	int64_t since, limit;
	char path[PATH_MAX + 16];
	snprintf(path, sizeof path, "%s/node.db", app->conf.data);
	response_header(r, "DDB-Node", app->conf.name);
	response_header(r, "Content-Type", "application/json");
	if (request_param_int(r, "since", -1, -1, INT64_MAX, &since, &e) == ERR_OK &&
		request_param_int(r, "limit", 100, 1, LIMIT_MOST, &limit, &e) == ERR_OK &&
		readers_take(app->readers, path, &c, &e) == ERR_OK)
		add_events(r, &app->conf, c, since, limit, &e);
	if (c)
		readers_give(app->readers, c, e.code != ERR_OK);
	if (e.code == ERR_DATABASE_UNKNOWN) { /* node.db: the node has never run */
		err_reset(&e);
		err_set(&e, ERR_STARTING, "this node has not noted anything yet");
	}
	if (e.code != ERR_OK)
		response_problem(r, &e);
}
