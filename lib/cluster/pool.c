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

enum err_code pool_new(struct pool **out, struct node *node, struct readers *readers, void (*changed)(void *arg),
	void *arg, struct err *e)
{
	struct pool *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;
	if (!p)
		return err_set(e, ERR_NOMEM, "no memory for the pool");
	p->node = node;
	p->readers = readers;
	p->changed = changed;
	p->arg = arg;
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
	bool any = c != NULL;
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
	if (any)
		p->changed(p->arg);
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
	/* A database that was just created makes nobody unready. */
	if (s->state == SLAVE_READY && sum.lag_ms <= conf->lag_ms)
		return SLAVE_READY;
	bool caught_up = !sum.unknown && !sum.unproved && sum.lag_ms <= conf->lag_ms / CATCH_UP_PART;
	return caught_up ? SLAVE_READY : SLAVE_SYNCING;
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
		struct writer *w = all[j]->writer;
		if (!db || !w)
			continue;
		writer_head(w, &head);
		if (head.seq > db->head.seq)
			note_head(p, (size_t)(db - p->databases), &head);
	}
	pool_unlock(p);
	for (size_t j = 0; j < n; j++)
		catalog_put(catalog, all[j]);
	free(all);
}

void pool_committed(struct pool *p, const struct database *db, const struct journal_pos *head, int64_t row_bytes)
{
	pool_lock(p);
	size_t i = pool_index(p, db->id);
	if (i == SIZE_MAX && know_database(p, db))
		i = pool_index(p, db->id);
	if (i != SIZE_MAX && head->seq > p->databases[i].head.seq) {
		struct pool_database *d = &p->databases[i];
		if (d->bytes >= 0)
			d->bytes += row_bytes;
		note_head(p, i, head);
		for (size_t s = 0; s < p->slave_n; s++) {
			struct link *k = &p->slaves[s]->links[i];
			if (k->bytes >= 0)
				k->bytes += row_bytes;
			else
				k->count_extra += row_bytes;
			wake_sender(p->slaves[s]);
		}
	}
	pool_unlock(p);
}

/* ---- keeping in step: slaves ---- */

static struct slave *find_slave(struct pool *p, const char *name)
{
	for (size_t i = 0; i < p->slave_n; i++)
		if (strcmp(p->slaves[i]->name, name) == 0)
			return p->slaves[i];
	return NULL;
}

static struct slave *add_slave(struct pool *p, const struct slave *like)
{
	struct slave **slaves = realloc(p->slaves, (p->slave_n + 1) * sizeof(struct slave *));
	struct slave *s = slaves ? calloc(1, sizeof *s) : NULL;
	if (slaves)
		p->slaves = slaves;
	if (!s || !(s->links = calloc(p->database_n + 1, sizeof *s->links))) {
		free(s);
		return NULL;
	}
	memcpy(s->name, like->name, sizeof s->name);
	s->answered_boot_ms = -1;
	s->since_ms = clock_wall_ms();
	s->state = SLAVE_CONNECTING;
	for (size_t i = 0; i < p->database_n; i++)
		s->links[i] = new_link(&p->databases[i]);
	p->slaves[p->slave_n++] = s;
	pool_note(p, "slave.added", "info", NULL, "slave %s at %s is in the pool", like->name, like->url);
	return s;
}

/* What _ddb says of one node; a new address makes the sender connect anew. */
static void settle_slave(struct pool *p, const struct slave *row)
{
	struct slave *s = find_slave(p, row->name);
	if (!s)
		s = add_slave(p, row);
	if (!s)
		return;
	if (strcmp(s->peer_url, row->peer_url) != 0)
		s->connected = s->incompatible = false;
	memcpy(s->url, row->url, sizeof s->url);
	memcpy(s->peer_url, row->peer_url, sizeof s->peer_url);
	s->paused = row->paused;
	pool_update_slave(p, s);
	wake_sender(s);
}

/* The nodes of _ddb but this one; caller frees. */
static size_t read_nodes(struct pool *p, const char *path, struct slave **out, struct err *e)
{
	static const char sql[] = "SELECT name, url, peer_url, paused FROM nodes ORDER BY name";
	struct conn *c;
	sqlite3_stmt *stmt;
	unsigned traits;
	size_t n = 0;
	*out = NULL;
	if (readers_take(p->readers, path, &c, e) != ERR_OK)
		return 0;
	if (conn_prepare(c, sql, sizeof sql - 1, &stmt, &traits, NULL, e) == ERR_OK) {
		int rc;
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
			const char *name = (const char *)sqlite3_column_text(stmt, 0);
			struct slave *list = strcmp(name, p->node->conf.name) == 0 ? NULL : realloc(*out, (n + 1) * sizeof *list);
			if (!list)
				continue;
			*out = list;
			memset(&list[n], 0, sizeof *list);
			snprintf(list[n].name, sizeof list[n].name, "%s", name);
			snprintf(list[n].url, sizeof list[n].url, "%s", (const char *)sqlite3_column_text(stmt, 1));
			snprintf(list[n].peer_url, sizeof list[n].peer_url, "%s", (const char *)sqlite3_column_text(stmt, 2));
			list[n++].paused = sqlite3_column_int(stmt, 3) != 0;
		}
		if (rc != SQLITE_DONE)
			conn_error(c, rc, e);
		conn_release(c, stmt);
	}
	readers_give(p->readers, c, e->code != ERR_OK);
	return n;
}

enum err_code pool_refresh_slaves(struct pool *p, const char *system_path, void (*retire)(void *arg, struct slave *s),
	void *arg, struct err *e)
{
	struct slave *rows, **gone = NULL;
	size_t n = read_nodes(p, system_path, &rows, e), gone_n = 0;
	if (e->code == ERR_OK) {
		pool_lock(p);
		gone = calloc(p->slave_n + 1, sizeof(struct slave *));
		for (size_t i = 0; gone && i < p->slave_n;) {
			bool there = false;
			for (size_t j = 0; j < n && !there; j++)
				there = strcmp(rows[j].name, p->slaves[i]->name) == 0;
			if (there) {
				i++;
				continue;
			}
			pool_note(p, "slave.removed", "info", NULL, "slave %s is no longer in the pool", p->slaves[i]->name);
			p->slaves[i]->gone = true;
			gone[gone_n++] = p->slaves[i];
			memmove(&p->slaves[i], &p->slaves[i + 1], (--p->slave_n - i) * sizeof(struct slave *));
		}
		for (size_t j = 0; j < n; j++)
			settle_slave(p, &rows[j]);
		pool_unlock(p);
	}
	for (size_t i = 0; i < gone_n; i++) {
		retire(arg, gone[i]);
		free_slave(gone[i]);
	}
	free(gone);
	free(rows);
	return e->code;
}

void pool_each_slave(struct pool *p, void (*each)(void *arg, struct slave *s), void *arg)
{
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++)
		each(arg, p->slaves[i]);
	pool_unlock(p);
}

void pool_forget(struct pool *p)
{
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++) {
		struct slave *s = p->slaves[i];
		s->connected = s->unreachable = s->incompatible = false;
		s->answered_boot_ms = -1;
		s->state = SLAVE_CONNECTING;
		for (size_t d = 0; d < p->database_n; d++)
			s->links[d] = new_link(&p->databases[d]);
	}
	pool_unlock(p);
}
