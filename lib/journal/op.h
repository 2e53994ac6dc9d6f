/* An operation: the statements of one write, run atomically, the same way by
 * the master that accepts it and by every slave that repeats it.
 *
 * Body, as journaled and as a client sends it:
 *   {"statements": [ S, … ]}      S = "sql" or {"sql": "…", "params": […]|{…}} or
 *                                 {"sql": "…", "rows": [[…], …]} (run once per row)
 *   or S alone as {"sql": …}.
 * A text without parameters may hold several statements. */
#ifndef DDB_JOURNAL_OP_H
#define DDB_JOURNAL_OP_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/sql/conn.h"

#include <jansson.h>

#define OP_STATEMENTS_MAX 10000

/* Parses and checks the shape of a client's body (not the SQL). On success
 * *out is the normal form {"statements":[…]} (caller: json_decref). */
enum err_code op_parse(const char *text, size_t len, json_t **out, struct err *e);

/* The text that is journaled: compact JSON of the normal form; caller frees. NULL: out of memory. */
char *op_text(const json_t *op, size_t *len);

/* What running an operation gave. */
struct op_result {
	bool wrote;            /* it changed, or could have changed, the database: must be journaled */
	int64_t changes;       /* rows changed */
	uint64_t row_sum;      /* rowsum.h */
	uint64_t schema_sum;   /* 0 unless the schema changed */
	unsigned traits;       /* AUTHZ_SAW_… of all statements */
	bool poisoned;         /* failed and touched a virtual table or the whole transaction ended:
	                        * the connection must be closed, its group run again without it */
};

/* Runs op inside an open write transaction, in a savepoint of its own, with
 * the surroundings of design section 5 ('now' = at_ms, random from seed).
 * answer (may be NULL: a slave) gets the JSON array of results, one per
 * statement, up to its ceiling (ERR_TOO_BIG). deadline_ms 0: no limit (a
 * slave). On failure the operation is undone and e says why; *r is filled
 * either way. */
enum err_code op_run(struct conn *c, const json_t *op, int64_t at_ms, int64_t seed, int64_t deadline_ms,
	bool big_as_string, struct buf *answer, struct op_result *r, struct err *e);

#endif
