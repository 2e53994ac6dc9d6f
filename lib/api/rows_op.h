/* A request about the rows of one table on its way to an operation, and back
 * to an answer: what all handlers of rows_write.h share. */
#ifndef DDB_API_ROWS_OP_H
#define DDB_API_ROWS_OP_H

#include "lib/api/master.h"
#include "lib/api/schema.h"

#define ROWS_OP_SQL_MAX (4 << 20)       /* bytes of one statement */

struct rows_op {
	struct request *r;
	struct master_write w;
	struct conn *c;                     /* a reader, for the schema */
	const struct schema_table *table;   /* belongs to c */
	json_t *body;                       /* NULL for a request without one */
	json_t *statements;                 /* of the operation */
	size_t sql_bytes;                   /* of all of them */
	json_t *results;                    /* as op.h gives them, once it was run */
	struct buf answer;
};

/* Answers r: checks that this node takes it, finds the table, reads the body
 * if with_body, has make add statements, runs them as one operation, and has
 * answer add what the body says, up to its last comma; it returns the status. */
void rows_op_run(struct request *r, bool with_body, enum err_code (*make)(struct rows_op *o, struct err *e),
	int (*answer)(struct rows_op *o, struct err *e));

/* Adds a statement; takes over values. member: "params", or "rows" (run once per row of values). */
enum err_code rows_op_add(struct rows_op *o, struct buf *sql, const char *member, json_t *values, struct err *e);

/* Adds a statement that asks how many rows the one before changed by itself. */
enum err_code rows_op_add_changes(struct rows_op *o, struct err *e);

/* Adds `before` and the table's quoted name. */
void rows_op_name_table(struct buf *sql, const char *before, const struct schema_table *t);

/* Adds " RETURNING …" of those columns. */
void rows_op_returning(struct buf *sql, const struct schema_table *t, const int *column, int n);

/* Room for the columns of any row; caller frees. NULL, and e set: no memory. */
int *rows_op_room(const struct schema_table *t, struct err *e);

/* The columns that a row's object names, in its order, checked: they exist, can
 * be written, and none is named twice. */
enum err_code rows_op_columns(const struct schema_table *t, const json_t *row, int *column, int *n, struct err *e);

/* Appends the values of a row's object in the same order. */
enum err_code rows_op_values(const struct schema_table *t, const json_t *row, json_t *values, struct err *e);

/* Row i of the statement's result, NULL if there is none. */
const json_t *rows_op_row(const struct rows_op *o, size_t statement, size_t i);

/* Adds a JSON value as text. */
enum err_code rows_op_json(struct buf *out, const json_t *v, struct err *e);

#endif
