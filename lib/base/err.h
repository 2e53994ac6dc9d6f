/* What went wrong, once: a code that programs can act on and a text for people.
 *
 * Every error a client can meet has one row in the table of err.c: its stable
 * name (the "code" of the problem document), its HTTP status and its title.
 * The first error wins: err_set() on an err that is already set does nothing,
 * so that a failing clean-up cannot hide the cause. */
#ifndef DDB_BASE_ERR_H
#define DDB_BASE_ERR_H

#include <stdbool.h>

enum err_code {
	ERR_OK = 0,
	/* the client's request */
	ERR_BAD_REQUEST, ERR_BAD_JSON, ERR_BAD_VALUE, ERR_BAD_NAME, ERR_BAD_FILTER, ERR_BAD_CURSOR,
	ERR_SQL, ERR_SQL_FORBIDDEN, ERR_NOT_READ_ONLY, ERR_CONSTRAINT, ERR_SQL_RUNTIME, ERR_DEADLINE,
	ERR_NO_ROUTE, ERR_METHOD, ERR_MEDIA, ERR_ORIGIN, ERR_TOO_BIG,
	ERR_DATABASE_UNKNOWN, ERR_TABLE_UNKNOWN, ERR_ROW_UNKNOWN, ERR_NODE_UNKNOWN, ERR_EXISTS, ERR_NO_FILTER,
	ERR_POSITION_LOST, ERR_TOO_STALE,
	/* the node's or the cluster's state */
	ERR_MISDIRECTED, ERR_NOT_READY, ERR_STARTING, ERR_MASTER_UNREACHABLE, ERR_LOOP, ERR_TOO_FEW_SLAVES,
	ERR_WRITER_LOCKED, ERR_BUSY, ERR_DISK_FULL, ERR_OUTCOME_UNKNOWN, ERR_STOPPING, ERR_DATABASE_MISSING,
	/* between nodes */
	ERR_CLUSTER_FOREIGN, ERR_EPOCH_STALE, ERR_POSITION, ERR_DIVERGED, ERR_WIRE,
	/* our own */
	ERR_IO, ERR_CORRUPT, ERR_NOMEM, ERR_INTERNAL,
	ERR_CODE_N
};

struct err {
	enum err_code code;
	int statement;     /* which statement of a batch, from 0; -1: none */
	int row;           /* which of its rows of parameters, from 0; -1: none */
	int offset;        /* byte in the SQL text where it was noticed; -1: unknown */
	char text[480];    /* what happened, what it means, what to do; UTF-8, no secrets */
};

#define ERR_INIT { .code = ERR_OK, .statement = -1, .row = -1, .offset = -1, .text = "" }

/* Sets code and text unless e already holds an error. Returns the code that e then has. */
enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Forgets the error, so that e can be used again. */
void err_reset(struct err *e);

/* The stable name ("database_unknown"), the HTTP status and the title of a code. */
const char *err_name(enum err_code code);
int err_status(enum err_code code);
const char *err_title(enum err_code code);

/* The code with this stable name, ERR_CODE_N if there is none. */
enum err_code err_by_name(const char *name);

#endif
