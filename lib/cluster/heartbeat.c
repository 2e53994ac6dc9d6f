#include "lib/cluster/heartbeat.h"
#include "lib/base/clock.h"
#include "lib/cluster/call.h"
#include "lib/cluster/sender.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_LEAST_MS 300

struct beat {
	struct beat *next;
	char name[WIRE_NAME_LEN];
	struct call *call;
	struct buf body;
	bool busy, ask, listed;
};

struct heartbeat {
	struct node *node;
	struct pool *pool;
	struct reign *reign;
	struct self *self;
	void (*asked)(void *arg);
	void *arg;
	pthread_t thread;
	struct calls *calls;
	struct beat *beats;
	struct wire_database *heads;   /* of the present round */
	size_t heads_n;
	_Atomic bool quit, now;
};

/* How long a slave may take to answer: well below the silence that makes it down. */
static int64_t timeout_ms(const struct conf *conf)
{
	int64_t t = conf->silent_ms / 3;
	return t > ANSWER_LEAST_MS ? t : ANSWER_LEAST_MS;
}

static struct beat *beat_of(struct heartbeat *h, const char *name)
{
	struct beat *b;
	for (b = h->beats; b; b = b->next)
		if (strcmp(b->name, name) == 0)
			return b;
	b = calloc(1, sizeof *b);
	if (!b || !(b->call = call_new(h->calls, b, WIRE_ANSWER_MAX))) {
		free(b);
		return NULL;
	}
	snprintf(b->name, sizeof b->name, "%s", name);
	buf_init(&b->body, WIRE_ANSWER_MAX);
	b->next = h->beats;
	h->beats = b;
	return b;
}

static void free_beat(struct beat *b)
{
	call_free(b->call);
	buf_release(&b->body);
	free(b);
}

static void sweep(struct heartbeat *h)
{
	for (struct beat **at = &h->beats; *at;) {
		struct beat *b = *at;
		if (b->listed) {
			b->listed = false;
			at = &b->next;
			continue;
		}
		*at = b->next;
		free_beat(b);
	}
}

static void send_beat(struct heartbeat *h, struct beat *b, const struct pool_target *t, int64_t epoch, bool ask)
{
	const struct conf *conf = &h->node->conf;
	char url[WIRE_URL_LEN + 16];
	struct wire_heartbeat w = {.ask = ask, .paused = t->paused, .databases = h->heads, .n = h->heads_n};
	sender_from(h->node, t->name, epoch, &w.from);
	snprintf(w.url, sizeof w.url, "%s", conf->url);
	snprintf(w.peer_url, sizeof w.peer_url, "%s", conf->peer_url);
	snprintf(w.sqlite, sizeof w.sqlite, "%s", sqlite3_libversion());
	snprintf(w.machine, sizeof w.machine, "%s", wire_machine());
	buf_reset(&b->body);
	wire_heartbeat_write(&b->body, &w);
	snprintf(url, sizeof url, "%s/heartbeat", t->peer_url);
	b->busy = true;
	b->ask = ask;
	call_post(b->call, url, "application/json", b->body.data, b->body.len, timeout_ms(conf));
}

/* One round: everybody who is not still being waited for. */
static void beat_all(struct heartbeat *h)
{
	struct pool_target *targets;
	int64_t reign = h->node->reign;
	bool ask = reign == 0;
	int64_t epoch = reign;
	if (ask) {
		pthread_mutex_lock(&h->node->lock);
		epoch = h->node->promised;
		pthread_mutex_unlock(&h->node->lock);
	}
	free(h->heads);
	h->heads_n = pool_heads(h->pool, &h->heads);
	size_t n = pool_targets(h->pool, &targets);
	for (size_t i = 0; i < n; i++) {
		struct beat *b = beat_of(h, targets[i].name);
		if (!b)
			continue;
		b->listed = true;
		if (!b->busy)
			send_beat(h, b, &targets[i], epoch, ask);
	}
	sweep(h);
	free(targets);
	if (!ask)
		node_state_beat(h->self);
}

/* A member's answer to the question, or that it cannot be reached. */
static void answered(struct heartbeat *h, const struct beat *b, const struct wire_reply *r)
{
	reign_answered(h->reign, b->name, r, h->heads, h->heads_n);
	h->asked(h->arg);
}

static void finish(struct heartbeat *h, struct call *k)
{
	struct beat *b = call_owner(k);
	const struct buf *text = call_answer(k);
	struct wire_reply r;
	struct err e = ERR_INIT;
	b->busy = false;
	if (call_status(k) == 0 && !b->ask)
		pool_unanswered(h->pool, b->name, call_error(k));
	if (call_status(k) == 0 || wire_reply_parse(text->data ? text->data : "", text->len, &r, &e) != ERR_OK) {
		if (b->ask)
			answered(h, b, NULL);
		return;
	}
	int64_t reign = h->node->reign;
	if (r.code == ERR_OK || r.code == ERR_EPOCH_STALE)
		pool_answered(h->pool, b->name, &r);
	if (r.code == ERR_CLUSTER_FOREIGN || r.code == ERR_NODE_UNKNOWN || r.code == ERR_WIRE)
		pool_refuses(h->pool, b->name, r.detail);
	if (b->ask)
		answered(h, b, r.code == ERR_OK ? &r : NULL);
	else if (reign && (r.promised > reign || r.code == ERR_EPOCH_STALE))
		reign_fenced(h->reign, r.promised, r.node, r.detail);
	wire_reply_release(&r);
}

static void *heartbeat_thread(void *arg)
{
	struct heartbeat *h = arg;
	int64_t due = 0;
	while (!h->quit) {
		int64_t now = clock_boot_ms();
		if (now >= due || atomic_exchange(&h->now, false)) {
			/* Beats keep their pace; after a pause none are made up for. */
			due = due + h->node->conf.heartbeat_ms > now ? due + h->node->conf.heartbeat_ms :
				now + h->node->conf.heartbeat_ms;
			if (reign_is_master(h->reign))
				beat_all(h);
		}
		struct call *k = calls_next(h->calls, h->quit ? 0 : due - clock_boot_ms());
		for (; k; k = calls_next(h->calls, 0))
			finish(h, k);
	}
	return NULL;
}

static void free_heartbeat(struct heartbeat *h)
{
	while (h->beats) {
		struct beat *b = h->beats;
		h->beats = b->next;
		free_beat(b);
	}
	free(h->heads);
	calls_free(h->calls);
	free(h);
}

enum err_code heartbeat_start(struct heartbeat **out, struct node *node, struct pool *pool, struct reign *reign,
	struct self *self, void (*asked)(void *arg), void *arg, struct err *e)
{
	struct heartbeat *h = calloc(1, sizeof *h);
	if (!h)
		return err_set(e, ERR_NOMEM, "no memory for heartbeats");
	h->node = node;
	h->pool = pool;
	h->reign = reign;
	h->self = self;
	h->asked = asked;
	h->arg = arg;
	if (calls_new(&h->calls, e) == ERR_OK && pthread_create(&h->thread, NULL, heartbeat_thread, h) != 0)
		err_set(e, ERR_NOMEM, "cannot start the heartbeats' thread");
	if (e->code != ERR_OK) {
		if (h->calls)
			calls_free(h->calls);
		free(h);
		return e->code;
	}
	*out = h;
	return ERR_OK;
}

void heartbeat_wake(struct heartbeat *h)
{
	h->now = true;
	calls_wake(h->calls);
}

void heartbeat_stop(struct heartbeat *h)
{
	if (!h)
		return;
	h->quit = true;
	calls_wake(h->calls);
	pthread_join(h->thread, NULL);
	free_heartbeat(h);
}
