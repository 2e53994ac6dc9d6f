#include "lib/cluster/node_state.h"
#include "lib/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A slave calls itself ready once it is at most this part of lag_ms behind. */
#define CATCH_UP_PART 4

enum node_state node_state_judge(const struct node_facts *f, enum node_state before, bool *was_in_sync)
{
	bool in_sync = before == NODE_READY;
	if (f->is_master)
		return f->open ? NODE_IS_MASTER : NODE_WAITING;
	if (f->heartbeat_age_ms < 0 || f->heartbeat_age_ms > f->silent_ms) {
		*was_in_sync = in_sync || f->was_in_sync;
		bool had_begun = *was_in_sync || before == NODE_LAGGING || before == NODE_SILENT;
		return had_begun && f->heartbeat_age_ms >= 0 ? NODE_SILENT : NODE_JOINING;
	}
	*was_in_sync = false;
	if (f->paused)
		return NODE_PAUSED;
	if (f->fault)
		return NODE_ERROR;
	if (f->diverged)
		return NODE_DIVERGED;
	if (f->snapshot)
		return NODE_SNAPSHOT;
	if (f->ahead)
		return NODE_SYNCING;
	/* A database that was just created, and so has reached no head, makes nobody unready. */
	if (in_sync && f->lag_ms <= f->lag_most_ms)
		return NODE_READY;
	if (f->proved && f->lag_ms <= f->lag_most_ms / CATCH_UP_PART)
		return NODE_READY;
	return in_sync || before == NODE_LAGGING ? NODE_LAGGING : NODE_SYNCING;
}

struct self_database {
	char id[JOURNAL_ID_LEN];
	bool listed;                   /* the master's last heartbeat named it */
	struct lag lag;
	struct journal_pos pos, told;  /* its own position; the newest one of the master that was named whole */
	int64_t head, floor;           /* head: the newest row of the master that was named */
	enum wire_condition condition;
};

struct self {
	struct node *node;
	pthread_mutex_t lock;
	struct node_state_view v;
	bool paused, fault, is_new;    /* is_new: no heartbeat since the state was left behind */
	char why[240];                 /* of a master that waits, or of the fault */
	struct self_database *databases;
	size_t n;
};

/* Takes over what the process before knew, as long as it is of this boot. */
static void take_over(struct self *s, const json_t *before)
{
	const char *boot = json_string_value(json_object_get(before, "boot_id"));
	const char *id = json_string_value(json_object_get(before, "node_id"));
	enum node_state state = node_state_by_name(json_string_value(json_object_get(before, "state")));
	const json_t *heartbeat = json_object_get(before, "heartbeat_boot_ms"), *master = json_object_get(before, "master");
	if (!boot || !id || strcmp(boot, clock_boot_id()) != 0 || strcmp(id, s->node->node_id) != 0 ||
		!json_is_integer(heartbeat) || state == NODE_IS_MASTER)
		return;
	s->v.was_in_sync = state == NODE_READY || (state == NODE_SILENT && json_is_true(json_object_get(before, "was_in_sync")));
	s->v.heartbeat_boot_ms = json_integer_value(heartbeat);
	const char *name = json_string_value(json_object_get(master, "name"));
	const char *url = json_string_value(json_object_get(master, "url"));
	const char *peer_url = json_string_value(json_object_get(master, "peer_url"));
	snprintf(s->v.master_name, sizeof s->v.master_name, "%s", name ? name : "");
	snprintf(s->v.master_url, sizeof s->v.master_url, "%s", url ? url : "");
	snprintf(s->v.master_peer_url, sizeof s->v.master_peer_url, "%s", peer_url ? peer_url : "");
}

enum err_code node_state_new(struct self **out, struct node *node, const json_t *before, struct err *e)
{
	struct self *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_NOMEM, "no memory for the node's state");
	s->node = node;
	pthread_mutex_init(&s->lock, NULL);
	s->v.state = NODE_STARTING;
	s->v.since_ms = clock_wall_ms();
	s->v.heartbeat_boot_ms = -1;
	s->is_new = true;
	take_over(s, before);
	*out = s;
	return ERR_OK;
}

void node_state_free(struct self *s)
{
	if (!s)
		return;
	free(s->databases);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct self_database *find(struct self *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->databases[i].id, id) == 0)
			return &s->databases[i];
	return NULL;
}

static struct self_database *find_or_add(struct self *s, const char *id)
{
	struct self_database *d = find(s, id);
	if (d)
		return d;
	d = realloc(s->databases, (s->n + 1) * sizeof *d);
	if (!d)
		return NULL;
	s->databases = d;
	d = &s->databases[s->n++];
	memset(d, 0, sizeof *d);
	snprintf(d->id, sizeof d->id, "%s", id);
	return d;
}

/* ---- the state ---- */

static void collect(const struct self *s, struct node_facts *f)
{
	const struct conf *conf = &s->node->conf;
	int64_t now = clock_boot_ms();
	*f = (struct node_facts){.is_master = s->v.is_master, .open = s->v.open, .silent_ms = conf->silent_ms,
		.lag_most_ms = conf->lag_ms, .paused = s->paused, .fault = s->fault, .proved = true,
		.was_in_sync = s->v.was_in_sync};
	f->heartbeat_age_ms = s->v.heartbeat_boot_ms < 0 ? -1 : now - s->v.heartbeat_boot_ms;
	if (s->is_new && !s->v.is_master && f->heartbeat_age_ms >= 0 && f->heartbeat_age_ms <= conf->silent_ms)
		f->heartbeat_age_ms = -1; /* it was the process before that heard it */
	for (size_t i = 0; i < s->n; i++) {
		const struct self_database *d = &s->databases[i];
		if (!d->listed)
			continue;
		int64_t since = lag_since(&d->lag);
		bool differs = d->pos.seq > 0 && d->pos.seq == d->told.seq &&
			memcmp(d->pos.hash, d->told.hash, JOURNAL_HASH_LEN) != 0;
		f->ahead |= d->pos.seq > d->head;
		f->diverged |= differs || d->condition == WIRE_DIVERGED || d->condition == WIRE_CORRUPT;
		f->snapshot |= d->condition == WIRE_SNAPSHOT;
		f->proved &= d->lag.proved;
		if (since >= 0 && now - since > f->lag_ms)
			f->lag_ms = now - since;
	}
}

static json_t *figures(const struct self *s)
{
	json_t *all = json_object();
	for (size_t i = 0; i < s->n; i++) {
		const struct self_database *d = &s->databases[i];
		if (d->listed)
			json_object_set_new(all, d->id, json_pack("{s:I, s:I, s:s}", "seq", (json_int_t)d->lag.reached, "head",
				(json_int_t)d->head, "condition", wire_condition_name[d->condition]));
	}
	return all;
}

bool node_state_update(struct self *s)
{
	struct node_facts f;
	char *data = NULL, text[400];
	pthread_mutex_lock(&s->lock);
	enum node_state before = s->v.state;
	collect(s, &f);
	enum node_state now = node_state_judge(&f, before, &s->v.was_in_sync);
	s->v.state = now;
	const char *why = now == NODE_WAITING || now == NODE_ERROR ? s->why : "";
	snprintf(s->v.error, sizeof s->v.error, "%s", why);
	if (now != before) {
		s->v.since_ms = clock_wall_ms();
		/* Whatever was reached before proves nothing after a silence. */
		if (now == NODE_SILENT || now == NODE_JOINING)
			for (size_t i = 0; i < s->n; i++)
				lag_reset(&s->databases[i].lag);
		snprintf(text, sizeof text, "node %s is %s (it was %s)%s%s", s->node->conf.name, node_state_table[now].name,
			node_state_table[before].name, why[0] ? ": " : "", why);
		json_t *o = json_pack("{s:s, s:I, s:I, s:o}", "was", node_state_table[before].name, "heartbeat_age_ms",
			(json_int_t)f.heartbeat_age_ms, "lag_ms", (json_int_t)f.lag_ms, "databases", figures(s));
		data = json_dumps(o, JSON_COMPACT);
		json_decref(o);
	}
	pthread_mutex_unlock(&s->lock);
	if (now == before)
		return false;
	static const char *const level[NODE_STATE_N] = {[NODE_SILENT] = "warn", [NODE_LAGGING] = "warn",
		[NODE_DIVERGED] = "alert", [NODE_ERROR] = "alert", [NODE_WAITING] = "warn"};
	char kind[40];
	snprintf(kind, sizeof kind, "node.%s", node_state_table[now].name);
	node_event(s->node, kind, level[now] ? level[now] : "info", data, "%s", text);
	free(data);
	return true;
}

/* ---- facts ---- */

void node_state_heartbeat(struct self *s, const struct wire_heartbeat *h)
{
	int64_t now = clock_boot_ms();
	pthread_mutex_lock(&s->lock);
	bool same_reign = s->v.master_epoch == h->from.epoch;
	s->is_new = false;
	s->v.heartbeat_boot_ms = now;
	s->paused = h->paused;
	s->v.master_epoch = h->from.epoch;
	memcpy(s->v.master_name, h->from.node, sizeof s->v.master_name);
	memcpy(s->v.master_id, h->from.node_id, sizeof s->v.master_id);
	memcpy(s->v.master_url, h->url, sizeof s->v.master_url);
	memcpy(s->v.master_peer_url, h->peer_url, sizeof s->v.master_peer_url);
	for (size_t i = 0; i < s->n; i++)
		s->databases[i].listed = false;
	for (size_t i = 0; i < h->n; i++) {
		struct self_database *d = find_or_add(s, h->databases[i].id);
		if (!d)
			continue;
		d->listed = true;
		d->told = h->databases[i].pos;
		/* A batch that was faster may have named a newer one. */
		if (!same_reign || d->told.seq > d->head)
			d->head = d->told.seq;
		d->floor = h->databases[i].floor;
		lag_heard(&d->lag, d->told.seq, now);
	}
	for (size_t i = 0; i < s->n;)
		if (s->databases[i].listed)
			i++;
		else
			s->databases[i] = s->databases[--s->n];
	pthread_mutex_unlock(&s->lock);
}

void node_state_head(struct self *s, const char *id, int64_t seq)
{
	pthread_mutex_lock(&s->lock);
	struct self_database *d = find(s, id);
	if (d) {
		if (seq > d->head)
			d->head = seq;
		lag_heard(&d->lag, seq, clock_boot_ms());
	}
	pthread_mutex_unlock(&s->lock);
}

void node_state_reached(struct self *s, const char *id, const struct journal_pos *pos)
{
	pthread_mutex_lock(&s->lock);
	struct self_database *d = find(s, id);
	if (d) {
		d->pos = *pos;
		lag_reached(&d->lag, pos->seq);
	}
	pthread_mutex_unlock(&s->lock);
}

void node_state_condition(struct self *s, const char *id, enum wire_condition condition)
{
	pthread_mutex_lock(&s->lock);
	struct self_database *d = find_or_add(s, id);
	if (d)
		d->condition = condition;
	pthread_mutex_unlock(&s->lock);
}

enum wire_condition node_state_condition_of(struct self *s, const char *id)
{
	pthread_mutex_lock(&s->lock);
	struct self_database *d = find(s, id);
	enum wire_condition condition = d ? d->condition : WIRE_OK;
	pthread_mutex_unlock(&s->lock);
	return condition;
}

int64_t node_state_floor(struct self *s, const char *id)
{
	pthread_mutex_lock(&s->lock);
	struct self_database *d = find(s, id);
	int64_t floor = d ? d->floor : 0;
	pthread_mutex_unlock(&s->lock);
	return floor;
}

void node_state_fault(struct self *s, const char *text)
{
	pthread_mutex_lock(&s->lock);
	s->fault = text != NULL;
	if (text)
		snprintf(s->why, sizeof s->why, "%s", text);
	pthread_mutex_unlock(&s->lock);
}

void node_state_master(struct self *s, bool is_master, bool open, const char *why)
{
	pthread_mutex_lock(&s->lock);
	if (s->v.is_master && !is_master) {
		s->v.heartbeat_boot_ms = -1; /* those were its own */
		s->v.was_in_sync = false;
	}
	s->v.is_master = is_master;
	s->v.open = open;
	if (is_master && !s->fault)
		snprintf(s->why, sizeof s->why, "%s", why ? why : "");
	pthread_mutex_unlock(&s->lock);
}

void node_state_beat(struct self *s)
{
	pthread_mutex_lock(&s->lock);
	s->v.heartbeat_boot_ms = clock_boot_ms();
	pthread_mutex_unlock(&s->lock);
}

/* ---- views ---- */

void node_state_look(struct self *s, struct node_state_view *v)
{
	pthread_mutex_lock(&s->lock);
	*v = s->v;
	pthread_mutex_unlock(&s->lock);
}

json_t *node_state_database(struct self *s, const char *id, const struct journal_pos *pos)
{
	pthread_mutex_lock(&s->lock);
	struct self_database *d = s->v.is_master ? NULL : find(s, id);
	int64_t head = d ? d->head : pos ? pos->seq : -1, since = d ? lag_since(&d->lag) : -1;
	const char *condition = wire_condition_name[d ? d->condition : WIRE_OK];
	pthread_mutex_unlock(&s->lock);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s}", "id", id, "epoch", pos ? json_integer(pos->epoch) : json_null(),
		"seq", pos ? json_integer(pos->seq) : json_null(), "head", head >= 0 ? json_integer(head) : json_null(),
		"behind_since_boot_ms", since >= 0 ? json_integer(since) : json_null(), "condition", condition);
}
