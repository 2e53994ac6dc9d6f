/* Rows that a slave has beyond the history of its master (design section 8):
 * saved before a copy replaces them. */
#ifndef DDB_CLUSTER_SURPLUS_H
#define DDB_CLUSTER_SURPLUS_H

#include "lib/sql/conn.h"
#include "lib/journal/journal.h"

/* The last row that the journals of both connections share (equal seq and
 * hash), 0 when no row that both still have is equal. Equal hashes prove equal
 * history before them, so that a search by halves finds it. */
enum err_code surplus_common(struct conn *mine, struct conn *theirs, int64_t *seq, struct err *e);

/* Writes mine's rows after seq as NDJSON (rows as in wire.h) to path, durably.
 * *rows: how many; no file when there are none. */
enum err_code surplus_save(struct conn *mine, int64_t seq, const char *path, int64_t *rows, struct err *e);

#endif
