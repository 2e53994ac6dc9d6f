/* The journal of one database: its rows, the position, the chained hash.
 *
 * hash(row) = XXH3_128 of: previous hash (16 bytes, zeros before row 1) ·
 * epoch · seq · at_ms · seed · changes · row sum · schema sum (8 bytes
 * little-endian each) · kind with its NUL · body. In its canonical (big-endian)
 * form, as 16 bytes. Format 1. Equal (seq, hash) means equal history and equal
 * effect of it. */
#ifndef DDB_JOURNAL_JOURNAL_H
#define DDB_JOURNAL_JOURNAL_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/sql/conn.h"

#define JOURNAL_FORMAT 1
#define JOURNAL_HASH_LEN 16
#define JOURNAL_ID_LEN 33          /* 32 hex digits and NUL */
#define JOURNAL_TOKEN_LEN 96       /* "ID.EPOCH.SEQ" and NUL */

struct journal_pos {
	int64_t epoch, seq;            /* 0, 0: empty */
	unsigned char hash[JOURNAL_HASH_LEN];
};

struct journal_row {
	struct journal_pos pos;
	int64_t at_ms, seed, changes;
	const char *kind;              /* "op", "create", "epoch", "check" */
	const char *body;
	size_t body_len;
};

/* Makes the tables of db/journal.sql in a new file, and ddb_meta. name is for people. */
enum err_code journal_create(struct conn *c, const char *id, const char *name, struct err *e);

/* The database id from ddb_meta, checked against JOURNAL_FORMAT. */
enum err_code journal_id(struct conn *c, char id[JOURNAL_ID_LEN], struct err *e);

/* The last row's position; all zeros when there is none. */
enum err_code journal_head(struct conn *c, struct journal_pos *head, struct err *e);

/* Also the last row's at_ms. */
enum err_code journal_last_at(struct conn *c, int64_t *at_ms, struct err *e);

/* The lowest seq still kept (0: empty). */
enum err_code journal_floor(struct conn *c, int64_t *seq, struct err *e);

/* The position of row seq; epoch 0 when the row is not there. */
enum err_code journal_at(struct conn *c, int64_t seq, struct journal_pos *pos, struct err *e);

/* row->pos.hash from prev and the effect of the row. */
void journal_chain(const unsigned char prev[JOURNAL_HASH_LEN], struct journal_row *row, uint64_t row_sum,
	uint64_t schema_sum);

/* Inserts the row, in the open transaction. */
enum err_code journal_append(struct conn *c, const struct journal_row *row, struct err *e);

/* Calls take for each row after seq `after`, in order, until it returns false
 * or `most` rows were given. */
enum err_code journal_each(struct conn *c, int64_t after, int64_t most,
	bool (*take)(void *arg, const struct journal_row *row), void *arg, struct err *e);

/* Number and bytes of the rows after seq, and at_ms of the oldest (0: none).
 * Counts at most `most` rows. */
enum err_code journal_pending(struct conn *c, int64_t after, int64_t most, int64_t *rows, int64_t *bytes,
	int64_t *oldest_at_ms, struct err *e);

/* "ID.EPOCH.SEQ" and back. */
void journal_token(const char *id, const struct journal_pos *pos, char out[JOURNAL_TOKEN_LEN]);
bool journal_token_parse(const char *text, char id[JOURNAL_ID_LEN], int64_t *epoch, int64_t *seq);

void journal_hash_hex(const unsigned char hash[JOURNAL_HASH_LEN], char out[33]);
bool journal_hash_parse(const char *hex, unsigned char hash[JOURNAL_HASH_LEN]);

#endif
