/* What is pending, in rows, bytes and time, without counting the same rows
 * twice; how far journals may be cut; the pool as JSON. */
#include "lib/cluster/pool_table.h"
#include "lib/base/clock.h"

#include <stdlib.h>
#include <string.h>

/* ---- counting ---- */

/* One count to make: of a link (slave set) or of a whole journal. */
struct count {
	struct slave *slave;
	char id[JOURNAL_ID_LEN], path[PATH_MAX];
	int64_t from, to;
};

static bool find_count(struct pool *p, struct count *c)
{
	for (size_t i = 0; i < p->database_n; i++) {
		struct pool_database *db = &p->databases[i];
		memcpy(c->id, db->id, sizeof c->id);
		memcpy(c->path, db->path, sizeof c->path);
		c->slave = NULL;
		if (db->bytes < 0 && db->head.seq > 0) {
			c->from = 0;
			c->to = db->head.seq;
			db->bytes = 0; /* from now on commits add to it */
			return true;
		}
		for (size_t s = 0; s < p->slave_n; s++) {
			struct link *k = &p->slaves[s]->links[i];
			if (k->bytes >= 0 || k->count_to || !k->acked_known || k->mode == LINK_COPY || k->acked.seq > db->head.seq)
				continue;
			c->slave = p->slaves[s];
			c->from = k->acked.seq;
			c->to = k->count_to = db->head.seq;
			k->count_extra = 0;
			return true;
		}
	}
	return false;
}

static void settle_count(struct pool *p, const struct count *c, int64_t rows, int64_t bytes, bool good)
{
	size_t i = pool_index(p, c->id);
	if (i == SIZE_MAX)
		return;
	if (!c->slave) {
		p->databases[i].bytes = good ? p->databases[i].bytes + bytes : -1;
		return;
	}
	for (size_t s = 0; s < p->slave_n; s++) {
		struct link *k = &p->slaves[s]->links[i];
		if (p->slaves[s] != c->slave || k->count_to != c->to)
			continue;
		/* Rows that are cut already cannot be counted: it stays unknown until the position changes. */
		bool whole = good && rows == c->to - c->from && bytes + k->count_extra >= 0;
		k->bytes = whole ? bytes + k->count_extra : -1;
		k->count_to = whole ? 0 : -1;
	}
}

bool pool_count_some(struct pool *p)
{
	struct count c;
	struct conn *conn;
	struct err e = ERR_INIT;
	int64_t rows = 0, bytes = 0, oldest;
	pool_lock(p);
	bool found = find_count(p, &c);
	pool_unlock(p);
	if (!found)
		return false;
	if (readers_take(p->readers, c.path, &conn, &e) == ERR_OK) {
		journal_pending(conn, c.from, c.to - c.from, &rows, &bytes, &oldest, &e);
		readers_give(p->readers, conn, e.code != ERR_OK);
	}
	pool_lock(p);
	settle_count(p, &c, rows, bytes, e.code == ERR_OK);
	pool_unlock(p);
	return e.code == ERR_OK;
}

/* ---- cutting journals ---- */

int64_t pool_prune_floor(struct pool *p, const char *id, int64_t limit_bytes)
{
	pool_lock(p);
	size_t i = pool_index(p, id);
	int64_t floor = i == SIZE_MAX ? 0 : p->databases[i].head.seq;
	for (size_t s = 0; floor > 0 && s < p->slave_n; s++) {
		struct slave *slave = p->slaves[s];
		struct link *k = &slave->links[i];
		struct pool_database *db = &p->databases[i];
		int64_t bytes = k->bytes >= 0 ? k->bytes : k->acked_known ? 0 : db->bytes;
		if (k->mode == LINK_COPY || (k->mode == LINK_STUCK && bytes > limit_bytes))
			continue; /* rows after a copy are pinned by the shelf */
		if (bytes > limit_bytes) {
			pool_set_copy(k, "queue", false);
			pool_note(p, "slave.queue_limit", "alert", NULL, "slave %s lacks %lld bytes of operations of %s, more than the"
				" limit of %lld: they are dropped, it will get a whole copy", slave->name, (long long)bytes, db->name,
				(long long)limit_bytes);
			pool_update_slave(p, slave);
			continue;
		}
		int64_t has = k->acked_known ? k->acked.seq : 0;
		if (has < floor)
			floor = has;
	}
	pool_unlock(p);
	return floor;
}

void pool_pruned(struct pool *p, const char *id, int64_t floor, int64_t bytes)
{
	pool_lock(p);
	size_t i = pool_index(p, id);
	if (i != SIZE_MAX) {
		struct pool_database *db = &p->databases[i];
		if (floor > db->floor)
			db->floor = floor;
		if (db->bytes >= 0)
			db->bytes = db->bytes > bytes ? db->bytes - bytes : 0;
	}
	pool_unlock(p);
}

int64_t pool_journal_bytes(struct pool *p, const char *id)
{
	pool_lock(p);
	size_t i = pool_index(p, id);
	int64_t bytes = i == SIZE_MAX ? -1 : p->databases[i].bytes;
	pool_unlock(p);
	return bytes;
}

/* ---- the pool as JSON ---- */

/* The row that a slave lacks first, whose age has to be looked up. */
struct look_up {
	char slave[WIRE_NAME_LEN], id[JOURNAL_ID_LEN], path[PATH_MAX];
	int64_t seq, at_ms;
};

static size_t find_look_ups(struct pool *p, struct look_up **out)
{
	size_t n = 0;
	*out = NULL;
	for (size_t s = 0; s < p->slave_n; s++)
		for (size_t i = 0; i < p->database_n; i++) {
			struct link *k = &p->slaves[s]->links[i];
			const struct pool_database *db = &p->databases[i];
			if (!k->acked_known || k->acked.seq >= db->head.seq || k->oldest_seq == k->acked.seq + 1)
				continue;
			struct look_up *more = realloc(*out, (n + 1) * sizeof *more);
			if (!more)
				return n;
			*out = more;
			memcpy(more[n].slave, p->slaves[s]->name, sizeof more[n].slave);
			memcpy(more[n].id, db->id, sizeof more[n].id);
			memcpy(more[n].path, db->path, sizeof more[n].path);
			more[n++].seq = k->acked.seq + 1;
		}
	return n;
}

static int64_t row_at_ms(struct pool *p, const struct look_up *l)
{
	struct conn *c;
	struct err e = ERR_INIT;
	int64_t rows, bytes, at_ms = 0;
	if (readers_take(p->readers, l->path, &c, &e) != ERR_OK)
		return 0;
	journal_pending(c, l->seq - 1, 1, &rows, &bytes, &at_ms, &e);
	readers_give(p->readers, c, e.code != ERR_OK);
	return at_ms;
}

static void find_oldest(struct pool *p)
{
	struct look_up *list;
	pool_lock(p);
	size_t n = find_look_ups(p, &list);
	pool_unlock(p);
	for (size_t j = 0; j < n; j++)
		list[j].at_ms = row_at_ms(p, &list[j]);
	pool_lock(p);
	for (size_t j = 0; j < n; j++) {
		size_t i = pool_index(p, list[j].id);
		for (size_t s = 0; i != SIZE_MAX && list[j].at_ms && s < p->slave_n; s++)
			if (strcmp(p->slaves[s]->name, list[j].slave) == 0) {
				p->slaves[s]->links[i].oldest_seq = list[j].seq;
				p->slaves[s]->links[i].oldest_at_ms = list[j].at_ms;
			}
	}
	pool_unlock(p);
	free(list);
}

/* A JSON integer, null when it is not known. */
static json_t *known(bool is, int64_t v)
{
	return is ? json_integer(v) : json_null();
}

static json_t *link_json(const struct pool_database *db, const struct link *k, int64_t pending)
{
	static const char *const modes[LINK_MODE_N] = {"unknown", "rows", "copy", "stuck"};
	bool has = k->acked_known;
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:s}", "epoch", known(has, k->acked.epoch), "seq",
		known(has, k->acked.seq), "lag", known(has, pending), "bytes", known(k->bytes >= 0, k->bytes), "mode",
		modes[k->mode], "id", db->id);
}

static json_t *slave_json(const struct pool *p, const struct slave *s)
{
	int64_t operations = 0, bytes = 0, oldest = 0;
	bool operations_known = true, bytes_known = true, oldest_known = true;
	char since[CLOCK_ISO_LEN];
	json_t *databases = json_object();
	for (size_t i = 0; i < p->database_n; i++) {
		const struct pool_database *db = &p->databases[i];
		const struct link *k = &s->links[i];
		int64_t pending = k->acked_known && db->head.seq > k->acked.seq ? db->head.seq - k->acked.seq : 0;
		operations += pending;
		operations_known &= k->acked_known;
		bytes += k->bytes;
		bytes_known &= k->bytes >= 0 && k->acked_known;
		if (pending > 0 && k->oldest_at_ms > 0 && (oldest == 0 || k->oldest_at_ms < oldest))
			oldest = k->oldest_at_ms;
		oldest_known &= pending == 0 || k->oldest_at_ms > 0;
		json_object_set_new(databases, db->name, link_json(db, k, pending));
	}
	clock_iso(s->since_ms, since);
	json_t *pending = json_pack("{s:o, s:o, s:o}", "operations", known(operations_known, operations), "bytes",
		known(bytes_known, bytes), "oldest_at_ms", known(oldest_known && operations_known && oldest > 0, oldest));
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "name", s->name, "url", s->url, "peer_url",
		s->peer_url, "state", slave_state_table[s->state].name, "since", since, "last_error",
		s->last_error[0] ? json_string(s->last_error) : json_null(), "pending", pending, "databases", databases);
	bool heard = s->answered_boot_ms >= 0;
	json_object_set_new(o, "paused", json_boolean(s->paused));
	json_object_set_new(o, "answered_boot_ms", known(heard, s->answered_boot_ms));
	json_object_set_new(o, "node_state", heard && s->node_state[0] ? json_string(s->node_state) : json_null());
	json_object_set_new(o, "sqlite", heard && s->sqlite[0] ? json_string(s->sqlite) : json_null());
	json_object_set_new(o, "machine", heard && s->machine[0] ? json_string(s->machine) : json_null());
	return o;
}

json_t *pool_json(struct pool *p)
{
	find_oldest(p);
	json_t *all = json_array();
	pool_lock(p);
	for (size_t i = 0; i < p->slave_n; i++)
		json_array_append_new(all, slave_json(p, p->slaves[i]));
	pool_unlock(p);
	return all;
}

/* ---- positions over a restart ---- */

/* {"n2":{"<database id>":[epoch,seq], …}, …} */
json_t *pool_positions(struct pool *p)
{
	json_t *all = json_object();
	pool_lock(p);
	for (size_t s = 0; s < p->slave_n; s++) {
		json_t *one = json_object();
		for (size_t i = 0; i < p->database_n; i++) {
			const struct link *k = &p->slaves[s]->links[i];
			if (k->acked_known)
				json_object_set_new(one, p->databases[i].id,
					json_pack("[I,I]", (json_int_t)k->acked.epoch, (json_int_t)k->acked.seq));
		}
		json_object_set_new(all, p->slaves[s]->name, one);
	}
	pool_unlock(p);
	return all;
}

void pool_recall(struct pool *p, const json_t *positions)
{
	pool_lock(p);
	for (size_t s = 0; s < p->slave_n; s++)
		for (size_t i = 0; i < p->database_n; i++) {
			struct link *k = &p->slaves[s]->links[i];
			json_int_t epoch, seq;
			json_t *pos = json_object_get(json_object_get(positions, p->slaves[s]->name), p->databases[i].id);
			if (!pos || k->acked_known || json_unpack(pos, "[I,I]", &epoch, &seq) != 0 || seq > p->databases[i].head.seq)
				continue;
			k->acked = (struct journal_pos){epoch, seq, {0}};
			k->acked_known = true;
		}
	pool_unlock(p);
}
