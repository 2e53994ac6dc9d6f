/* The sum of an operation's effect on rows (design section 6), taken by
 * SQLite's preupdate hook, and of its effect on the schema.
 *
 * Format 1. Each changed row is encoded as
 *   op (1 byte: 'I', 'D', 'U') · table name with its NUL · old rowid · new
 *   rowid (8 bytes little-endian each; 0 where the table has none or there is no such side) · old values ('D',
 *   'U') · new values ('I', 'U'), all stored columns in
 *   order (virtual generated columns are none);
 * a value as one type byte ('0' null, 'i' integer, 'r' real, 't' text, 'b'
 * blob), then 8 bytes little-endian (integer; IEEE 754 bits of a real), or
 * length (8 bytes little-endian) and the bytes.
 * Its XXH3_64 is added (mod 2^64) to the sum: the order in which rows are
 * visited does not count, each change does. Tables named ddb_* and sqlite_*
 * are left out.
 * The schema's sum is the XXH3_64 of type, name, tbl_name, sql (each with its
 * NUL, NULL as "") of all rows of sqlite_schema ordered by (type, name) whose
 * names do not begin with ddb_ or sqlite_. */
#ifndef DDB_SQL_ROWSUM_H
#define DDB_SQL_ROWSUM_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rowsum {
	uint64_t sum;
	int64_t rows;          /* rows seen */
	bool last_rowid_used;  /* a row got the rowid 2^63-1: the next one would be random */
	unsigned char *scratch;
	size_t scratch_cap;
	bool failed;           /* out of memory while hashing: the operation must not be committed */
};

void rowsum_install(struct rowsum *s, sqlite3 *db);
void rowsum_begin(struct rowsum *s);        /* a new operation */
int rowsum_schema(sqlite3 *db, uint64_t *sum);   /* an SQLite result code */
void rowsum_release(struct rowsum *s);

#endif
