/* Outgoing HTTP calls to other nodes: the one place that knows libcurl.
 *
 * struct calls belongs to one thread (calls_wake() excepted) and carries many
 * calls at once over kept-alive connections. No proxy from the environment is
 * used, no redirect followed. */
#ifndef DDB_CLUSTER_CALL_H
#define DDB_CLUSTER_CALL_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct calls;
struct call;

enum err_code calls_new(struct calls **out, struct err *e);
void calls_free(struct calls *c);       /* after its calls; NULL is fine */

/* Ends a calls_next() that waits; any thread, also beforehand. */
void calls_wake(struct calls *c);

/* A call that can be used again and again, one request at a time. */
struct call *call_new(struct calls *c, void *owner, size_t answer_max);
void call_free(struct call *k);         /* cancels it; NULL is fine */

/* Begins a POST; body must stay until the call is finished or cancelled. */
void call_post(struct call *k, const char *url, const char *content_type, const char *body, size_t len,
	int64_t timeout_ms);
void call_cancel(struct call *k);

/* The next finished call; NULL after wait_ms or when woken. */
struct call *calls_next(struct calls *c, int64_t wait_ms);

void *call_owner(const struct call *k);
int call_status(const struct call *k);            /* HTTP status; 0: no answer, see call_error() */
const struct buf *call_answer(const struct call *k);
const char *call_error(const struct call *k);     /* for people */

/* Appends what is behind url from byte *at on to the file fd (positioned
 * there) until its end at byte `whole`; blocks, ends early when *stop is set
 * or nothing came for 30 s. *at follows what was written. ERR_POSITION: the file is
 * not there, or has another length. */
enum err_code call_download(const char *url, int fd, _Atomic int64_t *at, int64_t whole, const _Atomic bool *stop,
	struct err *e);

#endif
