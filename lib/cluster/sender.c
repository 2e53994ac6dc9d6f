#include "lib/cluster/sender.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/cluster/call.h"
#include "lib/cluster/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Messages under way to one slave at once, each for another database. */
#define AT_ONCE 8
#define ASK_TIMEOUT_MS 2000
#define OFFER_TIMEOUT_MS 10000
#define POLL_LEAST_MS 20         /* between two looks at how far a copy is; doubles */
#define POLL_MOST_MS 500
#define UNKNOWN_RETRY_MS 20      /* the row of _ddb that names the database is on its way */
#define IDLE_MS 1000
#define ANSWER_MAX ((size_t)1 << 20)

enum lane_kind { LANE_IDLE, LANE_POSITION, LANE_ROWS, LANE_OFFER };

/* One database on its way to the slave. */
struct lane {
	struct lane *next;
	struct sender *sender;
	char id[JOURNAL_ID_LEN], name[CATALOG_NAME_LEN], path[PATH_MAX];
	struct call *call;
	struct buf body;
	enum lane_kind kind;           /* what is under way */
	int64_t retry_at_ms, pause_ms, poll_ms;
	struct journal_pos last;       /* the last row of the batch under way */
	int64_t rows, bytes;           /* in it; bytes of the bodies */
	bool unfit;                    /* a row cannot be carried */
	const struct snapshot *snapshot;
};

struct sender {
	struct sender_env env;
	struct slave *slave;
	char name[WIRE_NAME_LEN], url[WIRE_URL_LEN];
	pthread_t thread;
	struct calls *calls;
	_Atomic bool quit, woken;
	_Atomic bool again;            /* the slave answers elsewhere: no pause is due any more */
	int64_t epoch;                 /* of the session; 0: none */
	bool session;                  /* positions are known */
	struct call *ask;
	struct buf ask_body;
	bool asking;
	int64_t retry_at_ms, pause_ms;
	struct lane *lanes;
	size_t turn;                   /* where the last look for work ended */
};

void sender_from(struct node *node, const char *to, int64_t epoch, struct wire_from *from)
{
	memset(from, 0, sizeof *from);
	pthread_mutex_lock(&node->lock);
	memcpy(from->cluster, node->cluster_id, sizeof from->cluster);
	pthread_mutex_unlock(&node->lock);
	memcpy(from->node_id, node->node_id, sizeof from->node_id);
	snprintf(from->to, sizeof from->to, "%s", to);
	snprintf(from->node, sizeof from->node, "%s", node->conf.name);
	from->epoch = epoch;
}

void sender_wake(struct sender *s)
{
	if (!atomic_exchange(&s->woken, true))
		calls_wake(s->calls);
}

void sender_again(struct sender *s)
{
	s->again = true;
	sender_wake(s);
}

static const struct conf *conf(const struct sender *s)
{
	return &s->env.node->conf;
}

/* The next pause of a growing series. */
static int64_t grow(const struct sender *s, int64_t *pause_ms)
{
	int64_t least = conf(s)->retry_least_ms, most = conf(s)->retry_most_ms;
	*pause_ms = *pause_ms < least ? least : *pause_ms * 2 > most ? most : *pause_ms * 2;
	return clock_boot_ms() + *pause_ms;
}

/* The next look at a copy that is being made, or fetched. */
static int64_t poll_again(int64_t *poll_ms)
{
	*poll_ms = *poll_ms < POLL_LEAST_MS ? POLL_LEAST_MS : *poll_ms * 2 > POLL_MOST_MS ? POLL_MOST_MS : *poll_ms * 2;
	return clock_boot_ms() + *poll_ms;
}

/* ---- the end of a session ---- */

static void lane_idle(struct lane *l)
{
	if (l->kind != LANE_IDLE)
		call_cancel(l->call);
	l->kind = LANE_IDLE;
	buf_release(&l->body);
}

static void lane_drop_snapshot(struct lane *l)
{
	shelf_put(l->sender->env.shelf, l->snapshot);
	l->snapshot = NULL;
}

static void end_session(struct sender *s)
{
	s->session = false;
	call_cancel(s->ask);
	s->asking = false;
	for (struct lane *l = s->lanes; l; l = l->next) {
		lane_idle(l);
		lane_drop_snapshot(l);
		l->retry_at_ms = 0;
	}
}

static void lost(struct sender *s, const char *what, const struct call *k)
{
	char why[240];
	snprintf(why, sizeof why, "%s: %s", what, call_error(k));
	log_debug("slave_lost", "slave=%s url=%s why=\"%s\" pause_ms=%" PRId64, s->name, s->url, why, s->pause_ms);
	end_session(s);
	s->retry_at_ms = grow(s, &s->pause_ms);
	pool_failed(s->env.pool, s->slave, why);
}

static void refused(struct sender *s, const struct wire_reply *r)
{
	end_session(s);
	s->retry_at_ms = clock_boot_ms() + conf(s)->retry_most_ms;
	pool_incompatible(s->env.pool, s->slave, r->detail);
}

/* What every answer may say; true: it was dealt with. */
static bool general(struct sender *s, const struct call *k, const char *what, struct wire_reply *r)
{
	struct err e = ERR_INIT;
	const struct buf *text = call_answer(k);
	if (call_status(k) == 0 || wire_reply_parse(text->data ? text->data : "", text->len, r, &e) != ERR_OK) {
		lost(s, what, k);
		return true;
	}
	if (r->promised > s->epoch || r->code == ERR_EPOCH_STALE) {
		s->env.fenced(s->env.arg, r->promised, r->node, r->detail);
		end_session(s);
		s->retry_at_ms = clock_boot_ms() + conf(s)->retry_most_ms;
	} else if (r->code == ERR_CLUSTER_FOREIGN || r->code == ERR_NODE_UNKNOWN || r->code == ERR_WIRE) {
		refused(s, r);
	} else if (r->code == ERR_STOPPING || r->code == ERR_STARTING) {
		lost(s, r->detail, k);
	} else {
		return false;
	}
	wire_reply_release(r);
	return true;
}

static bool plan(struct sender *s, const struct pool_work *w, enum wire_condition condition,
	const struct journal_pos *pos)
{
	return plan_link(&s->env, s->slave, w, condition, pos);
}

static void complain(struct sender *s, const struct err *e)
{
	plan_complain(&s->env, s->slave, e);
}

/* ---- asking, when a session begins ---- */

static void start_ask(struct sender *s)
{
	char url[WIRE_URL_LEN + 32];
	struct wire_heartbeat h = {.ask = true};
	sender_from(s->env.node, s->name, s->epoch, &h.from);
	snprintf(h.url, sizeof h.url, "%s", conf(s)->url);
	snprintf(h.peer_url, sizeof h.peer_url, "%s", conf(s)->peer_url);
	snprintf(h.sqlite, sizeof h.sqlite, "%s", sqlite3_libversion());
	snprintf(h.machine, sizeof h.machine, "%s", wire_machine());
	buf_reset(&s->ask_body);
	wire_heartbeat_write(&s->ask_body, &h);
	snprintf(url, sizeof url, "%s/heartbeat", s->url);
	s->asking = true;
	call_post(s->ask, url, "application/json", s->ask_body.data, s->ask_body.len, ASK_TIMEOUT_MS);
}

static void plan_all(struct sender *s, const struct wire_reply *r)
{
	struct wire_database *mine;
	size_t n = pool_heads(s->env.pool, &mine);
	for (size_t i = 0; i < n; i++) {
		struct pool_work w;
		const struct wire_database *there = NULL;
		for (size_t j = 0; j < r->n && !there; j++)
			if (strcmp(r->databases[j].id, mine[i].id) == 0)
				there = &r->databases[j];
		if (pool_link(s->env.pool, s->slave, mine[i].id, &w))
			plan(s, &w, there ? there->condition : WIRE_MISSING, there && there->has_pos ? &there->pos : NULL);
	}
	free(mine);
}

static void finish_ask(struct sender *s)
{
	struct wire_reply r;
	s->asking = false;
	if (general(s, s->ask, "asking for its positions", &r))
		return;
	if (r.code != ERR_OK) {
		lost(s, r.detail, s->ask);
		wire_reply_release(&r);
		return;
	}
	pool_connected(s->env.pool, s->slave);
	plan_all(s, &r);
	wire_reply_release(&r);
	pool_update(s->env.pool);
	s->session = true;
	s->pause_ms = 0;
}

/* ---- rows ---- */

static bool take_row(void *arg, const struct journal_row *row)
{
	struct lane *l = arg;
	int64_t most = conf(l->sender)->batch_bytes;
	if (l->rows > 0 && l->bytes + (int64_t)row->body_len > most)
		return false;
	if (row->pos.seq != l->last.seq + 1 || !wire_batch_row(&l->body, row)) {
		l->unfit = row->pos.seq == l->last.seq + 1;
		return false;
	}
	l->last = row->pos;
	l->rows++;
	l->bytes += (int64_t)row->body_len;
	return l->bytes < most && !l->body.failed;
}

/* Fills the lane's body with the rows after w->acked; false: dealt with otherwise. */
static bool fill_rows(struct lane *l, const struct pool_work *w, struct err *e)
{
	struct sender *s = l->sender;
	struct conn *c;
	int64_t most = w->head.seq - w->acked.seq;
	if (most > conf(s)->batch_operations)
		most = conf(s)->batch_operations;
	if (readers_take(s->env.readers, w->path, &c, e) != ERR_OK)
		return false;
	journal_each(c, w->acked.seq, most, take_row, l, e);
	readers_give(s->env.readers, c, e->code != ERR_OK);
	if (e->code == ERR_OK && l->body.failed)
		err_set(e, ERR_NOMEM, "no memory for a batch of %" PRId64 " rows", l->rows);
	if (e->code != ERR_OK || l->rows > 0)
		return e->code == ERR_OK;
	if (l->unfit) {
		char why[160];
		snprintf(why, sizeof why, "row %" PRId64 " of the master's journal was changed by hand and cannot be sent",
			w->acked.seq + 1);
		pool_stuck(s->env.pool, s->slave, w->id, &w->acked, why);
	} else {
		pool_needs_copy(s->env.pool, s->slave, w->id, "pruned", false);
	}
	return false;
}

static void post(struct lane *l, enum lane_kind kind, const char *path, const char *type, int64_t timeout_ms)
{
	char url[WIRE_URL_LEN + 32];
	snprintf(url, sizeof url, "%s%s", l->sender->url, path);
	l->kind = kind;
	call_post(l->call, url, type, l->body.data, l->body.len, timeout_ms);
}

/* Sends the rows after w->acked, or (position asked for) none. */
static void start_rows(struct lane *l, const struct pool_work *w)
{
	struct sender *s = l->sender;
	struct wire_batch head = {.head = w->head.seq, .floor = w->floor};
	struct err e = ERR_INIT;
	bool ask = w->mode == LINK_UNKNOWN;
	sender_from(s->env.node, s->name, s->epoch, &head.from);
	snprintf(head.db, sizeof head.db, "%s", w->name);
	snprintf(head.id, sizeof head.id, "%s", w->id);
	if (!ask)
		head.prev = w->acked;
	buf_reset(&l->body);
	wire_batch_begin(&l->body, &head);
	l->rows = l->bytes = 0;
	l->unfit = false;
	l->last = head.prev;
	if (!ask && !fill_rows(l, w, &e)) {
		if (e.code != ERR_OK) {
			complain(s, &e);
			l->retry_at_ms = grow(s, &l->pause_ms);
		}
		buf_release(&l->body);
		return;
	}
	post(l, ask ? LANE_POSITION : LANE_ROWS, "/replicate", "application/x-ndjson", conf(s)->send_timeout_ms);
}

static void finish_rows(struct lane *l, const struct wire_reply *r)
{
	struct sender *s = l->sender;
	struct pool *p = s->env.pool;
	struct pool_work w;
	bool asked = l->kind == LANE_POSITION;
	if (!pool_link(p, s->slave, l->id, &w) || w.mode == LINK_COPY)
		return; /* dropped, or a copy was asked for meanwhile */
	switch (r->code) {
	case ERR_OK:
		if (asked && !plan(s, &w, r->has_pos ? WIRE_OK : WIRE_MISSING, r->has_pos ? &r->pos : NULL)) {
			l->retry_at_ms = grow(s, &l->pause_ms);
			return;
		}
		l->pause_ms = 0;
		if (asked)
			return;
		if (r->has_pos && plan_same(&r->pos, &l->last))
			pool_acked(p, s->slave, l->id, &r->pos, l->bytes);
		else
			pool_link_unknown(p, s->slave, l->id);
		return;
	case ERR_DATABASE_UNKNOWN:
		l->retry_at_ms = clock_boot_ms() + UNKNOWN_RETRY_MS;
		return;
	case ERR_POSITION:
	case ERR_DATABASE_MISSING:
		plan(s, &w, r->has_pos ? WIRE_OK : WIRE_MISSING, r->has_pos ? &r->pos : NULL);
		l->retry_at_ms = grow(s, &l->pause_ms);
		return;
	case ERR_DIVERGED:
		pool_diverged(p, s->slave, l->id, r->bad_seq, "diverged", r->detail);
		return;
	case ERR_CORRUPT:
		pool_diverged(p, s->slave, l->id, 0, "corrupt", r->detail);
		return;
	default:
		log_warn("slave_refuses", "slave=%s database=%s from=%" PRId64 " rows=%" PRId64 " bytes=%zu code=%s detail=\"%s\"",
			s->name, l->name, w.acked.seq, l->rows, l->body.len, err_name(r->code), r->detail);
		pool_complains(p, s->slave, r->detail);
		l->retry_at_ms = grow(s, &l->pause_ms);
	}
}

/* ---- whole copies ---- */

static void start_offer(struct lane *l, const struct pool_work *w)
{
	struct sender *s = l->sender;
	struct wire_offer o = {.keep_old = w->keep_old};
	struct err e = ERR_INIT;
	/* Not older than what the slave has, nor than the row it differed at. */
	int64_t least = w->acked.seq > w->bad_seq ? w->acked.seq : w->bad_seq;
	if (least > w->head.seq)
		least = w->head.seq;
	if (l->snapshot && l->snapshot->pos.seq < least)
		lane_drop_snapshot(l);
	if (!l->snapshot)
		l->snapshot = shelf_get(s->env.shelf, w->id, w->path, least, &e);
	if (!l->snapshot) {
		if (e.code != ERR_OK)
			complain(s, &e);
		l->retry_at_ms = e.code != ERR_OK ? grow(s, &l->pause_ms) : poll_again(&l->poll_ms);
		return;
	}
	sender_from(s->env.node, s->name, s->epoch, &o.from);
	snprintf(o.db, sizeof o.db, "%s", w->name);
	memcpy(o.id, w->id, sizeof o.id);
	memcpy(o.name, l->snapshot->name, sizeof o.name);
	memcpy(o.peer_url, conf(s)->peer_url, sizeof o.peer_url);
	memcpy(o.reason, w->reason, sizeof o.reason);
	memcpy(o.digest, l->snapshot->digest, sizeof o.digest);
	o.pos = l->snapshot->pos;
	o.bytes = l->snapshot->bytes;
	buf_reset(&l->body);
	wire_offer_write(&l->body, &o);
	post(l, LANE_OFFER, "/replicate/snapshot", "application/json", OFFER_TIMEOUT_MS);
}

static void finish_offer(struct lane *l, const struct wire_reply *r)
{
	struct sender *s = l->sender;
	struct pool_work w;
	l->retry_at_ms = poll_again(&l->poll_ms);
	if (r->code != ERR_OK) {
		if (r->code != ERR_DATABASE_UNKNOWN)
			pool_complains(s->env.pool, s->slave, r->detail);
		return;
	}
	if (r->phase == WIRE_DONE && pool_link(s->env.pool, s->slave, l->id, &w)) {
		w.reason[0] = '\0';
		lane_drop_snapshot(l);
		l->pause_ms = l->poll_ms = l->retry_at_ms = 0;
		plan(s, &w, r->has_pos ? WIRE_OK : WIRE_MISSING, r->has_pos ? &r->pos : NULL);
	} else if (r->phase == WIRE_FAILED) {
		pool_complains(s->env.pool, s->slave, r->detail);
		lane_drop_snapshot(l);
		l->retry_at_ms = grow(s, &l->pause_ms);
	}
}

/* ---- the thread ---- */

static void free_lane(struct lane *l)
{
	lane_idle(l);
	lane_drop_snapshot(l);
	call_free(l->call);
	buf_release(&l->body);
	free(l);
}

/* Lanes of databases that were dropped. */
static void sweep_lanes(struct sender *s)
{
	struct pool_work w;
	for (struct lane **at = &s->lanes; *at;) {
		struct lane *l = *at;
		if (pool_link(s->env.pool, s->slave, l->id, &w)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free_lane(l);
	}
}

static struct lane *lane_of(struct sender *s, const struct pool_work *w)
{
	struct lane *l;
	for (l = s->lanes; l; l = l->next)
		if (strcmp(l->id, w->id) == 0)
			return l;
	sweep_lanes(s);
	l = calloc(1, sizeof *l);
	if (!l || !(l->call = call_new(s->calls, l, ANSWER_MAX))) {
		free(l);
		return NULL;
	}
	l->sender = s;
	memcpy(l->id, w->id, sizeof l->id);
	memcpy(l->name, w->name, sizeof l->name);
	buf_init(&l->body, WIRE_MESSAGE_MAX);
	l->next = s->lanes;
	s->lanes = l;
	return l;
}

/* Begins what can begin. Returns how long to wait for anything else. */
static int64_t start_lanes(struct sender *s)
{
	struct pool_work w;
	size_t cursor = 0;
	int64_t now = clock_boot_ms(), wait = IDLE_MS;
	int busy = 0;
	for (struct lane *l = s->lanes; l; l = l->next)
		busy += l->kind != LANE_IDLE;
	while (busy < AT_ONCE && pool_work(s->env.pool, s->slave, &cursor, &w)) {
		struct lane *l = lane_of(s, &w);
		if (!l || l->kind != LANE_IDLE)
			continue;
		if (l->retry_at_ms > now) {
			if (l->retry_at_ms - now < wait)
				wait = l->retry_at_ms - now;
			continue;
		}
		l->retry_at_ms = 0;
		if (w.mode == LINK_COPY)
			start_offer(l, &w);
		else
			start_rows(l, &w);
		busy += l->kind != LANE_IDLE;
		int64_t pause = l->retry_at_ms > now ? l->retry_at_ms - now : 0;
		if (l->kind == LANE_IDLE && pause < wait)
			wait = pause;
	}
	return wait;
}

static void finish(struct sender *s, struct call *k)
{
	struct wire_reply r;
	if (k == s->ask) {
		finish_ask(s);
		return;
	}
	struct lane *l = call_owner(k);
	enum lane_kind kind = l->kind;
	char what[120];
	snprintf(what, sizeof what, "sending %s", l->name);
	if (kind == LANE_IDLE || general(s, k, what, &r))
		return;
	if (kind == LANE_OFFER)
		finish_offer(l, &r);
	else
		finish_rows(l, &r);
	wire_reply_release(&r);
	lane_idle(l);
}

/* Whether there is a reign to send in, and to whom; a new reign or address begins a new session. */
static bool may_send(struct sender *s, bool *paused)
{
	char url[WIRE_URL_LEN];
	bool connected;
	int64_t reign = s->env.node->reign;
	bool there = pool_address(s->env.pool, s->slave, url, paused, &connected);
	if (!there || reign != s->epoch || strcmp(url, s->url) != 0 || (s->session && !connected)) {
		end_session(s);
		s->epoch = reign;
		memcpy(s->url, url, sizeof s->url);
	}
	return there && reign != 0;
}

static void *sender_thread(void *arg)
{
	struct sender *s = arg;
	while (!s->quit) {
		bool paused;
		int64_t wait = IDLE_MS, now = clock_boot_ms();
		atomic_store(&s->woken, false);
		if (atomic_exchange(&s->again, false))
			s->retry_at_ms = 0;
		if (may_send(s, &paused)) {
			if (!s->session && !s->asking && now >= s->retry_at_ms)
				start_ask(s);
			else if (!s->session && !s->asking)
				wait = s->retry_at_ms - now;
			else if (s->session && !paused)
				wait = start_lanes(s);
		}
		struct call *k = calls_next(s->calls, s->quit ? 0 : wait);
		for (; k; k = calls_next(s->calls, 0))
			finish(s, k);
	}
	end_session(s);
	return NULL;
}

static void free_sender(struct sender *s)
{
	while (s->lanes) {
		struct lane *l = s->lanes;
		s->lanes = l->next;
		free_lane(l);
	}
	call_free(s->ask);
	buf_release(&s->ask_body);
	calls_free(s->calls);
	free(s);
}

enum err_code sender_start(struct sender **out, const struct sender_env *env, struct slave *slave, struct err *e)
{
	struct sender *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_NOMEM, "no memory for a sender");
	s->env = *env;
	s->slave = slave;
	memcpy(s->name, slave->name, sizeof s->name);
	buf_init(&s->ask_body, WIRE_ANSWER_MAX);
	if (calls_new(&s->calls, e) == ERR_OK && !(s->ask = call_new(s->calls, s, WIRE_ANSWER_MAX)))
		err_set(e, ERR_NOMEM, "no memory for a sender");
	if (e->code == ERR_OK && pthread_create(&s->thread, NULL, sender_thread, s) != 0)
		err_set(e, ERR_NOMEM, "cannot start a sender's thread");
	if (e->code != ERR_OK) {
		free_sender(s);
		return e->code;
	}
	*out = s;
	return ERR_OK;
}

void sender_quit(struct sender *s)
{
	s->quit = true;
	calls_wake(s->calls);
}

void sender_stop(struct sender *s)
{
	if (!s)
		return;
	sender_quit(s);
	pthread_join(s->thread, NULL);
	free_sender(s);
}
