/* A client for unit tests of handlers: a carrier of requests (lib/http/request.h)
 * that gives what the test put in and keeps what comes out. */
#ifndef DDB_T_CLIENT_H
#define DDB_T_CLIENT_H

#include "lib/http/serve.h"

#include <stdlib.h>
#include <string.h>

#define CLIENT_VARIABLES 16

/* A client as the test wants it. */
struct client {
	const char *name[CLIENT_VARIABLES], *value[CLIENT_VARIABLES];
	size_t n;
	const char *body;
	size_t body_len, body_at;
	struct buf got;              /* the whole answer, head and body */
	int writes;
	size_t gone_after;           /* bytes after which the client goes away; 0: never */
	bool was_cut;
};

static inline const char *client_get(void *carrier, const char *variable)
{
	struct client *c = carrier;
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->name[i], variable) == 0)
			return c->value[i];
	return NULL;
}

static inline long client_read(void *carrier, char *to, size_t len)
{
	struct client *c = carrier;
	size_t left = c->body_len - c->body_at;
	size_t part = left < len ? left : len;
	if (part > 1000)
		part = 1000;
	memcpy(to, c->body + c->body_at, part);
	c->body_at += part;
	return (long)part;
}

static inline bool client_write(void *carrier, const char *data, size_t len)
{
	struct client *c = carrier;
	if (c->gone_after && c->got.len + len > c->gone_after)
		return false;
	buf_add(&c->got, data, len);
	c->writes++;
	return true;
}

static inline bool client_gone(void *carrier)
{
	struct client *c = carrier;
	return c->gone_after > 0;
}

static inline void client_cut(void *carrier)
{
	((struct client *)carrier)->was_cut = true;
}

static const struct request_io client_io = {
	.get = client_get, .read = client_read, .write = client_write, .gone = client_gone, .cut = client_cut,
};

static inline void client_init(struct client *c, const char *method, const char *uri)
{
	memset(c, 0, sizeof *c);
	buf_init(&c->got, 64 * 1024 * 1024);
	c->name[0] = "REQUEST_METHOD";
	c->value[0] = method;
	c->name[1] = "REQUEST_URI";
	c->value[1] = uri;
	c->name[2] = "QUERY_STRING";
	c->value[2] = strchr(uri, '?') ? strchr(uri, '?') + 1 : "";
	c->n = 3;
}

static inline void client_set(struct client *c, const char *name, const char *value)
{
	c->name[c->n] = name;
	c->value[c->n++] = value;
}

/* A JSON body whose Content-Length says what length says. */
static inline void client_body(struct client *c, const char *body, size_t len, const char *length)
{
	c->body = body;
	c->body_len = len;
	client_set(c, "CONTENT_LENGTH", length);
	client_set(c, "CONTENT_TYPE", "application/json; charset=utf-8");
}

static inline int status_of(const struct client *c)
{
	return c->got.data && strncmp(c->got.data, "Status: ", 8) == 0 ? atoi(c->got.data + 8) : 0;
}

static inline const char *body_of(const struct client *c)
{
	const char *blank = c->got.data ? strstr(c->got.data, "\r\n\r\n") : NULL;
	return blank ? blank + 4 : "";
}

static inline bool has(const struct client *c, const char *text)
{
	return c->got.data && strstr(c->got.data, text);
}

/* Has s answer it on that listener; the status. */
static inline int client_run(struct client *c, const struct serve *s, enum route_listener listener)
{
	struct request_io io = client_io;
	io.carrier = c;
	serve_one(s, listener, &io);
	return status_of(c);
}

#endif
