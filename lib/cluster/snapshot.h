/* The master's whole copies of databases: one shelf of them in
 * <data>/snapshots/, made by a thread of its own, each shared by all slaves
 * that need it, served by nginx as a static file. */
#ifndef DDB_CLUSTER_SNAPSHOT_H
#define DDB_CLUSTER_SNAPSHOT_H

#include "lib/cluster/wire.h"
#include "lib/sql/readers.h"

struct shelf;

struct snapshot {
	char id[JOURNAL_ID_LEN], name[WIRE_FILE_LEN];
	struct journal_pos pos;
	unsigned char digest[JOURNAL_HASH_LEN];
	int64_t bytes;
};

/* ready: called in the shelf's thread when a copy was made or could not be. */
enum err_code shelf_new(struct shelf **out, const struct conf *conf, struct readers *readers,
	void (*ready)(void *arg), void *arg, struct err *e);

/* Ends the thread; files stay for the next process only to be removed by it. */
void shelf_free(struct shelf *s);

/* A copy of the database at path that reaches row least_seq, and whose rows
 * after it are still in the journal. Counted: it stays, and its rows are
 * pinned, until shelf_put(). NULL: it is being made (ready will be called), or
 * *e says why the last attempt failed; ask again later to have it tried again. */
const struct snapshot *shelf_get(struct shelf *s, const char *id, const char *path, int64_t least_seq, struct err *e);
void shelf_put(struct shelf *s, const struct snapshot *snapshot);   /* NULL is fine */

/* The lowest position of the copies of this database that are in use, or were
 * made a moment ago: rows after it must stay; 0 while one is being made.
 * INT64_MAX: none. */
int64_t shelf_pin(struct shelf *s, const char *id);

/* Removes copies that nobody used for some minutes, and those of databases that are gone. */
void shelf_tidy(struct shelf *s);

/* XXH3_128 of a whole file, canonical; ends early when *stop is set. */
enum err_code snapshot_digest(const char *path, unsigned char digest[JOURNAL_HASH_LEN], int64_t *bytes,
	const _Atomic bool *stop, struct err *e);

#endif
