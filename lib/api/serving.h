/* What a read goes through before it touches data, in one place for all
 * handlers of `read` (r->app a struct app_read):
 *
 *   struct serving s;
 *   if (!serving_begin(r, &s))                    (answered: passed on, or refused)
 *           return;
 *   … prepare statements on s.c, whose read transaction is open …
 *   if (serving_answers(&s, traits)) {            (else answered: 304)
 *           … step; add to r->out, response_flush() now and then …
 *           serving_tail(&s);
 *   }
 *   … on an error: serving_fail(&s, &e) …
 *   serving_end(&s);
 *
 * May this node answer? The master and a slave in sync may. Another passes the
 * read to the master. Where that is not possible (passed on to here already,
 * no master known or reached), a slave that was in sync when its master fell
 * silent answers as a last resort, says so with DDB-Stale: <ms>, up to
 * max_stale_ms and to what the client accepts by DDB-Max-Stale: <ms>; else 425,
 * which HAProxy retries elsewhere and counts against nobody.
 *
 * ?consistency=strong asks for the master's answer: a slave passes the read on,
 * and where it cannot, it does not answer either (425).
 *
 * Which position must the data have? DDB-Min-Seq, else the cookie DDB-Seq, both
 * ID.EPOCH.SEQ as DDB-Seq of an earlier answer gave it. A slave that is not
 * there yet waits min_seq_wait_ms and then passes the read to the master. A
 * token beyond the end of its reign, or of another database, is 409
 * position_lost; a cookie of another database (dropped and made again) is
 * replaced instead, by the master, since the slave may be the one that does
 * not know yet. Of a reign whose rows are pruned nothing more can be known:
 * the token is then satisfied by a later position. */
#ifndef DDB_API_SERVING_H
#define DDB_API_SERVING_H

#include "lib/api/app.h"
#include "lib/cluster/statefile.h"
#include "lib/http/request.h"
#include "lib/journal/journal.h"

struct serving {
	struct request *r;
	struct app_read *app;
	const char *name;                /* of the database */
	bool system;                     /* the system database */
	struct statefile_view view;
	struct conn *c;                  /* a read transaction is open, the deadline runs */
	char id[JOURNAL_ID_LEN];
	struct journal_pos pos;          /* of the data in this transaction */
	bool big_as_string;              /* ?big=string */
	int64_t deadline_ms;             /* for the statements: read_deadline_ms, or less by DDB-Timeout */
	bool broken;                     /* the connection must not be used again */
	unsigned looks;                  /* at whether the client is still there */
};

/* May this node answer, the database of the path's {db}, the position asked
 * for. Sets DDB-Node, DDB-Seq, and DDB-Stale where due. If false, the request
 * has been answered and there is nothing to end. */
bool serving_begin(struct request *r, struct serving *s);

/* The same for the system database, whose position a browser has in a cookie
 * of its own, DDB-System-Seq. A DDB-Min-Seq of another database is not meant
 * for it and does not count. */
bool serving_begin_system(struct request *r, struct serving *s);

/* Sets the headers of an answer of data. traits: what the statements behind it
 * do (AUTHZ_SAW_…); without 'now' and random() a GET gets an ETag made of
 * database, position and request. False when the client has this answer
 * already: 304 was answered. */
bool serving_answers(struct serving *s, unsigned traits);

/* Adds `"epoch":…,"seq":…,"node":…,"ms":…}` to the body (no leading comma). */
void serving_tail(struct serving *s);

/* Adds the current row's first n columns as a JSON array, letting pieces leave
 * in between. False when the answer has ended (the client is gone, or wants
 * the head alone): stop. */
bool serving_row(struct serving *s, sqlite3_stmt *stmt, int n);

/* Answers with the error, or cuts an answer that has begun. A slave whose file
 * cannot be read passes the request to the master. */
void serving_fail(struct serving *s, const struct err *e);

void serving_end(struct serving *s);

#endif
