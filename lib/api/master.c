#include "lib/api/master.h"
#include "lib/base/clock.h"
#include "lib/cluster/replica.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_MOST 64

/* This node is a slave: the master's business, unless that was tried already. */
static void pass_on(struct request *r, const struct app_write *app, struct err *e)
{
	char host[256];
	err_reset(e);
	if (request_forwarded(r))
		err_set(e, ERR_LOOP, "node %s was taken for the master by another node, but it is a slave; nothing was done",
			app->node.conf.name);
	else if (request_last_resort(r) || !replica_master_host(app->replica, host, sizeof host))
		err_set(e, ERR_MASTER_UNREACHABLE, "node %s is a slave and knows no master that can be reached; nothing was done",
			app->node.conf.name);
	else
		response_forward(r, host);
}

/* A starting master is worth a wait, in at most half of the threads. */
static enum err_code wait_open(struct app_write *app, struct err *e)
{
	enum err_code code = replica_wait_open(app->replica, 0, e);
	if (code != ERR_STARTING || app->node.conf.open_wait_ms == 0 || !app_wait_enter(&app->wait))
		return code;
	err_reset(e);
	code = replica_wait_open(app->replica, app->node.conf.open_wait_ms, e);
	app_wait_leave(&app->wait);
	return code;
}

bool master_takes(struct request *r)
{
	struct app_write *app = r->app;
	struct err e = ERR_INIT;
	int64_t least = app->node.conf.min_slaves_to_write;
	response_header(r, "DDB-Node", app->node.conf.name);
	if (wait_open(app, &e) == ERR_MISDIRECTED) {
		pass_on(r, app, &e);
		if (e.code == ERR_OK)
			return false;
	}
	if (e.code == ERR_OK && least > 0) {
		int have = replica_slaves_in_sync(app->replica);
		if (have < least)
			err_set(&e, ERR_TOO_FEW_SLAVES, "%d slaves are in sync; the setting min_slaves_to_write asks for %" PRId64
				"; nothing was done", have, least);
	}
	if (e.code != ERR_OK)
		response_problem(r, &e);
	return e.code == ERR_OK;
}

static enum err_code take_headers(struct master_write *w, struct err *e)
{
	const struct conf *conf = &w->app->node.conf;
	int64_t n;
	request_header_int(w->r, "HTTP_DDB_SYNC", "DDB-Sync", 0, 0, SYNC_MOST, &n, e);
	w->sync = (int)n;
	request_header_ms(w->r, "HTTP_DDB_SYNC_TIMEOUT", "DDB-Sync-Timeout", conf->sync_wait_ms, &w->sync_ms, e);
	return request_header_ms(w->r, "HTTP_DDB_TIMEOUT", "DDB-Timeout", conf->write_deadline_ms, &w->deadline_ms, e);
}

static enum err_code take_database(struct master_write *w, struct err *e)
{
	const char *name = request_path(w->r, "db");
	if (strcmp(name, CATALOG_SYSTEM) == 0)
		return err_set(e, ERR_SQL_FORBIDDEN, "the system database changes by the addresses /v1/db and /v1/pool alone");
	w->db = catalog_get(w->app->catalog, name);
	if (!w->db)
		return err_set(e, ERR_DATABASE_UNKNOWN, "there is no database '%.64s'", name);
	if (!w->db->writer)
		err_set(e, ERR_DATABASE_MISSING, "the file of database %s is missing or damaged on the master", name);
	return e->code;
}

static bool begin(struct request *r, struct master_write *w, bool with_database)
{
	struct err e = ERR_INIT;
	*w = (struct master_write){.r = r, .app = r->app, .acked = -1};
	if (!master_takes(r))
		return false;
	buf_init(&w->answer.results, (size_t)w->app->node.conf.answer_bytes);
	if (take_headers(w, &e) == ERR_OK && request_big_as_string(r, &w->big_as_string, &e) == ERR_OK && with_database)
		take_database(w, &e);
	if (e.code == ERR_OK)
		return true;
	response_problem(r, &e);
	master_end(w);
	return false;
}

bool master_begin(struct request *r, struct master_write *w)
{
	return begin(r, w, true);
}

bool master_begin_bare(struct request *r, struct master_write *w)
{
	return begin(r, w, false);
}

/* DDB-Sync: how many slaves have what was written, waiting for the number asked for. */
static void wait_slaves(struct master_write *w, bool written)
{
	if (w->sync == 0)
		return;
	bool wait = written && app_wait_enter(&w->app->wait);
	w->acked = replica_wait_acked(w->app->replica, w->db->id, &w->answer.pos, w->sync,
		wait ? w->sync_ms : 0);
	if (wait)
		app_wait_leave(&w->app->wait);
}

enum err_code master_run(struct master_write *w, const json_t *op, struct err *e)
{
	buf_reset(&w->answer.results);
	if (writer_op(w->db->writer, op, w->deadline_ms, w->big_as_string, &w->answer, e) == ERR_OK)
		wait_slaves(w, w->answer.journaled);
	return e->code;
}

void master_reached(struct master_write *w, struct database *db, const struct journal_pos *pos)
{
	if (db) {
		catalog_put(w->app->catalog, w->db);
		w->db = db;
	}
	w->answer.pos = *pos;
	w->answer.journaled = true;
	wait_slaves(w, true);
}

void master_tail(const struct master_write *w, struct buf *body)
{
	buf_addf(body, "\"epoch\":%" PRId64 ",\"seq\":%" PRId64, w->answer.pos.epoch, w->answer.pos.seq);
	if (w->acked >= 0)
		buf_addf(body, ",\"acked\":%d,\"wanted\":%d", w->acked, w->sync);
	buf_addf(body, ",\"ms\":%.2f}\n", (double)(clock_boot_us() - w->r->began_us) / 1000);
}

void master_answer(struct master_write *w, int status, const struct buf *body)
{
	char token[JOURNAL_TOKEN_LEN];
	if (w->db) {
		journal_token(w->db->id, &w->answer.pos, token);
		response_header(w->r, "DDB-Seq", token);
		if (w->answer.journaled)
			response_headerf(w->r, "Set-Cookie", "DDB-Seq=%s; Path=/v1/db/%s; HttpOnly; SameSite=Strict", token,
				w->db->name);
	}
	response_json(w->r, status, body);
}

void master_end(struct master_write *w)
{
	catalog_put(w->app->catalog, w->db);
	w->db = NULL;
	buf_release(&w->answer.results);
}
