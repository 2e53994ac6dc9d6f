/* How a program serves: sockets from its supervisor, threads that accept
 * FastCGI requests, a clean end on SIGTERM; or one request as plain CGI.
 * The only file that includes fcgiapp.h is serve.c. */
#ifndef DDB_HTTP_SERVE_H
#define DDB_HTTP_SERVE_H

#include "lib/http/route.h"

#define SERVE_SOCKET_MAX 4

struct serve_socket {
	const char *name;             /* as in LISTEN_FDNAMES: "public", "peers", "health" */
	enum route_listener listener;
	int threads;
	bool close_each;              /* close connections after each answer, whatever nginx asks for: when the
	                               * program ends, a request that is just being sent on a kept one is lost */
};

struct serve {
	enum route_program program;
	const struct route *table;    /* all programs' rows */
	route_handler *const *handler;   /* beside the table; NULL for rows of other programs */
	size_t table_n;
	size_t body_max;              /* the setting body_bytes */
	void *app;                    /* given to handlers as r->app */
	struct serve_socket socket[SERVE_SOCKET_MAX];
	size_t socket_n;
};

enum serve_mode { SERVE_FASTCGI, SERVE_CGI, SERVE_NEITHER };

/* How this process was started (see the three cases: LISTEN_FDS, fd 0 a
 * listening socket, CGI variables in the environment). */
enum serve_mode serve_mode(void);

/* Blocks SIGTERM, SIGINT, SIGQUIT, SIGUSR1 and SIGUSR2 in the calling thread, so
 * that all threads started later inherit it, and ignores SIGPIPE. Call it first thing in main(). */
void serve_block_signals(void);

/* Serves until SIGTERM, SIGINT or SIGQUIT, or until serve_stop(); then finishes the requests
 * in flight and returns. before_drain (may be NULL) runs when the end was asked
 * for, before the threads are waited for (to wake handlers that wait). */
enum err_code serve_fastcgi(const struct serve *s, void (*before_drain)(void *app), struct err *e);

/* Asks a running serve_fastcgi() to end, from any thread. */
void serve_stop(void);

/* Answers the one request that the environment and standard input describe.
 * It came on the listener that DDB_LISTENER names, or else on whichever has
 * a route for it. */
enum err_code serve_cgi(const struct serve *s, struct err *e);

/* Answers that request with a problem document: the program could not start. */
void serve_cgi_refuse(const struct err *e);

/* Answers one request on any carrier: parse, route, check, handle. A request
 * that must not come this way (another origin's page, a write that HAProxy
 * could repeat, a body of another type or size) is refused before its handler. What
 * serve_fastcgi() and serve_cgi() do for each request, and the entry for tests. */
void serve_one(const struct serve *s, enum route_listener listener, const struct request_io *io);

#endif
