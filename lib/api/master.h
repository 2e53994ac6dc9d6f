/* What a request that needs the master goes through, in one place for all
 * handlers that write (execute, rows, databases, pool; all in `write`, r->app
 * a struct app_write):
 *
 *   struct master_write w;
 *   if (!master_begin(r, &w))             (answered: passed on, or refused)
 *           return;
 *   … read the body, make op (normal form, op.h) …
 *   if (master_run(&w, op, &e) == ERR_OK) {
 *           … add to a buf what the answer says, from w.answer.results …
 *           master_tail(&w, &body);
 *           master_answer(&w, 200, &body);
 *   } else {
 *           response_problem(r, &e);
 *   }
 *   master_end(&w); */
#ifndef DDB_API_MASTER_H
#define DDB_API_MASTER_H

#include "lib/api/app.h"
#include "lib/http/request.h"
#include "lib/journal/writer.h"

struct master_write {
	struct request *r;
	struct app_write *app;
	struct database *db;           /* counted; NULL when the request is not about an existing one */
	struct writer_answer answer;   /* of the last master_run(); results up to conf.answer_bytes */
	int sync;                      /* slaves asked for by DDB-Sync; 0: none */
	int64_t sync_ms;               /* to wait for them: sync_wait_ms, or less by DDB-Sync-Timeout */
	int64_t deadline_ms;           /* for the statements: write_deadline_ms, or less by DDB-Timeout */
	int acked;                     /* slaves that have it; -1: not asked for */
	bool big_as_string;            /* ?big=string */
};

/* Whether this node is the active master and takes the request. A master that
 * is starting is waited for (open_wait_ms). If false, the request has been
 * answered: on a slave it was passed to the master; 421 when another node had
 * passed it on already, 503 when no master is known, when it is not open yet,
 * or when fewer slaves than min_slaves_to_write are in sync. */
bool master_takes(struct request *r);

/* master_takes(), DDB-Sync, DDB-Sync-Timeout, DDB-Timeout, ?big= and the database of the path's {db}. If
 * false, the request has been answered and there is nothing to end. */
bool master_begin(struct request *r, struct master_write *w);

/* The same without the database, for what creates and drops them. */
bool master_begin_bare(struct request *r, struct master_write *w);

/* Runs op (borrowed), then waits for DDB-Sync slaves, up to sync_ms: a
 * write that is durable here is never called failed, w->acked says what was
 * reached. May be called again with another op after a failure or success. */
enum err_code master_run(struct master_write *w, const json_t *op, struct err *e);

/* The waiting of master_run() alone, for a position that was reached in
 * another way: becomes w->answer.pos. Takes over w->db's place if db is not NULL. */
void master_reached(struct master_write *w, struct database *db, const struct journal_pos *pos);

/* Adds `"epoch":…,"seq":…,"ms":…}` and, where DDB-Sync asked for slaves, how
 * many have it and how many were wanted, `"acked":N,"wanted":M` (no leading
 * comma, with the closing brace). */
void master_tail(const struct master_write *w, struct buf *body);

/* Answers with body and the headers of a write: DDB-Seq, DDB-Node, and a cookie
 * by which the same browser reads its own write, for the database's path. */
void master_answer(struct master_write *w, int status, const struct buf *body);

void master_end(struct master_write *w);

#endif
