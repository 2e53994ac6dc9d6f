/* A slave's half of the journal: rows of the master are run again and compared.
 * Used by the writer's thread only. */
#ifndef DDB_JOURNAL_APPLY_H
#define DDB_JOURNAL_APPLY_H

#include "lib/journal/writer.h"

/* A batch of slow operations is cut after this time: what is done is kept, and
 * the position that the master hears of moves on. */
#define APPLY_US 1000000

/* Applies the batch, or as much of it as APPLY_US allow, in the open
 * transaction. *pos and *at_ms: of the last row
 * here, moved on. See writer_apply() for the errors; on any error the caller
 * rolls back, and where *poisoned is set also reopens the connection. *bytes:
 * bodies of the rows that were new. */
enum err_code apply_batch(struct conn *c, const struct writer_batch *batch, struct journal_pos *pos, int64_t *at_ms,
	int64_t *bytes, int64_t *bad_seq, bool *poisoned, struct err *e);

#endif
