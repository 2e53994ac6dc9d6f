#include "lib/cluster/plan.h"

#include <inttypes.h>
#include <string.h>

/* A slave without a file gets the rows from the first on when there are at
 * most so many, else a whole copy. */
#define REPLAY_ROWS 10000

void plan_complain(const struct sender_env *env, struct slave *slave, const struct err *e)
{
	/* A file that is gone was dropped a moment ago: nobody needs to hear of it. */
	if (e->code != ERR_DATABASE_UNKNOWN)
		pool_complains(env->pool, slave, e->text);
}

bool plan_same(const struct journal_pos *a, const struct journal_pos *b)
{
	return a->seq == b->seq && a->epoch == b->epoch && memcmp(a->hash, b->hash, JOURNAL_HASH_LEN) == 0;
}

/* What this node's journal says of a slave's position. */
struct history {
	struct journal_pos head, at;   /* at.seq 0: that row is not here */
	int64_t floor, floor_epoch;
};

static enum err_code look_up(const struct sender_env *env, const char *path, int64_t seq, struct history *h,
	struct err *e)
{
	struct conn *c;
	struct journal_pos floor = {0};
	memset(h, 0, sizeof *h);
	if (readers_take(env->readers, path, &c, e) != ERR_OK)
		return e->code;
	if (journal_head(c, &h->head, e) == ERR_OK && journal_floor(c, &h->floor, e) == ERR_OK &&
		journal_at(c, h->floor, &floor, e) == ERR_OK)
		journal_at(c, seq, &h->at, e);
	h->floor_epoch = floor.epoch;
	readers_give(env->readers, c, e->code != ERR_OK);
	return e->code;
}

/* Continues after pos where that is possible. */
static bool plan_from(const struct sender_env *env, struct slave *slave, const struct pool_work *w,
	const struct journal_pos *pos)
{
	struct pool *p = env->pool;
	struct history h;
	struct err e = ERR_INIT;
	if (look_up(env, w->path, pos->seq, &h, &e) != ERR_OK) {
		plan_complain(env, slave, &e);
		return false;
	}
	if (pos->seq > h.head.seq && pos->epoch >= h.head.epoch) {
		char why[240];
		snprintf(why, sizeof why, "it is ahead of the master in the master's own epoch %" PRId64 ": it has row %" PRId64
			", the master's last is %" PRId64 "; the master has lost rows. Nothing is sent to it; see reseed",
			h.head.epoch, pos->seq, h.head.seq);
		pool_stuck(p, slave, w->id, pos, why);
	} else if (pos->seq == 0) {
		if (h.floor <= 1 && h.head.seq <= REPLAY_ROWS)
			pool_acked(p, slave, w->id, pos, -1);
		else
			pool_needs_copy(p, slave, w->id, "new", false);
	} else if (h.at.seq && plan_same(&h.at, pos)) {
		pool_acked(p, slave, w->id, pos, -1);
	} else if (h.at.seq == 0 && pos->seq < h.floor) {
		/* Within one epoch there is one writer: what the slave has is the beginning of it. */
		pool_needs_copy(p, slave, w->id, "pruned", pos->epoch != h.floor_epoch);
	} else {
		pool_needs_copy(p, slave, w->id, "history", true);
	}
	return true;
}

bool plan_link(const struct sender_env *env, struct slave *slave, const struct pool_work *w,
	enum wire_condition condition, const struct journal_pos *pos)
{
	static const struct journal_pos nothing;
	if (w->mode == LINK_STUCK && pos && plan_same(pos, &w->acked))
		return true; /* nothing has changed since */
	if (w->mode == LINK_COPY && strcmp(w->reason, "asked") == 0)
		return true; /* wherever it stands */
	if (condition == WIRE_SNAPSHOT)
		pool_needs_copy(env->pool, slave, w->id, "resumed", true);
	else if (condition == WIRE_DIVERGED || condition == WIRE_CORRUPT)
		pool_diverged(env->pool, slave, w->id, 0, wire_condition_name[condition],
			condition == WIRE_CORRUPT ? "its file is damaged" : "its content differs");
	else
		return plan_from(env, slave, w, pos ? pos : &nothing);
	return true;
}
