/* The pending queue of a slave, read from the master's journals; see pool.h. */
#include "lib/api/app.h"
#include "lib/api/pool.h"
#include "lib/base/jsonw.h"
#include "lib/cluster/statefile.h"
#include "lib/journal/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_MOST 1000
/* Bytes are counted over so many rows; of a longer queue they are not said. */
#define COUNT_MOST 200000

struct listing {
	struct request *r;
	bool first;
};

static bool add_row(void *arg, const struct journal_row *row)
{
	struct listing *l = arg;
	struct buf *out = &l->r->out;
	buf_addf(out, "%s{\"seq\":%" PRId64 ",\"epoch\":%" PRId64 ",\"at_ms\":%" PRId64 ",\"kind\":", l->first ? "" : ",",
		row->pos.seq, row->pos.epoch, row->at_ms);
	jsonw_str(out, row->kind);
	buf_addf(out, ",\"changes\":%" PRId64 ",\"body\":", row->changes);
	buf_add(out, row->body, row->body_len); /* JSON, as it was journaled */
	buf_add_char(out, '}');
	l->first = false;
	return response_flush(l->r);
}

/* from: the row after the slave's position. */
static enum err_code add_queue(struct request *r, struct conn *c, int64_t after, int64_t limit, struct err *e)
{
	struct buf *out = &r->out;
	struct journal_pos head;
	int64_t rows, bytes, oldest;
	struct listing l = {r, true};
	if (conn_exec(c, "BEGIN", e) != ERR_OK || journal_head(c, &head, e) != ERR_OK ||
		journal_pending(c, after, COUNT_MOST, &rows, &bytes, &oldest, e) != ERR_OK)
		return e->code;
	int64_t waiting = head.seq > after ? head.seq - after : 0;
	if (waiting)
		buf_addf(out, "\"from\":%" PRId64 ",\"to\":%" PRId64 ",", after + 1, head.seq);
	else
		buf_add_str(out, "\"from\":null,\"to\":null,");
	buf_addf(out, "\"operations\":%" PRId64 ",\"bytes\":", waiting);
	if (rows == waiting)
		jsonw_int(out, bytes);
	else
		buf_add_str(out, "null");
	buf_add_str(out, ",\"rows\":[");
	journal_each(c, after, limit, add_row, &l, e);
	buf_add_char(out, ']');
	return e->code;
}

static enum err_code add_database(struct request *r, const char *name, const json_t *at, int64_t limit, struct err *e)
{
	struct app_read *app = r->app;
	const json_t *seq = json_object_get(at, "seq");
	char path[PATH_MAX + CATALOG_NAME_LEN + 16];
	struct conn *c = NULL;
	jsonw_str(&r->out, name);
	buf_add_str(&r->out, ":{");
	snprintf(path, sizeof path, "%s/db/%s.db", app->conf.data, name);
	if (!json_is_integer(seq)) /* where the slave stands is not known */
		buf_add_str(&r->out, "\"from\":null,\"to\":null,\"operations\":null,\"bytes\":null,\"rows\":[]");
	else if (readers_take(app->readers, path, &c, e) == ERR_OK)
		add_queue(r, c, json_integer_value(seq), limit, e);
	if (c)
		readers_give(app->readers, c, e->code != ERR_OK);
	buf_add_char(&r->out, '}');
	return e->code;
}

static const json_t *find_slave(const json_t *doc, const char *name)
{
	size_t i;
	json_t *slave;
	json_array_foreach(json_object_get(doc, "slaves"), i, slave)
	{
		const char *its = json_string_value(json_object_get(slave, "name"));
		if (its && strcmp(its, name) == 0)
			return slave;
	}
	return NULL;
}

static enum err_code answer(struct request *r, const json_t *slave, int64_t limit, struct err *e)
{
	const char *name;
	json_t *at;
	bool first = true;
	response_header(r, "Content-Type", "application/json");
	response_header(r, "Cache-Control", "no-store");
	buf_add_str(&r->out, "{\"slave\":");
	jsonw_str(&r->out, request_path(r, "slave"));
	buf_add_str(&r->out, ",\"databases\":{");
	json_object_foreach(json_object_get(slave, "databases"), name, at)
	{
		if (!first)
			buf_add_char(&r->out, ',');
		first = false;
		if (add_database(r, name, at, limit, e) != ERR_OK)
			return e->code;
	}
	buf_add_str(&r->out, "}}\n");
	return ERR_OK;
}

void pool_pending(struct request *r)
{
	const struct app_read *app = r->app;
	struct statefile_view view;
	struct err e = ERR_INIT;
	int64_t limit;
	json_t *doc = NULL;
	statefile_view(&app->conf, &view);
	response_header(r, "DDB-Node", app->conf.name);
	if (!view.is_master && view.master_host[0] && !request_forwarded(r) && !request_last_resort(r)) {
		response_forward(r, view.master_host);
		return;
	}
	if (request_param_int(r, "limit", 100, 0, LIMIT_MOST, &limit, &e) != ERR_OK) {
		response_problem(r, &e);
		return;
	}
	if (!view.is_master)
		err_set(&e, ERR_MASTER_UNREACHABLE, "only the master knows what a slave lacks, and it cannot be asked");
	else
		doc = statefile_document(&app->conf);
	const json_t *slave = doc ? find_slave(doc, request_path(r, "slave")) : NULL;
	if (e.code == ERR_OK && !slave)
		err_set(&e, ERR_NODE_UNKNOWN, "there is no slave '%.64s' in the pool", request_path(r, "slave"));
	if (e.code == ERR_OK)
		answer(r, slave, limit, &e);
	if (e.code != ERR_OK)
		response_problem(r, &e);
	json_decref(doc);
}
