/* Changes of the pool, on the master; see pool.h. */
#include "lib/api/master.h"
#include "lib/api/pool.h"
#include "lib/base/jsonw.h"
#include "lib/cluster/replica.h"

#include <jansson.h>

#define BODY_MAX 65536

/* {"name": …, …what was done}, with the position of the system database. */
static void answer(struct master_write *w, int status, const char *name, const char *did)
{
	struct buf body = BUF_INIT(BODY_MAX);
	struct journal_pos head;
	struct database *system = catalog_get(w->app->catalog, CATALOG_SYSTEM);
	writer_head(system->writer, &head);
	master_reached(w, system, &head);
	w->answer.journaled = false; /* no cookie for the system database */
	buf_add_str(&body, "{\"name\":");
	jsonw_str(&body, name);
	buf_addf(&body, ",\"done\":\"%s\",", did);
	master_tail(w, &body);
	master_answer(w, status, &body);
	buf_release(&body);
}

struct wanted {
	json_t *body;          /* owns the texts */
	const char *name, *url, *peer_url;
};

static enum err_code take_wanted(struct request *r, struct wanted *w, struct err *e)
{
	struct buf text = BUF_INIT(BODY_MAX);
	json_error_t why;
	if (request_body(r, BODY_MAX, &text, e) == ERR_OK)
		w->body = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
	buf_release(&text);
	if (e->code != ERR_OK)
		return e->code;
	if (!w->body)
		return err_set(e, ERR_BAD_JSON, "%s (line %d, column %d)", why.text, why.line, why.column);
	if (json_unpack(w->body, "{s:s, s:s, s:s !}", "name", &w->name, "url", &w->url, "peer_url", &w->peer_url) != 0)
		return err_set(e, ERR_BAD_JSON, "the body must be {\"name\": …, \"url\": …, \"peer_url\": …}, three strings");
	return ERR_OK;
}

void pool_add(struct request *r)
{
	struct master_write w;
	struct wanted wanted = {NULL};
	struct err e = ERR_INIT;
	if (!master_begin_bare(r, &w))
		return;
	if (take_wanted(r, &wanted, &e) == ERR_OK)
		replica_pool_add(w.app->replica, wanted.name, wanted.url, wanted.peer_url, &e);
	if (e.code == ERR_OK)
		answer(&w, 201, wanted.name, "added");
	else
		response_problem(r, &e);
	json_decref(wanted.body);
	master_end(&w);
}

/* The changes that need nothing but the slave's name. */
static void change(struct request *r, enum err_code (*fn)(struct replica *, const char *, struct err *), const char *did)
{
	struct master_write w;
	struct err e = ERR_INIT;
	const char *name = request_path(r, "slave");
	if (!master_begin_bare(r, &w))
		return;
	if (fn(w.app->replica, name, &e) == ERR_OK)
		answer(&w, 200, name, did);
	else
		response_problem(r, &e);
	master_end(&w);
}

static enum err_code pause_slave(struct replica *replica, const char *name, struct err *e)
{
	return replica_pool_pause(replica, name, true, e);
}

static enum err_code resume_slave(struct replica *replica, const char *name, struct err *e)
{
	return replica_pool_pause(replica, name, false, e);
}

void pool_remove(struct request *r)
{
	change(r, replica_pool_remove, "removed");
}

void pool_pause(struct request *r)
{
	change(r, pause_slave, "paused");
}

void pool_resume(struct request *r)
{
	change(r, resume_slave, "resumed");
}

void pool_reseed(struct request *r)
{
	change(r, replica_pool_reseed, "reseeded");
}
