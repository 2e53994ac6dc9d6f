/* SQL functions whose result must be the same on every node: random(),
 * randomblob() from a seeded generator; changes(), total_changes() and
 * last_insert_rowid() counted from the operation's start.
 *
 * Generator: the n-th 64-bit number (n = 1, 2 …) of a seed is XXH64(n as 8
 * little-endian bytes, seed). randomblob(N) takes ceil(N/8) numbers, each as 8
 * little-endian bytes, the last cut. Part of the wire format: a change needs a
 * new format version. */
#ifndef DDB_SQL_DETFN_H
#define DDB_SQL_DETFN_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct detfn {
	bool active;          /* within an operation; else SQLite's own behaviour, truly random */
	uint64_t seed, n;
	int64_t total_base;   /* sqlite3_total_changes64() at the operation's start */
};

int detfn_install(struct detfn *d, sqlite3 *db);   /* an SQLite result code */
void detfn_begin(struct detfn *d, sqlite3 *db, int64_t seed);
void detfn_end(struct detfn *d);

#endif
