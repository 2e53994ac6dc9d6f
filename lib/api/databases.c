#include "lib/api/databases.h"
#include "lib/api/master.h"
#include "lib/base/jsonw.h"

#include <jansson.h>
#include <limits.h>

#define BODY_MAX 2048

/* A cookie by which the same browser sees its change of the set in the list. */
static void remember_system(struct master_write *w, const struct database *system, const struct journal_pos *head)
{
	char token[JOURNAL_TOKEN_LEN];
	journal_token(system->id, head, token);
	response_headerf(w->r, "Set-Cookie", "DDB-System-Seq=%s; Path=/v1/db; HttpOnly; SameSite=Strict", token);
}

/* The system database with its position. */
static struct database *take_system(struct master_write *w, struct journal_pos *head)
{
	struct database *system = catalog_get(w->app->catalog, CATALOG_SYSTEM);
	writer_head(system->writer, head);
	return system;
}

/* There are no options yet; one that is given must not be ignored in silence. */
static enum err_code check_body(struct request *r, struct err *e)
{
	struct buf text = BUF_INIT(BODY_MAX);
	if (r->content_length > 0 && request_body(r, BODY_MAX, &text, e) == ERR_OK) {
		json_t *options = json_loadb(text.data, text.len, 0, NULL);
		if (!json_is_object(options) || json_object_size(options) > 0)
			err_set(e, ERR_BAD_JSON, "creating a database takes no options: the body must be empty or {}");
		json_decref(options);
	}
	buf_release(&text);
	return e->code;
}

static void answer_put(struct master_write *w, int status)
{
	struct buf body = BUF_INIT(BODY_MAX);
	struct journal_pos head;
	struct database *system = take_system(w, &head);
	remember_system(w, system, &head);
	catalog_put(w->app->catalog, system);
	buf_add_str(&body, "{\"name\":");
	jsonw_str(&body, w->db->name);
	buf_addf(&body, ",\"id\":\"%s\",", w->db->id);
	master_tail(w, &body);
	response_headerf(w->r, "Location", "/v1/db/%s", w->db->name);
	master_answer(w, status, &body);
	buf_release(&body);
}

void databases_put(struct request *r)
{
	struct master_write w;
	if (!master_begin_bare(r, &w))
		return;
	struct err e = ERR_INIT;
	struct database *db = NULL;
	struct journal_pos head;
	if (check_body(r, &e) == ERR_OK)
		catalog_create(w.app->catalog, request_path(r, "db"), &db, &e);
	bool existed = e.code == ERR_EXISTS && db && db->writer;
	if (existed)
		err_reset(&e);
	if (e.code == ERR_OK) {
		writer_head(db->writer, &head);
		master_reached(&w, db, &head);
		answer_put(&w, existed ? 200 : 201);
	} else {
		catalog_put(w.app->catalog, db);
		response_problem(r, &e);
	}
	master_end(&w);
}

static void answer_delete(struct master_write *w, const char *name, const char *kept)
{
	struct buf body = BUF_INIT(2 * PATH_MAX + BODY_MAX);
	struct journal_pos head;
	struct database *system = take_system(w, &head);
	/* what the browser knew of the dropped one counts no more */
	response_headerf(w->r, "Set-Cookie", "DDB-Seq=; Path=/v1/db/%s; Max-Age=0; HttpOnly; SameSite=Strict", name);
	remember_system(w, system, &head);
	master_reached(w, system, &head);
	w->answer.journaled = false; /* no cookie for the system database */
	buf_add_str(&body, "{\"dropped\":");
	jsonw_str(&body, name);
	buf_add_str(&body, ",\"kept\":");
	jsonw_str(&body, kept);
	buf_add_char(&body, ',');
	master_tail(w, &body);
	master_answer(w, 200, &body);
	buf_release(&body);
}

void databases_delete(struct request *r)
{
	struct master_write w;
	if (!master_begin_bare(r, &w))
		return;
	struct err e = ERR_INIT;
	const char *name = request_path(r, "db");
	char kept[PATH_MAX] = "";
	if (catalog_drop(w.app->catalog, name, kept, sizeof kept, &e) == ERR_OK)
		answer_delete(&w, name, kept);
	else
		response_problem(r, &e);
	master_end(&w);
}
