#include "lib/cluster/surplus.h"
#include "lib/cluster/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One row of NDJSON: a row of the journal at the most, with its figures. */
#define LINE_MAX_BYTES ((size_t)20 << 20)

static enum err_code same_at(struct conn *mine, struct conn *theirs, int64_t seq, bool *same, struct err *e)
{
	struct journal_pos a, b;
	if (journal_at(mine, seq, &a, e) != ERR_OK || journal_at(theirs, seq, &b, e) != ERR_OK)
		return e->code;
	*same = a.seq == seq && b.seq == seq && a.epoch == b.epoch && memcmp(a.hash, b.hash, JOURNAL_HASH_LEN) == 0;
	return ERR_OK;
}

enum err_code surplus_common(struct conn *mine, struct conn *theirs, int64_t *seq, struct err *e)
{
	struct journal_pos head, other;
	int64_t low, floor;
	*seq = 0;
	if (journal_head(mine, &head, e) != ERR_OK || journal_head(theirs, &other, e) != ERR_OK ||
		journal_floor(mine, &low, e) != ERR_OK || journal_floor(theirs, &floor, e) != ERR_OK)
		return e->code;
	int64_t high = head.seq < other.seq ? head.seq : other.seq;
	if (floor > low)
		low = floor;
	/* What is equal at low is equal everywhere before it; the answer lies in [low - 1, high]. */
	low--;
	while (low < high) {
		int64_t mid = low + (high - low + 1) / 2;
		bool same = false;
		if (same_at(mine, theirs, mid, &same, e) != ERR_OK)
			return e->code;
		if (same)
			low = *seq = mid;
		else
			high = mid - 1;
	}
	return ERR_OK;
}

struct saving {
	FILE *file;
	struct buf line;
	int64_t rows;
	bool failed;
};

static bool save_row(void *arg, const struct journal_row *row)
{
	struct saving *s = arg;
	buf_reset(&s->line);
	if (!wire_batch_row(&s->line, row))
		return true; /* changed by hand beyond what a line can carry; the file itself is kept */
	s->failed = s->line.failed || fwrite(s->line.data, 1, s->line.len, s->file) != s->line.len;
	s->rows += !s->failed;
	return !s->failed;
}

enum err_code surplus_save(struct conn *mine, int64_t seq, const char *path, int64_t *rows, struct err *e)
{
	struct journal_pos head;
	*rows = 0;
	if (journal_head(mine, &head, e) != ERR_OK || head.seq <= seq)
		return e->code;
	struct saving s = {.file = fopen(path, "we"), .line = BUF_INIT(LINE_MAX_BYTES)};
	if (!s.file)
		return err_set(e, ERR_IO, "cannot create %s: %s", path, strerror(errno));
	journal_each(mine, seq, INT64_MAX, save_row, &s, e);
	if (s.failed || fflush(s.file) != 0 || fsync(fileno(s.file)) != 0)
		err_set(e, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "cannot write %s: %s", path, strerror(errno));
	fclose(s.file);
	buf_release(&s.line);
	*rows = s.rows;
	return e->code;
}
