#include "lib/cluster/pool_table.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/cluster/sender.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A slave is called ready once it is at most this part of lag_ms behind. */
#define CATCH_UP_PART 4

enum err_code pool_new(struct pool **out, struct node *node, struct readers *readers, struct err *e)
{
	struct pool *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;
	if (!p)
		return err_set(e, ERR_NOMEM, "no memory for the pool");
	p->node = node;
	p->readers = readers;
	p->last_change = &p->changes;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->acked, &attr);
	pthread_condattr_destroy(&attr);
	*out = p;
	return ERR_OK;
}

static void free_slave(struct slave *s)
{
	free(s->links);
	free(s);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->slave_n; i++)
		free_slave(p->slaves[i]);
	free(p->slaves);
	free(p->databases);
	pthread_cond_destroy(&p->acked);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- the lock and what is told after it ---- */

void pool_lock(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
}

void pool_unlock(struct pool *p)
{
	struct pool_change *c = p->changes, *next;
	p->changes = NULL;
	p->last_change = &p->changes;
	pthread_mutex_unlock(&p->lock);
	for (; c; c = next) {
		char *data = c->data ? json_dumps(c->data, JSON_COMPACT) : NULL;
		next = c->next;
		node_event(p->node, c->kind, c->level, data, "%s", c->text);
		free(data);
		json_decref(c->data);
		free(c);
	}
}

void pool_note(struct pool *p, const char *kind, const char *level, json_t *data, const char *fmt, ...)
{
	struct pool_change *c = calloc(1, sizeof *c);
	va_list ap;
	if (!c) {
		json_decref(data);
		return;
	}
	snprintf(c->kind, sizeof c->kind, "%s", kind);
	c->level = level;
	c->data = data;
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof c->text, fmt, ap);
	va_end(ap);
	*p->last_change = c;
	p->last_change = &c->next;
}

/* ---- finding ---- */

size_t pool_index(const struct pool *p, const char *id)
{
	size_t low = 0, high = p->database_n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = strcmp(p->databases[mid].id, id);
		if (c == 0)
			return mid;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return SIZE_MAX;
}

struct link *pool_find_link(struct pool *p, struct slave *s, const char *id, struct pool_database **db)
{
	size_t i = pool_index(p, id);
	if (i == SIZE_MAX || s->gone)
		return NULL;
	if (db)
		*db = &p->databases[i];
	return &s->links[i];
}

/* ---- states ---- */

/* How the databases of a slave stand, put together. */
struct sum {
	bool stuck, waits_for_turn, copy, unknown, unproved;
	int64_t lag_ms;
};

static struct sum sum_links(const struct pool *p, const struct slave *s, int64_t now)
{
	struct sum sum = {.lag_ms = 0};
	for (size_t i = 0; i < p->database_n; i++) {
		const struct link *k = &s->links[i];
		int64_t since = lag_since(&k->lag);
		sum.stuck |= k->mode == LINK_STUCK;
		sum.copy |= k->mode == LINK_COPY;
		sum.waits_for_turn |= k->mode == LINK_COPY && k->keep_old && !k->turn;
		sum.unknown |= k->mode == LINK_UNKNOWN;
		sum.unproved |= !k->lag.proved;
		if (since >= 0 && now - since > sum.lag_ms)
			sum.lag_ms = now - since;
	}
	return sum;
}

static enum slave_state judge(const struct pool *p, const struct slave *s)
{
	int64_t now = clock_boot_ms();
	const struct conf *conf = &p->node->conf;
	if (s->paused)
		return SLAVE_PAUSED;
	if (s->incompatible)
		return SLAVE_INCOMPATIBLE;
	if (s->unreachable || (s->answered_boot_ms >= 0 && now - s->answered_boot_ms > conf->silent_ms))
		return SLAVE_DOWN;
	if (!s->connected)
		return s->state == SLAVE_DOWN ? SLAVE_DOWN : SLAVE_CONNECTING;
	struct sum sum = sum_links(p, s, now);
	if (sum.stuck || sum.waits_for_turn)
		return SLAVE_DIVERGED;
	if (sum.copy)
		return SLAVE_SNAPSHOT;
	if (sum.unknown || sum.unproved)
		return SLAVE_SYNCING;
	if (sum.lag_ms <= conf->lag_ms / CATCH_UP_PART)
		return SLAVE_READY;
	return s->state == SLAVE_READY && sum.lag_ms <= conf->lag_ms ? SLAVE_READY : SLAVE_SYNCING;
}

/* Both sides' positions, for an event. */
static json_t *figures(const struct pool *p, const struct slave *s)
{
	json_t *all = json_object();
	for (size_t i = 0; i < p->database_n; i++) {
		const struct pool_database *db = &p->databases[i];
		const struct link *k = &s->links[i];
		json_t *one = json_pack("{s:[I,I]}", "master", (json_int_t)db->head.epoch, (json_int_t)db->head.seq);
		if (k->acked_known)
			json_object_set_new(one, "slave", json_pack("[I,I]", (json_int_t)k->acked.epoch, (json_int_t)k->acked.seq));
		json_object_set_new(all, db->name, one);
	}
	return all;
}

/* The one place where a slave's state changes. */
void pool_update_slave(struct pool *p, struct slave *s)
{
	enum slave_state is = judge(p, s), was = s->state;
	char kind[40];
	if (is == was)
		return;
	s->state = is;
	s->since_ms = clock_wall_ms();
	if (is == SLAVE_READY)
		s->last_error[0] = '\0';
	snprintf(kind, sizeof kind, "slave.%s", slave_state_table[is].name);
	json_t *data = json_pack("{s:s, s:s, s:o}", "slave", s->name, "was", slave_state_table[was].name, "databases",
		figures(p, s));
	pool_note(p, kind, slave_state_table[is].event_level, data, "slave %s is %s (it was %s)%s%s", s->name,
		slave_state_table[is].name, slave_state_table[was].name, s->last_error[0] ? ": " : "", s->last_error);
	if (p->waiters)
		pthread_cond_broadcast(&p->acked);
}

void pool_update(struct pool *p)
{
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++)
		pool_update_slave(p, p->slaves[i]);
	pool_unlock(p);
}

static void wake_sender(struct slave *s)
{
	if (s->sender)
		sender_wake(s->sender);
}

/* ---- keeping in step: databases ---- */

static struct link new_link(const struct pool_database *db)
{
	struct link k = {.mode = LINK_UNKNOWN, .bytes = -1};
	lag_heard(&k.lag, db->head.seq, clock_boot_ms());
	return k;
}

/* Makes room for one more database at index i in every table. */
static bool insert_database(struct pool *p, size_t i, const struct pool_database *db)
{
	struct pool_database *databases = realloc(p->databases, (p->database_n + 1) * sizeof *databases);
	if (!databases)
		return false;
	p->databases = databases;
	for (size_t s = 0; s < p->slave_n; s++) {
		struct link *links = realloc(p->slaves[s]->links, (p->database_n + 1) * sizeof *links);
		if (!links)
			return false;
		p->slaves[s]->links = links;
	}
	size_t after = p->database_n - i;
	memmove(&databases[i + 1], &databases[i], after * sizeof *databases);
	databases[i] = *db;
	for (size_t s = 0; s < p->slave_n; s++) {
		struct link *links = p->slaves[s]->links;
		memmove(&links[i + 1], &links[i], after * sizeof *links);
		links[i] = new_link(db);
	}
	p->database_n++;
	return true;
}

static void remove_database(struct pool *p, size_t i)
{
	size_t after = --p->database_n - i;
	memmove(&p->databases[i], &p->databases[i + 1], after * sizeof *p->databases);
	for (size_t s = 0; s < p->slave_n; s++)
		memmove(&p->slaves[s]->links[i], &p->slaves[s]->links[i + 1], after * sizeof(struct link));
}

/* The entry of db, made when it is new; NULL: no memory. */
static struct pool_database *know_database(struct pool *p, const struct database *db)
{
	size_t i = pool_index(p, db->id);
	if (i != SIZE_MAX)
		return &p->databases[i];
	struct pool_database new = {.bytes = -1};
	memcpy(new.name, db->name, sizeof new.name);
	memcpy(new.id, db->id, sizeof new.id);
	memcpy(new.path, db->path, sizeof new.path);
	for (i = 0; i < p->database_n && strcmp(p->databases[i].id, db->id) < 0;)
		i++;
	return insert_database(p, i, &new) ? &p->databases[i] : NULL;
}

static void note_head(struct pool *p, size_t i, const struct journal_pos *head)
{
	int64_t now = clock_boot_ms();
	p->databases[i].head = *head;
	for (size_t s = 0; s < p->slave_n; s++)
		lag_heard(&p->slaves[s]->links[i].lag, head->seq, now);
}

void pool_refresh_databases(struct pool *p, struct catalog *catalog)
{
	struct database **all;
	size_t n = catalog_all(catalog, &all);
	pool_lock(p);
	for (size_t i = 0; i < p->database_n;) {
		bool there = false;
		for (size_t j = 0; j < n && !there; j++)
			there = strcmp(all[j]->id, p->databases[i].id) == 0;
		if (there)
			i++;
		else
			remove_database(p, i);
	}
	for (size_t j = 0; j < n; j++) {
		struct journal_pos head;
		struct pool_database *db = all[j]->id[0] ? know_database(p, all[j]) : NULL;
		if (!db || !catalog_head(all[j], &head))
			continue;
		if (head.seq > db->head.seq)
			note_head(p, (size_t)(db - p->databases), &head);
	}
	pool_unlock(p);
	for (size_t j = 0; j < n; j++)
		catalog_put(catalog, all[j]);
	free(all);
}
