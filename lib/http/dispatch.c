/* One request from its first byte to its last: parse, route, check, handle.
 * And the simplest carrier: plain CGI. */
#include "lib/base/clock.h"
#include "lib/http/serve.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The address is known, but this listener or program is not the one for it. */
static enum err_code no_route(const struct serve *s, enum route_listener listener, struct request *r,
	const struct buf *allow, struct err *e)
{
	if (allow->len > 0) {
		response_header(r, "Allow", allow->data);
		return err_set(e, ERR_METHOD, "this address takes %s", allow->data);
	}
	const char *program = route_program_name(s->program);
	if (listener != ROUTE_PUBLIC)
		return err_set(e, ERR_NO_ROUTE, "there is nothing at this address on the %s listener of %s",
			route_listener_name(listener), program);
	return err_set(e, ERR_NO_ROUTE, "there is nothing at this address; see the list of addresses in the manual");
}

/* Whether a page of another origin made its browser send this. Browsers add
 * Origin to everything that is not a simple read, scripts and tools do not. */
static bool foreign_origin(const struct request *r)
{
	const char *origin = request_header(r, "HTTP_ORIGIN");
	if (!origin)
		return false;
	const char *host = request_header(r, "HTTP_HOST");
	const char *name = strstr(origin, "://");
	return !host || !name || strcasecmp(name + 3, host) != 0;
}

static bool is_json(const struct request *r)
{
	const char *type = request_header(r, "CONTENT_TYPE");
	if (!type)
		return false;
	size_t len = strcspn(type, "; \t");
	return len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0;
}

static enum err_code check_body(const struct serve *s, const struct request *r, struct err *e)
{
	const struct route *route = r->route;
	if (r->content_length == 0)
		return ERR_OK;
	if (strcmp(r->method, "GET") == 0)
		return ERR_OK; /* it has no meaning and is not read */
	if (route->body_max == 0)
		return err_set(e, ERR_BAD_REQUEST, "%s takes no body here", r->method);
	size_t most = route->body_max;
	if (route->listener == ROUTE_PUBLIC && most > s->body_max)
		most = s->body_max;
	if ((uint64_t)r->content_length > most)
		return err_set(e, ERR_TOO_BIG, "the body has %lld bytes; this address takes %zu at the most",
			(long long)r->content_length, most);
	if (route->listener == ROUTE_PUBLIC && !is_json(r))
		return err_set(e, ERR_MEDIA, "the body must come with Content-Type: application/json");
	return ERR_OK;
}

/* What is refused whatever the handler is. */
static enum err_code check(const struct serve *s, const struct request *r, struct err *e)
{
	const struct route *route = r->route;
	bool reads = strcmp(r->method, "GET") == 0;
	if (route->listener == ROUTE_PUBLIC && !reads) {
		if (foreign_origin(r))
			return err_set(e, ERR_ORIGIN, "a page of %.200s may not send %s requests to this address",
				request_header(r, "HTTP_ORIGIN"), r->method);
		if (route->backend == ROUTE_WRITES && request_retried_way(r))
			return err_set(e, ERR_MISDIRECTED,
				"a write came by the way of the reads, on which HAProxy may repeat a request; nothing was done");
	}
	return check_body(s, r, e);
}

static void answer(const struct serve *s, enum route_listener listener, struct request *r, struct err *e)
{
	struct buf allow = BUF_INIT(256);
	const struct route *route = e->code ? NULL : route_find(s->table, s->table_n, listener, r, &allow);
	if (!e->code && !route)
		no_route(s, listener, r, &allow, e);
	buf_release(&allow);
	size_t i = route ? (size_t)(route - s->table) : 0;
	if (route && (route->program != s->program || !s->handler[i]))
		err_set(e, ERR_MISDIRECTED, "this address is answered by the program %s, not by %s",
			route_program_name(route->program), route_program_name(s->program));
	r->route = route;
	if (!e->code)
		check(s, r, e);
	if (e->code)
		response_problem(r, e);
	else
		s->handler[i](r);
	response_end(r);
}

void serve_one(const struct serve *s, enum route_listener listener, const struct request_io *io)
{
	struct request r;
	struct err e = ERR_INIT;
	request_begin(&r, io, s->app, &e);
	answer(s, listener, &r, &e);
	request_release(&r);
}

/* ---- plain CGI ---- */

static const char *cgi_get(void *carrier, const char *variable)
{
	return getenv(variable);
}

static long cgi_read(void *carrier, char *to, size_t len)
{
	return (long)read(STDIN_FILENO, to, len);
}

static bool cgi_write(void *carrier, const char *data, size_t len)
{
	return fwrite(data, 1, len, stdout) == len;
}

static void cgi_cut(void *carrier)
{
	*(bool *)carrier = true;
}

/* The listener that the request would have come to. The peers' one only when
 * it is named: a web server that runs DDB as CGI must not offer it by accident. */
static enum route_listener cgi_listener(const struct serve *s, const struct request_io *io)
{
	const char *named = getenv("DDB_LISTENER");
	if (named && strcmp(named, "peers") == 0)
		return ROUTE_PEERS;
	struct request r;
	struct err e = ERR_INIT;
	struct buf allow = BUF_INIT(256);
	request_begin(&r, io, s->app, &e);
	bool health = e.code == ERR_OK && route_find(s->table, s->table_n, ROUTE_HEALTH, &r, &allow);
	request_release(&r);
	buf_release(&allow);
	return health ? ROUTE_HEALTH : ROUTE_PUBLIC;
}

static const struct request_io cgi_io = {
	.get = cgi_get, .read = cgi_read, .write = cgi_write, .cut = cgi_cut,
};

void serve_cgi_refuse(const struct err *e)
{
	struct request r;
	struct err ignored = ERR_INIT;
	bool was_cut = false;
	struct request_io io = cgi_io;
	io.carrier = &was_cut;
	request_begin(&r, &io, NULL, &ignored);
	response_problem(&r, e);
	response_end(&r);
	request_release(&r);
	fflush(stdout);
}

enum err_code serve_cgi(const struct serve *s, struct err *e)
{
	bool was_cut = false;
	struct request_io io = cgi_io;
	io.carrier = &was_cut;
	serve_one(s, cgi_listener(s, &io), &io);
	if (fflush(stdout) != 0 || was_cut)
		return err_set(e, ERR_IO, "the answer could not be written whole");
	return ERR_OK;
}
