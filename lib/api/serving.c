#include "lib/api/serving.h"
#include "lib/base/clock.h"
#include "lib/base/jsonw.h"
#include "lib/base/log.h"
#include "lib/cluster/damage.h"
#include "lib/sql/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define COOKIE "DDB-Seq"
#define COOKIE_SYSTEM "DDB-System-Seq"

/* Pauses between two looks at the position, doubling. */
#define POLL_LEAST_US 500
#define POLL_MOST_US 5000

/* ---- may this node answer? ---- */

static bool serves(const struct statefile_view *v)
{
	return v->known && node_state_table[v->state].serves_reads;
}

/* Passes the request to the master where that makes sense. */
static bool pass_on(struct request *r, const struct statefile_view *v)
{
	if (v->is_master || v->master_host[0] == '\0' || request_forwarded(r) || request_last_resort(r))
		return false;
	response_forward(r, v->master_host);
	return true;
}

/* Neither this node nor the master: was this one in sync, and is that good enough? */
static bool last_resort(struct request *r, const struct conf *conf, const struct statefile_view *v)
{
	struct err e = ERR_INIT;
	int64_t most, accepted;
	request_header_int(r, "HTTP_DDB_MAX_STALE", "DDB-Max-Stale", INT64_MAX, 0, INT64_MAX, &accepted, &e);
	most = accepted < conf->max_stale_ms ? accepted : conf->max_stale_ms;
	if (e.code != ERR_OK) {
		response_problem(r, &e);
		return false;
	}
	if (!v->known || v->state != NODE_SILENT || !v->was_in_sync || v->heartbeat_age_ms < 0) {
		err_set(&e, ERR_NOT_READY, "this node is %s and the master cannot be asked",
			v->known ? node_state_table[v->state].name : "not ready (its write program has said nothing yet)");
	} else if (v->heartbeat_age_ms > most) {
		err_set(&e, ERR_TOO_STALE, "the master has been silent for %" PRId64 " ms; up to %" PRId64 " ms are accepted",
			v->heartbeat_age_ms, most);
	} else {
		response_headerf(r, "DDB-Stale", "%" PRId64, v->heartbeat_age_ms);
		return true;
	}
	response_problem(r, &e);
	return false;
}

/* ?consistency=strong: the master's business, whatever state this slave is in. */
static bool is_strong(const struct request *r, bool *strong, struct err *e)
{
	const char *text = request_param(r, "consistency");
	*strong = text != NULL;
	return !text || strcmp(text, "strong") == 0 || err_set(e, ERR_BAD_REQUEST, "consistency can only be 'strong'") == ERR_OK;
}

static bool may_answer(struct request *r, const struct conf *conf, struct statefile_view *v)
{
	struct err e = ERR_INIT;
	bool strong;
	statefile_view(conf, v);
	response_header(r, "DDB-Node", conf->name);
	if (is_strong(r, &strong, &e)) {
		if (serves(v) && (v->is_master || !strong))
			return true;
		if (pass_on(r, v))
			return false;
		if (!strong)
			return last_resort(r, conf, v);
		err_set(&e, ERR_NOT_READY, "a read with consistency=strong is the master's to answer, and it cannot be asked");
	}
	response_problem(r, &e);
	return false;
}

/* ---- the position asked for ---- */

struct token {
	bool given, by_cookie;
	char id[JOURNAL_ID_LEN];
	int64_t epoch, seq;
};

/* The first cookie of that name that is a token. A browser may send several. */
static void token_of_cookie(const struct request *r, const char *cookie, struct token *t)
{
	const char *at = request_header(r, "HTTP_COOKIE");
	while (at && *at) {
		at += strspn(at, "; ");
		size_t len = strcspn(at, ";");
		char text[JOURNAL_TOKEN_LEN];
		size_t name = strlen(cookie);
		if (len > name + 1 && len - name - 1 < sizeof text && memcmp(at, cookie, name) == 0 && at[name] == '=') {
			memcpy(text, at + name + 1, len - name - 1);
			text[len - name - 1] = '\0';
			if (journal_token_parse(text, t->id, &t->epoch, &t->seq)) {
				t->given = t->by_cookie = true;
				return;
			}
		}
		at += len;
	}
}

static enum err_code token_of(const struct serving *s, struct token *t, struct err *e)
{
	const char *text = request_header(s->r, "HTTP_DDB_MIN_SEQ");
	*t = (struct token){.given = false};
	if (!text) {
		token_of_cookie(s->r, s->system ? COOKIE_SYSTEM : COOKIE, t);
		return ERR_OK;
	}
	t->given = true;
	if (!journal_token_parse(text, t->id, &t->epoch, &t->seq))
		return err_set(e, ERR_BAD_REQUEST, "DDB-Min-Seq must be ID.EPOCH.SEQ as DDB-Seq of an answer gave it, not '%.80s'",
			text);
	return ERR_OK;
}

enum verdict { TOKEN_REACHED, TOKEN_AHEAD, TOKEN_LOST, TOKEN_FOREIGN };

/* How the data of the open transaction stands to the token. */
static enum err_code judge(const struct serving *s, const struct token *t, enum verdict *verdict, struct err *e)
{
	struct journal_pos there;
	if (!t->given || (s->system && strcmp(t->id, s->id) != 0)) {
		*verdict = TOKEN_REACHED;
	} else if (strcmp(t->id, s->id) != 0) {
		*verdict = TOKEN_FOREIGN;
	} else if (t->epoch > s->pos.epoch || (t->epoch == s->pos.epoch && t->seq > s->pos.seq)) {
		*verdict = TOKEN_AHEAD;
	} else if (t->epoch == s->pos.epoch) {
		*verdict = TOKEN_REACHED;
	} else if (t->seq > s->pos.seq) {
		*verdict = TOKEN_LOST;
	} else if (journal_at(s->c, t->seq, &there, e) == ERR_OK) {
		/* epoch 0: pruned */
		*verdict = there.epoch == t->epoch || there.epoch == 0 ? TOKEN_REACHED : TOKEN_LOST;
	}
	return e->code;
}

/* ---- the database ---- */

/* Opens the transaction and reads where the data stands. A file without its
 * journal's tables or first row is still being made: unknown as yet. */
static enum err_code look(struct serving *s, struct err *e)
{
	if (conn_exec(s->c, "BEGIN", e) != ERR_OK)
		return e->code;
	if (journal_id(s->c, s->id, e) == ERR_OK)
		journal_head(s->c, &s->pos, e);
	bool unmade = e->code == ERR_SQL || (e->code == ERR_OK && s->pos.seq == 0);
	if (!unmade)
		return e->code;
	err_reset(e);
	return err_set(e, ERR_DATABASE_UNKNOWN, "the database is still being made");
}

static void close_look(struct serving *s)
{
	struct err ignored = ERR_INIT;
	if (conn_exec(s->c, "ROLLBACK", &ignored) != ERR_OK)
		s->broken = true;
}

/* Whether the system database names a database whose file is not here. */
static bool is_named(struct app_read *app, const char *name)
{
	char path[PATH_MAX + 16];
	struct err e = ERR_INIT;
	struct conn *c;
	sqlite3_stmt *stmt;
	unsigned traits;
	bool named = false;
	static const char sql[] = "SELECT 1 FROM databases WHERE name = ?";
	snprintf(path, sizeof path, "%s/db/" CATALOG_SYSTEM ".db", app->conf.data);
	if (readers_take(app->readers, path, &c, &e) != ERR_OK)
		return false;
	c->authz.mode = AUTHZ_INTERNAL;
	if (conn_prepare(c, sql, sizeof sql - 1, &stmt, &traits, NULL, &e) == ERR_OK) {
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
		named = sqlite3_step(stmt) == SQLITE_ROW;
		conn_release(c, stmt);
	}
	readers_give(app->readers, c, false);
	return named;
}

/* The database cannot be read here: the master may know it, or have it whole. */
static void give_up(struct serving *s, const struct err *why)
{
	const char *name = s->name;
	struct err e = ERR_INIT;
	bool unknown = why->code == ERR_DATABASE_UNKNOWN;
	if (!unknown)
		log_warn("read.failed", "database=%s code=%s text=\"%s\"", name, err_name(why->code), why->text);
	if (why->code == ERR_CORRUPT)
		damage_report(&s->app->conf, name);
	if (pass_on(s->r, &s->view))
		return;
	if (!unknown)
		err_set(&e, why->code, "%s", why->text);
	else if (!s->view.is_master)
		err_set(&e, ERR_NOT_READY, "database %s is not known on this node, and the master cannot be asked", name);
	else if (catalog_name_ok(name) && is_named(s->app, name))
		err_set(&e, ERR_DATABASE_MISSING, "the file of database %s is missing on this node", name);
	else
		err_set(&e, ERR_DATABASE_UNKNOWN, "there is no database '%.64s'", name);
	response_problem(s->r, &e);
}

static void replace_cookie(struct serving *s)
{
	char token[JOURNAL_TOKEN_LEN];
	bool system = s->system;
	journal_token(s->id, &s->pos, token);
	response_headerf(s->r, "Set-Cookie", "%s=%s; Path=/v1/db%s%s; HttpOnly; SameSite=Strict",
		system ? COOKIE_SYSTEM : COOKIE, token, system ? "" : "/", system ? "" : s->name);
}

/* What to do about a position that is not reached; false: answered. */
static bool settle(struct serving *s, const struct token *t, enum verdict verdict)
{
	struct err e = ERR_INIT;
	if (verdict == TOKEN_REACHED)
		return true;
	/* The master of a reign has all of it. */
	if (verdict == TOKEN_AHEAD && s->view.is_master && t->epoch == s->pos.epoch)
		verdict = TOKEN_LOST;
	if (verdict != TOKEN_LOST && pass_on(s->r, &s->view))
		return false;
	if (t->by_cookie && verdict != TOKEN_AHEAD)
		replace_cookie(s);
	if (t->by_cookie && verdict == TOKEN_FOREIGN)
		return true;
	if (verdict == TOKEN_AHEAD)
		err_set(&e, ERR_NOT_READY, "this node has epoch %" PRId64 ", seq %" PRId64 " and not yet the position asked for,"
			" epoch %" PRId64 ", seq %" PRId64 "; the master cannot be asked", s->pos.epoch, s->pos.seq, t->epoch, t->seq);
	else if (verdict == TOKEN_FOREIGN)
		err_set(&e, ERR_POSITION_LOST, "the position is of another database; %s was dropped and made again", s->name);
	else
		err_set(&e, ERR_POSITION_LOST, "the position asked for, epoch %" PRId64 ", seq %" PRId64
			", is not in this history, which stands at epoch %" PRId64 ", seq %" PRId64, t->epoch, t->seq, s->pos.epoch,
			s->pos.seq);
	response_problem(s->r, &e);
	return false;
}

/* Looks again and again until the position is reached or the wait is over;
 * the transaction of the last look stays open. */
static enum err_code wait_for(struct serving *s, const struct token *t, enum verdict *verdict, struct err *e)
{
	int64_t until = clock_boot_us() + s->app->conf.min_seq_wait_ms * 1000, pause = POLL_LEAST_US;
	if (!app_wait_enter(&s->app->wait))
		return ERR_OK;
	while (*verdict == TOKEN_AHEAD && clock_boot_us() < until && !s->app->stopping && !request_client_gone(s->r)) {
		close_look(s);
		nanosleep(&(struct timespec){0, pause * 1000}, NULL);
		pause = pause * 2 < POLL_MOST_US ? pause * 2 : POLL_MOST_US;
		if (look(s, e) != ERR_OK || judge(s, t, verdict, e) != ERR_OK)
			break;
	}
	app_wait_leave(&s->app->wait);
	return e->code;
}

/* While a statement runs, for conn.cancelled: a system call now and then, some
 * tenths of a millisecond of work apart. */
static bool client_gone(void *arg)
{
	struct serving *s = arg;
	return s->r->gone || (++s->looks % 32 == 0 && request_client_gone(s->r));
}

static bool begin(struct request *r, struct serving *s, const char *name, bool system)
{
	struct err e = ERR_INIT;
	struct token t;
	enum verdict verdict = TOKEN_REACHED;
	char path[PATH_MAX + CATALOG_NAME_LEN + 16], text[JOURNAL_TOKEN_LEN];
	*s = (struct serving){.r = r, .app = r->app, .name = name, .system = system};
	if (!may_answer(r, &s->app->conf, &s->view))
		return false;
	request_header_ms(r, "HTTP_DDB_TIMEOUT", "DDB-Timeout", s->app->conf.read_deadline_ms, &s->deadline_ms, &e);
	if (request_big_as_string(r, &s->big_as_string, &e) != ERR_OK || token_of(s, &t, &e) != ERR_OK) {
		response_problem(r, &e);
		return false;
	}
	if (!s->system && !catalog_name_ok(name))
		err_set(&e, ERR_DATABASE_UNKNOWN, "not a name");
	else
		snprintf(path, sizeof path, "%s/db/%s.db", s->app->conf.data, name);
	if (e.code != ERR_OK || readers_take(s->app->readers, path, &s->c, &e) != ERR_OK) {
		give_up(s, &e);
		return false;
	}
	if (look(s, &e) == ERR_OK && judge(s, &t, &verdict, &e) == ERR_OK && verdict == TOKEN_AHEAD && !s->view.is_master)
		wait_for(s, &t, &verdict, &e);
	if (e.code != ERR_OK) {
		s->broken = true;
		give_up(s, &e);
	}
	if (e.code != ERR_OK || !settle(s, &t, verdict)) {
		serving_end(s);
		return false;
	}
	journal_token(s->id, &s->pos, text);
	response_header(r, "DDB-Seq", text);
	s->c->deadline_us = clock_boot_us() + s->deadline_ms * 1000;
	s->c->cancelled = client_gone;
	s->c->cancelled_arg = s;
	return true;
}

bool serving_begin(struct request *r, struct serving *s)
{
	return begin(r, s, request_path(r, "db"), false);
}

bool serving_begin_system(struct request *r, struct serving *s)
{
	return begin(r, s, CATALOG_SYSTEM, true);
}

/* ---- the answer ---- */

/* Weak: node and ms differ between answers that say the same. */
static void make_tag(const struct serving *s, char out[JOURNAL_TOKEN_LEN + 32])
{
	char token[JOURNAL_TOKEN_LEN];
	const struct request *r = s->r;
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	for (size_t i = 0; i < r->segment_n; i++)
		XXH3_64bits_update(&state, r->segment[i], strlen(r->segment[i]) + 1);
	for (size_t i = 0; i < r->query.n; i++) {
		XXH3_64bits_update(&state, r->query.param[i].name, strlen(r->query.param[i].name) + 1);
		XXH3_64bits_update(&state, r->query.param[i].value, strlen(r->query.param[i].value) + 1);
	}
	journal_token(s->id, &s->pos, token);
	snprintf(out, JOURNAL_TOKEN_LEN + 32, "W/\"%s-%016" PRIx64 "\"", token, (uint64_t)XXH3_64bits_digest(&state));
}

/* Whether a list of tags holds tag; compared weakly, as a GET may. */
static bool tag_listed(const char *list, const char *tag)
{
	const char *opaque = tag + 2;
	size_t len = strlen(opaque);
	if (strcmp(list, "*") == 0)
		return true;
	for (const char *at = strstr(list, opaque); at; at = strstr(at + 1, opaque))
		if (at[len] == '\0' || at[len] == ',' || at[len] == ' ')
			return true;
	return false;
}

bool serving_answers(struct serving *s, unsigned traits)
{
	struct request *r = s->r;
	char tag[JOURNAL_TOKEN_LEN + 32];
	bool tagged = strcmp(r->method, "GET") == 0 && !(traits & AUTHZ_SAW_NOW);
	if (tagged) {
		make_tag(s, tag);
		response_header(r, "ETag", tag);
		/* kept by browsers, but asked for anew each time: a tag costs little */
		response_header(r, "Cache-Control", "private, no-cache");
		const char *have = request_header(r, "HTTP_IF_NONE_MATCH");
		if (have && tag_listed(have, tag)) {
			response_status(r, 304);
			return false;
		}
	}
	response_header(r, "Content-Type", "application/json");
	return true;
}

void serving_tail(struct serving *s)
{
	struct buf *out = &s->r->out;
	buf_addf(out, "\"epoch\":%" PRId64 ",\"seq\":%" PRId64 ",\"node\":", s->pos.epoch, s->pos.seq);
	jsonw_str(out, s->app->conf.name);
	buf_addf(out, ",\"ms\":%.3f}\n", (double)(clock_boot_us() - s->r->began_us) / 1000.0);
}

bool serving_row(struct serving *s, sqlite3_stmt *stmt, int n)
{
	struct buf *out = &s->r->out;
	buf_add_char(out, '[');
	for (int i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		value_add_column(out, stmt, i, s->big_as_string);
		if (!response_flush(s->r))
			return false;
	}
	buf_add_char(out, ']');
	return response_flush(s->r);
}

void serving_fail(struct serving *s, const struct err *e)
{
	bool of_the_file = e->code == ERR_IO || e->code == ERR_CORRUPT || e->code == ERR_BUSY;
	if (of_the_file) {
		s->broken = true;
		log_warn("read.failed", "database=%s code=%s text=\"%s\"", s->name, err_name(e->code), e->text);
		if (e->code == ERR_CORRUPT)
			damage_report(&s->app->conf, s->name);
		if (s->r->stage == RESPONSE_NEW && pass_on(s->r, &s->view))
			return;
	}
	response_problem(s->r, e);
}

void serving_end(struct serving *s)
{
	if (s->c)
		readers_give(s->app->readers, s->c, s->broken);
	s->c = NULL;
}
