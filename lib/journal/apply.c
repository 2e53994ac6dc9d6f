#include "lib/journal/apply.h"
#include "lib/base/clock.h"

#include <inttypes.h>
#include <string.h>

static bool same_pos(const struct journal_pos *a, const struct journal_pos *b)
{
	return a->seq == b->seq && a->epoch == b->epoch && memcmp(a->hash, b->hash, JOURNAL_HASH_LEN) == 0;
}

/* A row that should be here already. Rows pruned meanwhile cannot be compared;
 * that they led to the rows that follow is what the hash chain proves. */
static enum err_code check_known(struct conn *c, const struct journal_pos *row, struct err *e)
{
	struct journal_pos here;
	if (row->seq == 0 || journal_at(c, row->seq, &here, e) != ERR_OK || here.seq == 0)
		return e->code;
	if (!same_pos(&here, row))
		return err_set(e, ERR_POSITION, "row %" PRId64 " of epoch %" PRId64 " is another one here (epoch %" PRId64 ")",
			row->seq, row->epoch, here.epoch);
	return ERR_OK;
}

/* Whether an error says something of this node rather than of its data. */
static bool is_of_the_node(enum err_code code)
{
	return code == ERR_DISK_FULL || code == ERR_NOMEM || code == ERR_IO || code == ERR_BUSY || code == ERR_CORRUPT;
}

static enum err_code apply_row(struct conn *c, const struct journal_row *row, const json_t *op,
	const struct journal_pos *before, bool *poisoned, struct err *e)
{
	struct op_result r = {0};
	struct journal_row mine = *row;
	if (op && op_run(c, op, row->at_ms, row->seed, 0, false, NULL, &r, e) != ERR_OK) {
		*poisoned = true;
		if (is_of_the_node(e->code))
			return e->code;
		struct err why = *e;
		err_reset(e);
		return err_set(e, ERR_DIVERGED, "operation %" PRId64 " failed here and did not on the master: %.300s",
			row->pos.seq, why.text);
	}
	mine.changes = r.changes;
	journal_chain(before->hash, &mine, r.row_sum, r.schema_sum);
	if (r.changes != row->changes)
		err_set(e, ERR_DIVERGED, "operation %" PRId64 " changed %" PRId64 " rows here and %" PRId64 " on the master",
			row->pos.seq, r.changes, row->changes);
	else if (memcmp(mine.pos.hash, row->pos.hash, JOURNAL_HASH_LEN) != 0)
		err_set(e, ERR_DIVERGED, "operation %" PRId64 " had another effect here than on the master", row->pos.seq);
	if (e->code != ERR_OK) {
		*poisoned = true;
		return e->code;
	}
	return journal_append(c, row, e);
}

enum err_code apply_batch(struct conn *c, const struct writer_batch *batch, struct journal_pos *pos, int64_t *at_ms,
	int64_t *bytes, int64_t *bad_seq, bool *poisoned, struct err *e)
{
	if (batch->prev.seq > pos->seq)
		return err_set(e, ERR_POSITION, "the rows begin after %" PRId64 ", the last one here is %" PRId64,
			batch->prev.seq, pos->seq);
	if (check_known(c, &batch->prev, e) != ERR_OK)
		return e->code;
	int64_t until_us = clock_boot_us() + APPLY_US;
	for (size_t i = 0; i < batch->n && (i == 0 || clock_boot_us() < until_us); i++) {
		const struct journal_row *row = &batch->rows[i];
		if (row->pos.seq <= pos->seq) {
			if (check_known(c, &row->pos, e) != ERR_OK)
				return e->code;
			continue;
		}
		if (row->pos.seq != pos->seq + 1)
			return err_set(e, ERR_POSITION, "row %" PRId64 " does not follow %" PRId64, row->pos.seq, pos->seq);
		if (row->pos.epoch < pos->epoch || row->at_ms < *at_ms)
			return err_set(e, ERR_POSITION, "row %" PRId64 " goes back in epoch or time", row->pos.seq);
		if (apply_row(c, row, batch->ops[i], pos, poisoned, e) != ERR_OK) {
			*bad_seq = row->pos.seq;
			return e->code;
		}
		*pos = row->pos;
		*at_ms = row->at_ms;
		*bytes += (int64_t)row->body_len;
	}
	return ERR_OK;
}
