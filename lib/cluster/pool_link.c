/* What senders and the heartbeat learn of slaves. */
#include "lib/cluster/pool_table.h"
#include "lib/base/clock.h"
#include "lib/cluster/sender.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- work for senders ---- */

static void fill_work(const struct pool *p, size_t i, const struct link *k, struct pool_work *w)
{
	const struct pool_database *db = &p->databases[i];
	memcpy(w->name, db->name, sizeof w->name);
	memcpy(w->id, db->id, sizeof w->id);
	memcpy(w->path, db->path, sizeof w->path);
	memcpy(w->reason, k->reason, sizeof w->reason);
	w->head = db->head;
	w->floor = db->floor;
	w->mode = k->mode;
	w->acked = k->acked;
	w->bad_seq = k->bad_seq;
	w->keep_old = k->keep_old;
	w->turn = k->turn;
}

/* A copy that replaces other content has to wait until no other such copy is
 * under way: whatever made slaves differ must not take all of them at once. */
static bool take_turn(struct pool *p, struct link *mine)
{
	if (!mine->keep_old || mine->turn)
		return true;
	for (size_t s = 0; s < p->slave_n; s++)
		for (size_t i = 0; i < p->database_n; i++)
			if (p->slaves[s]->links[i].turn)
				return false;
	mine->turn = true;
	return true;
}

bool pool_work(struct pool *p, struct slave *s, size_t *cursor, struct pool_work *w)
{
	bool found = false;
	pool_lock(p);
	for (; !s->gone && *cursor < p->database_n && !found; ++*cursor) {
		struct link *k = &s->links[*cursor];
		const struct journal_pos *head = &p->databases[*cursor].head;
		found = k->mode == LINK_UNKNOWN || (k->mode == LINK_ROWS && k->acked.seq < head->seq) ||
			(k->mode == LINK_COPY && take_turn(p, k));
		if (found)
			fill_work(p, *cursor, k, w);
	}
	if (found)
		pool_update_slave(p, s);
	pool_unlock(p);
	return found;
}

bool pool_link(struct pool *p, struct slave *s, const char *id, struct pool_work *w)
{
	pool_lock(p);
	struct link *k = pool_find_link(p, s, id, NULL);
	if (k)
		fill_work(p, (size_t)(k - s->links), k, w);
	pool_unlock(p);
	return k != NULL;
}

/* ---- facts ---- */

bool pool_address(struct pool *p, struct slave *s, char peer_url[WIRE_URL_LEN], bool *paused, bool *connected)
{
	pool_lock(p);
	memcpy(peer_url, s->peer_url, WIRE_URL_LEN);
	*paused = s->paused;
	*connected = s->connected;
	bool there = !s->gone;
	pool_unlock(p);
	return there;
}

static void complain(struct slave *s, const char *why)
{
	snprintf(s->last_error, sizeof s->last_error, "%s", why);
}

/* Turns held by a slave that went away are free for others. */
static void drop_turns(struct pool *p, struct slave *s)
{
	for (size_t i = 0; i < p->database_n; i++)
		s->links[i].turn = false;
}

void pool_connected(struct pool *p, struct slave *s)
{
	pool_lock(p);
	int64_t now = clock_boot_ms();
	s->connected = true;
	s->unreachable = s->incompatible = false;
	s->answered_boot_ms = now;
	for (size_t i = 0; !s->gone && i < p->database_n; i++) {
		lag_reset(&s->links[i].lag);
		lag_heard(&s->links[i].lag, p->databases[i].head.seq, now);
	}
	if (!s->gone)
		pool_update_slave(p, s);
	pool_unlock(p);
}

void pool_failed(struct pool *p, struct slave *s, const char *why)
{
	pool_lock(p);
	s->connected = false;
	s->unreachable = true;
	complain(s, why);
	if (!s->gone) {
		drop_turns(p, s);
		pool_update_slave(p, s);
	}
	pool_unlock(p);
}

static void set_incompatible(struct pool *p, struct slave *s, const char *why)
{
	s->connected = false;
	s->incompatible = true;
	s->answered_boot_ms = clock_boot_ms();
	complain(s, why);
	if (!s->gone) {
		drop_turns(p, s);
		pool_update_slave(p, s);
	}
}

void pool_incompatible(struct pool *p, struct slave *s, const char *why)
{
	pool_lock(p);
	set_incompatible(p, s, why);
	pool_unlock(p);
}

void pool_refuses(struct pool *p, const char *slave, const char *why)
{
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++)
		if (strcmp(p->slaves[i]->name, slave) == 0)
			set_incompatible(p, p->slaves[i], why);
	pool_unlock(p);
}

void pool_complains(struct pool *p, struct slave *s, const char *why)
{
	pool_lock(p);
	s->answered_boot_ms = clock_boot_ms();
	complain(s, why);
	pool_unlock(p);
}

/* What is pending shrinks by what was acknowledged, so that nothing is ever
 * counted twice; only a position of unknown distance makes a new count. */
static void account(struct link *k, const struct journal_pos *pos, int64_t batch_bytes, int64_t head)
{
	if (pos->seq == head)
		k->bytes = k->count_to = 0;
	else if (k->acked_known && pos->seq == k->acked.seq)
		return;
	else if (!k->acked_known || batch_bytes < 0)
		k->bytes = -1, k->count_to = 0;
	else if (k->bytes >= batch_bytes)
		k->bytes -= batch_bytes;
	else if (k->bytes >= 0)
		k->bytes = -1, k->count_to = 0;
	else
		k->count_extra -= batch_bytes;
}

void pool_acked(struct pool *p, struct slave *s, const char *id, const struct journal_pos *pos, int64_t batch_bytes)
{
	struct pool_database *db;
	pool_lock(p);
	s->answered_boot_ms = clock_boot_ms();
	struct link *k = pool_find_link(p, s, id, &db);
	if (k) {
		account(k, pos, k->mode == LINK_ROWS ? batch_bytes : -1, db->head.seq);
		k->mode = LINK_ROWS;
		k->acked = *pos;
		k->acked_known = true;
		k->keep_old = k->turn = false;
		k->bad_seq = 0;
		k->reason[0] = '\0';
		lag_reached(&k->lag, pos->seq);
		if (s->state != SLAVE_READY)
			pool_update_slave(p, s);
		if (p->waiters)
			pthread_cond_broadcast(&p->acked);
	}
	pool_unlock(p);
}

void pool_set_copy(struct link *k, const char *reason, bool keep_old)
{
	k->mode = LINK_COPY;
	k->keep_old = keep_old;
	k->turn = false;
	snprintf(k->reason, sizeof k->reason, "%s", reason);
}

void pool_needs_copy(struct pool *p, struct slave *s, const char *id, const char *reason, bool keep_old)
{
	struct pool_database *db;
	pool_lock(p);
	struct link *k = pool_find_link(p, s, id, &db);
	if (k && (k->mode != LINK_COPY || strcmp(k->reason, reason) != 0)) {
		pool_set_copy(k, reason, keep_old);
		pool_note(p, "slave.copy", keep_old ? "warn" : "info", NULL,
			"slave %s needs a whole copy of %s (%s): it has %" PRId64 ", the master %" PRId64, s->name, db->name, reason,
			k->acked.seq, db->head.seq);
		pool_update_slave(p, s);
	}
	pool_unlock(p);
}

void pool_link_unknown(struct pool *p, struct slave *s, const char *id)
{
	pool_lock(p);
	struct link *k = pool_find_link(p, s, id, NULL);
	if (k) {
		k->mode = LINK_UNKNOWN;
		k->turn = false;
	}
	pool_unlock(p);
}

void pool_stuck(struct pool *p, struct slave *s, const char *id, const struct journal_pos *at, const char *why)
{
	struct pool_database *db;
	pool_lock(p);
	struct link *k = pool_find_link(p, s, id, &db);
	if (k && k->mode != LINK_STUCK) {
		k->mode = LINK_STUCK;
		k->turn = false;
		k->acked = *at;
		k->acked_known = true;
		k->bytes = -1;
		k->count_to = 0;
		complain(s, why);
		pool_note(p, "slave.stuck", "alert", NULL, "slave %s, database %s: %s", s->name, db->name, why);
		pool_update_slave(p, s);
	}
	pool_unlock(p);
}

/* Whoever diverged there first and still waits for its copy does not get one either. */
static void stop_waiting(struct pool *p, const struct pool_database *db, int64_t bad_seq)
{
	for (size_t i = 0; i < p->slave_n; i++) {
		struct link *k = &p->slaves[i]->links[db - p->databases];
		if (k->mode == LINK_COPY && k->bad_seq == bad_seq && !k->turn)
			k->mode = LINK_STUCK;
	}
}

void pool_diverged(struct pool *p, struct slave *s, const char *id, int64_t bad_seq, const char *reason,
	const char *why)
{
	struct pool_database *db;
	char text[400];
	pool_lock(p);
	struct link *k = pool_find_link(p, s, id, &db);
	if (!k || (k->mode == LINK_COPY && k->keep_old && k->bad_seq == bad_seq)) {
		pool_unlock(p);
		return;
	}
	complain(s, why);
	k->bad_seq = bad_seq;
	bool again = bad_seq && db->first_bad_seq == bad_seq && strcmp(db->first_diverged, s->name) != 0;
	json_t *data = json_pack("{s:s, s:s, s:I, s:[I,I], s:I, s:s}", "slave", s->name, "database", db->name, "bad_seq",
		(json_int_t)bad_seq, "master", (json_int_t)db->head.epoch, (json_int_t)db->head.seq, "slave_seq",
		(json_int_t)k->acked.seq, "reason", reason);
	if (again) {
		snprintf(text, sizeof text, "%s diverged at row %" PRId64 " as %s did: the statement has another effect on each node."
			" It is not repaired by itself; see reseed", s->name, bad_seq, db->first_diverged);
		k->mode = LINK_STUCK;
		k->turn = false;
		stop_waiting(p, db, bad_seq);
		pool_note(p, "slave.diverged_again", "alert", data, "database %s: %s", db->name, text);
	} else {
		snprintf(db->first_diverged, sizeof db->first_diverged, "%s", s->name);
		db->first_bad_seq = bad_seq;
		pool_set_copy(k, reason, true);
		pool_note(p, "slave.differs", "alert", data, "slave %s, database %s: %.300s", s->name, db->name, why);
	}
	pool_update_slave(p, s);
	pool_unlock(p);
}

bool pool_copy_all(struct pool *p, const char *slave)
{
	bool found = false;
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++) {
		struct slave *s = p->slaves[i];
		if (strcmp(s->name, slave) != 0)
			continue;
		found = true;
		for (size_t d = 0; d < p->database_n; d++)
			pool_set_copy(&s->links[d], "asked", true);
		pool_note(p, "slave.reseed", "info", NULL, "slave %s gets whole new copies, as asked", s->name);
		pool_update_slave(p, s);
		if (s->sender)
			sender_wake(s->sender);
	}
	pool_unlock(p);
	return found;
}

/* ---- the heartbeat ---- */

size_t pool_targets(struct pool *p, struct pool_target **out)
{
	pool_lock(p);
	size_t n = 0;
	struct pool_target *list = *out = calloc(p->slave_n + 1, sizeof *list);
	for (size_t i = 0; list && i < p->slave_n; i++) {
		const struct slave *s = p->slaves[i];
		for (size_t d = 0; d < p->database_n; d++)
			s->links[d].beat_seq = s->links[d].mode == LINK_ROWS ? s->links[d].acked.seq : 0;
		memcpy(list[n].name, s->name, sizeof s->name);
		memcpy(list[n].peer_url, s->peer_url, sizeof s->peer_url);
		list[n++].paused = s->paused;
	}
	pool_unlock(p);
	return n;
}

size_t pool_heads(struct pool *p, struct wire_database **out)
{
	pool_lock(p);
	size_t n = 0;
	struct wire_database *list = *out = calloc(p->database_n + 1, sizeof *list);
	for (size_t i = 0; list && i < p->database_n; i++) {
		const struct pool_database *db = &p->databases[i];
		memcpy(list[n].name, db->name, sizeof db->name);
		memcpy(list[n].id, db->id, sizeof db->id);
		list[n].has_pos = true;
		list[n].pos = db->head;
		list[n++].floor = db->floor;
	}
	pool_unlock(p);
	return n;
}

/* Whether what a slave says of a database contradicts what it had
 * acknowledged, or what the master has. */
static bool contradicts(const struct link *k, const struct pool_database *db, const struct wire_reply *r)
{
	if (k->mode != LINK_ROWS || k->beat_seq == 0)
		return false;
	for (size_t i = 0; i < r->n; i++) {
		const struct wire_database *d = &r->databases[i];
		if (strcmp(d->id, db->id) != 0)
			continue;
		if (!d->has_pos || (d->condition != WIRE_OK && d->condition != WIRE_SNAPSHOT))
			return true;
		return d->pos.seq < k->beat_seq || d->pos.seq > db->head.seq ||
			(d->pos.seq == k->acked.seq && memcmp(d->pos.hash, k->acked.hash, JOURNAL_HASH_LEN) != 0);
	}
	return true;
}

void pool_answered(struct pool *p, const char *slave, const struct wire_reply *r)
{
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++) {
		struct slave *s = p->slaves[i];
		if (strcmp(s->name, slave) != 0)
			continue;
		s->answered_boot_ms = clock_boot_ms();
		if (s->beat_missed && s->state == SLAVE_READY)
			s->last_error[0] = '\0';
		s->beat_missed = false;
		if (s->unreachable && !s->connected && s->sender)
			sender_again(s->sender);
		memcpy(s->node_id, r->node_id, sizeof s->node_id);
		memcpy(s->node_state, r->state, sizeof s->node_state);
		memcpy(s->sqlite, r->sqlite, sizeof s->sqlite);
		memcpy(s->machine, r->machine, sizeof s->machine);
		for (size_t d = 0; d < p->database_n && r->code == ERR_OK; d++)
			if (contradicts(&s->links[d], &p->databases[d], r)) {
				s->links[d].mode = LINK_UNKNOWN;
				if (s->sender)
					sender_wake(s->sender);
			}
	}
	pool_unlock(p);
}

/* With nothing to send, a heartbeat is the only thing that meets a slave's
 * failure. What the sender said before says more, and stays. */
void pool_unanswered(struct pool *p, const char *slave, const char *why)
{
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++) {
		struct slave *s = p->slaves[i];
		if (strcmp(s->name, slave) != 0 || s->last_error[0])
			continue;
		char text[sizeof s->last_error];
		snprintf(text, sizeof text, "heartbeat: %s", why);
		complain(s, text);
		s->beat_missed = true;
	}
	pool_unlock(p);
}

/* ---- waiting ---- */

static bool has(const struct pool *p, const struct slave *s, size_t i, const struct journal_pos *pos)
{
	const struct link *k = &s->links[i];
	(void)p;
	return k->mode == LINK_ROWS && k->acked_known && k->acked.seq >= pos->seq && k->acked.epoch >= pos->epoch;
}

static int count_acked(const struct pool *p, const char *id, const struct journal_pos *pos)
{
	int n = 0;
	size_t i = pool_index(p, id);
	for (size_t s = 0; i != SIZE_MAX && s < p->slave_n; s++)
		n += has(p, p->slaves[s], i, pos);
	return n;
}

int pool_wait_acked(struct pool *p, const char *id, const struct journal_pos *pos, int n, int64_t timeout_ms)
{
	struct timespec until = clock_deadline(timeout_ms);
	int acked, rc = 0;
	pool_lock(p);
	p->waiters++;
	while ((acked = count_acked(p, id, pos)) < n && !p->draining && rc == 0)
		rc = pthread_cond_timedwait(&p->acked, &p->lock, &until);
	p->waiters--;
	pool_unlock(p);
	return acked;
}

int pool_in_sync(struct pool *p)
{
	int n = 0;
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++)
		n += p->slaves[i]->state == SLAVE_READY;
	pool_unlock(p);
	return n;
}

void pool_drain(struct pool *p)
{
	pool_lock(p);
	p->draining = true;
	pthread_cond_broadcast(&p->acked);
	pool_unlock(p);
}
