/* The one writer of one database: a thread that owns the file's only writing
 * connection, in both roles.
 *
 * As master it takes operations from a queue and commits them in groups: one
 * transaction, one savepoint per operation, one fsync for all. As slave it
 * takes batches of journal rows and applies each batch in one transaction.
 * Anything else that must happen to the file (checkpoint, prune, a snapshot
 * brought in) is a call run by the same thread between two transactions.
 * All functions may be called from any thread and wait for their result. */
#ifndef DDB_JOURNAL_WRITER_H
#define DDB_JOURNAL_WRITER_H

#include "lib/base/conf.h"
#include "lib/journal/journal.h"
#include "lib/journal/op.h"

struct writer;

/* What the writer tells the one who opened it. Called in the writer's thread
 * after the commit is durable and before those who wait are answered: must be
 * quick. row_bytes: bytes of the bodies committed. */
struct writer_events {
	void (*committed)(void *arg, const struct journal_pos *head, int64_t row_bytes);
	void *arg;
};

/* Opens path (which must exist) and starts the thread. reign: pointer to the
 * epoch in which this node is master, 0 while it is not; read before each
 * group, so that a fenced master takes nothing more. */
enum err_code writer_open(struct writer **out, const char *path, const struct conf *conf,
	const _Atomic int64_t *reign, const struct writer_events *events, struct err *e);

/* Finishes what waits, checkpoints, closes. NULL is fine. */
void writer_close(struct writer *w);

/* The database's id, and its durable position. */
const char *writer_id(const struct writer *w);
void writer_head(struct writer *w, struct journal_pos *head);

struct writer_answer {
	struct journal_pos pos;    /* of this operation's row; of the head when nothing was journaled */
	struct buf results;        /* JSON array; the caller made it with its ceiling and releases it */
	int64_t changes;
	bool journaled;
};

/* Runs op (normal form; borrowed) as master. ERR_BUSY when the queue is full
 * or did not move for queue_wait_ms, ERR_MISDIRECTED when this node is not master (any more),
 * ERR_OUTCOME_UNKNOWN when the commit ended in an I/O error: the process must end. */
enum err_code writer_op(struct writer *w, const json_t *op, int64_t deadline_ms, bool big_as_string,
	struct writer_answer *a, struct err *e);

/* Journals a control row as master ("epoch", "check"); body is JSON. */
enum err_code writer_control(struct writer *w, const char *kind, const char *body, struct journal_pos *pos,
	struct err *e);

/* A batch for a slave. */
struct writer_batch {
	struct journal_pos prev;         /* the position before the first row */
	const struct journal_row *rows;
	json_t *const *ops;              /* parsed bodies, NULL for control rows */
	size_t n;
};

/* Applies the batch: rows that are here already (same epoch and hash) are
 * skipped; ERR_POSITION when it does not continue what is here (gap, or other
 * history); ERR_DIVERGED when an operation had another effect than its row
 * says, *bad_seq naming it. A batch that takes long may be applied in part:
 * *pos says how far. In every error nothing of the batch is kept. *pos
 * is the durable position in any case. A full disk, lack of memory or an I/O
 * error is that error, never ERR_DIVERGED. */
enum err_code writer_apply(struct writer *w, const struct writer_batch *batch, struct journal_pos *pos,
	int64_t *bad_seq, struct err *e);

/* Runs fn in the writer's thread with its connection, outside any transaction.
 * Afterwards the position is read again from the file. */
enum err_code writer_call(struct writer *w, enum err_code (*fn)(struct conn *c, void *arg, struct err *e),
	void *arg, struct err *e);

/* Statistics since the start. */
struct writer_stats {
	int64_t groups, operations, failed, applied, waiting;
};
void writer_stats(struct writer *w, struct writer_stats *s);

#endif
