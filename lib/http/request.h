/* One HTTP request and its answer, whoever carries them (FastCGI, plain CGI,
 * a test). Handlers know only this file; serve.c is the one place that knows
 * FastCGI. */
#ifndef DDB_HTTP_REQUEST_H
#define DDB_HTTP_REQUEST_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/http/url.h"

#include <stdint.h>

#define REQUEST_SEGMENT_MAX 12      /* path segments */
#define REQUEST_SEGMENT_LEN 1024    /* bytes of one decoded segment, with NUL */

/* The carrier's side. */
struct request_io {
	void *carrier;
	/* a CGI variable, NULL if absent; valid until the request ends */
	const char *(*get)(void *carrier, const char *variable);
	/* bytes of the body read, 0 at its end, -1 on error */
	long (*read)(void *carrier, char *to, size_t len);
	/* sends, or keeps what is small until the request ends; false once the client is gone */
	bool (*write)(void *carrier, const char *data, size_t len);
	/* whether the client went away, without reading; NULL: cannot tell */
	bool (*gone)(void *carrier);
	/* ends the connection so that the client sees a truncated answer; NULL: cannot */
	void (*cut)(void *carrier);
};

/* NEW: nothing has left yet, so anything can still be answered. SENDING: head
 * and part of the body have left. DONE: the answer is complete (or cut). */
enum response_stage { RESPONSE_NEW, RESPONSE_SENDING, RESPONSE_DONE };

struct route;

struct request {
	const struct request_io *io;
	void *app;                      /* the program's own state */
	const char *method;             /* "GET" … ; HEAD comes as GET with is_head */
	bool is_head;
	char *path;                     /* holds the segments */
	char *segment[REQUEST_SEGMENT_MAX];   /* decoded path segments; the last is "" for a path that ends in '/' */
	size_t segment_n;
	struct url_query query;
	const struct route *route;      /* the matched row of the table */
	int64_t began_us;               /* boot clock */
	int64_t content_length;         /* bytes of the body, 0 without one */
	bool body_taken;                /* request_body() has been called */

	/* the answer */
	enum response_stage stage;
	int status;
	struct buf head;                /* header lines, sent with the first piece of the body */
	struct buf out;                 /* body bytes not yet sent */
	bool gone;                      /* the client went away; further output is dropped */
};

/* ---- for whoever carries requests (serve.c) ---- */

/* Prepares r and reads method, path, query and the body's length from the
 * carrier. On failure (ERR_BAD_REQUEST, ERR_NOMEM) r can still be answered.
 * request_release() in any case. */
enum err_code request_begin(struct request *r, const struct request_io *io, void *app, struct err *e);
void request_release(struct request *r);

/* ---- reading ---- */

/* A header by its CGI name, e.g. request_header(r, "HTTP_DDB_MIN_SEQ"); NULL if absent or empty. */
const char *request_header(const struct request *r, const char *cgi_name);

/* A query parameter, NULL if absent. */
const char *request_param(const struct request *r, const char *name);

/* A whole number from a query parameter; absent gives fallback; malformed or
 * out of bounds is ERR_BAD_REQUEST. */
enum err_code request_param_int(const struct request *r, const char *name, int64_t fallback, int64_t least,
	int64_t most, int64_t *out, struct err *e);

/* The same from a header; name is what people call it. most INT64_MAX: no upper bound is spoken of. */
enum err_code request_header_int(const struct request *r, const char *cgi_name, const char *name, int64_t fallback,
	int64_t least, int64_t most, int64_t *out, struct err *e);

/* A time limit that a header may lower: ms from 1 up. More than ceiling, and no header, are ceiling. */
enum err_code request_header_ms(const struct request *r, const char *cgi_name, const char *name, int64_t ceiling,
	int64_t *out, struct err *e);

/* ?big=string: integers beyond 2^53 are to come as strings. ERR_BAD_REQUEST for any other value. */
enum err_code request_big_as_string(const struct request *r, bool *out, struct err *e);

/* The decoded segment that matched {name} of the route's pattern; NULL if the route has no such name. */
const char *request_path(const struct request *r, const char *name);

/* Reads the whole body into out, up to max bytes (ERR_TOO_BIG beyond), once. A
 * body shorter than its Content-Length is ERR_BAD_REQUEST. */
enum err_code request_body(struct request *r, size_t max, struct buf *out, struct err *e);

/* Whether the client is known to have gone away. Costs a system call. Takes a
 * struct request as void * so that it can serve as conn.cancelled. */
bool request_client_gone(void *request);

bool request_from_peers(const struct request *r);     /* arrived on the peers' listener */
bool request_forwarded(const struct request *r);      /* another node passed it on */
bool request_last_resort(const struct request *r);    /* the master could not be reached: answer from here if allowed */
bool request_retried_way(const struct request *r);    /* came through a backend in which HAProxy repeats requests */

/* ---- answering ---- */

/* Status (200 if never given) and headers; they count until the first piece of
 * the body leaves. Header values must not hold line ends (they are dropped there).
 * A header given twice is sent twice. */
void response_status(struct request *r, int status);
void response_header(struct request *r, const char *name, const char *value);
void response_headerf(struct request *r, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The body streams: bytes are collected in r->out, and leave in pieces of about
 * RESPONSE_PIECE. A handler may add to r->out itself (up to its ceiling
 * RESPONSE_OUT_MAX) and call response_flush() now and then, which sends only
 * once there is a piece. Until the first piece has left, response_problem()
 * can still replace everything. Both return false once the client is gone.
 * Whoever calls handlers ends the answer; a body that fits one piece gets a
 * Content-Length and leaves in one write with its head. */
#define RESPONSE_PIECE 16384
#define RESPONSE_OUT_MAX (size_t)(256 * 1024 * 1024)
bool response_write(struct request *r, const void *data, size_t len);
bool response_flush(struct request *r);

/* Sends what is left and ends the answer. Called after each handler; harmless
 * when there is nothing left to do. */
void response_end(struct request *r);

/* A whole JSON document as the answer. A body that failed (its ceiling, memory)
 * becomes a problem document. */
void response_json(struct request *r, int status, const struct buf *body);

/* The error as an RFC 9457 problem document with the code's HTTP status (type,
 * title, status, code, detail, and statement / row / offset where known); headers set
 * before are kept but for Content-Type and caching. Once a part of the body has left
 * nothing can be said any more: the connection is cut so that the client sees
 * a truncated answer. */
void response_problem(struct request *r, const struct err *e);

/* Asks nginx to pass the request to the master ("host:port"). Method, body and
 * query go along. Nothing else of the answer counts. */
void response_forward(struct request *r, const char *master_host);

#endif
