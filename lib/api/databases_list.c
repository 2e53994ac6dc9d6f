#include "lib/api/databases.h"
#include "lib/api/serving.h"
#include "lib/base/clock.h"
#include "lib/base/jsonw.h"

#include <inttypes.h>
#include <stdio.h>

/* Adds where the database's file stands here, and its size; nulls when it is
 * not here or cannot be read: unknown is never zero. */
static void add_file(struct serving *s, const char *name)
{
	struct buf *out = &s->r->out;
	struct err e = ERR_INIT;
	struct conn *c = NULL;
	struct journal_pos pos = {0};
	int64_t bytes = 0;
	char path[PATH_MAX + CATALOG_NAME_LEN + 16];
	snprintf(path, sizeof path, "%s/db/%s.db", s->app->conf.data, name);
	if (readers_take(s->app->readers, path, &c, &e) == ERR_OK && conn_exec(c, "BEGIN", &e) == ERR_OK &&
		journal_head(c, &pos, &e) == ERR_OK)
		conn_int(c, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", 0, &bytes, &e);
	if (c)
		readers_give(s->app->readers, c, e.code != ERR_OK);
	if (e.code == ERR_OK && pos.seq > 0)
		buf_addf(out, ",\"epoch\":%" PRId64 ",\"seq\":%" PRId64 ",\"bytes\":%" PRId64, pos.epoch, pos.seq, bytes);
	else
		buf_add_str(out, ",\"epoch\":null,\"seq\":null,\"bytes\":null");
}

static void add_database(struct serving *s, sqlite3_stmt *stmt)
{
	struct buf *out = &s->r->out;
	const char *name = (const char *)sqlite3_column_text(stmt, 0);
	char created[CLOCK_ISO_LEN];
	clock_iso(sqlite3_column_int64(stmt, 2), created);
	buf_add_str(out, "{\"name\":");
	jsonw_str(out, name);
	buf_add_str(out, ",\"id\":");
	jsonw_str(out, (const char *)sqlite3_column_text(stmt, 1));
	add_file(s, name);
	buf_addf(out, ",\"created\":\"%s\"}", created);
}

static enum err_code add_all(struct serving *s, struct err *e)
{
	static const char sql[] = "SELECT name, id, created_ms FROM databases ORDER BY name";
	struct buf *out = &s->r->out;
	sqlite3_stmt *stmt;
	unsigned traits;
	if (conn_prepare(s->c, sql, sizeof sql - 1, &stmt, &traits, NULL, e) != ERR_OK)
		return e->code;
	int rc;
	bool first = true;
	buf_add_str(out, "{\"databases\":[");
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (!first)
			buf_add_char(out, ',');
		first = false;
		add_database(s, stmt);
		if (!response_flush(s->r))
			break;
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		conn_error(s->c, rc, e);
	conn_release(s->c, stmt);
	buf_add_str(out, "],");
	serving_tail(s);
	return e->code;
}

void databases_list(struct request *r)
{
	struct serving s;
	struct err e = ERR_INIT;
	if (!serving_begin_system(r, &s))
		return;
	response_header(r, "Content-Type", "application/json");
	if (add_all(&s, &e) != ERR_OK)
		serving_fail(&s, &e);
	serving_end(&s);
}
