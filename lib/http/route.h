/* Which request is answered by which program: rows of one table
 * (lib/api/routes.c), matched here. The table holds no functions, so that a
 * program links only what it may do: each program has an array of handlers
 * beside the table (cgi/NAME.c), with entries for its own rows. The table is
 * also the source for the tests that hold nginx's and HAProxy's configuration
 * against it (`PROGRAM --routes` prints it). */
#ifndef DDB_HTTP_ROUTE_H
#define DDB_HTTP_ROUTE_H

#include "lib/http/request.h"

#include <stdio.h>

enum route_program { ROUTE_WRITE, ROUTE_READ, ROUTE_STATUS };

/* On which socket of the program the request must arrive. */
enum route_listener { ROUTE_PUBLIC, ROUTE_PEERS, ROUTE_HEALTH };

/* Whose business it is: HAProxy's backend, and what a node does that is not it. */
enum route_backend {
	ROUTE_READS,      /* any node in sync; others pass it to the master */
	ROUTE_WRITES,     /* the master; others pass it on */
	ROUTE_NODE        /* the node that was asked, about itself; not balanced */
};

/* What the caller must be allowed to do (design section 11). */
enum route_access { ROUTE_ANYONE, ROUTE_READER, ROUTE_WRITER, ROUTE_ADMIN, ROUTE_PEER };

struct route {
	const char *method;           /* GET answers HEAD too */
	const char *pattern;          /* "/v1/db/{db}/tables/{table}/rows" */
	enum route_program program;
	enum route_listener listener;
	enum route_backend backend;
	enum route_access access;
	size_t body_max;              /* bytes; 0: takes no body. On the public socket the setting
	                               * body_bytes bounds it too */
	const char *does;             /* a sentence for people */
};

/* Answers one request completely; everything that went wrong included. */
typedef void route_handler(struct request *r);

/* Finds the row for r->method and r's segments on this listener, whichever
 * program it belongs to; NULL when there is none. allow then lists the methods
 * that the address has there ("GET, HEAD, POST"); it stays empty if the address is unknown. */
const struct route *route_find(const struct route *table, size_t n, enum route_listener listener,
	const struct request *r, struct buf *allow);

/* Names for people and for the printed table. */
const char *route_program_name(enum route_program p);
const char *route_listener_name(enum route_listener l);
const char *route_backend_name(enum route_backend b);
const char *route_access_name(enum route_access a);

/* Prints one line a row: method, pattern, program, listener, backend, access,
 * body limit, separated by tabs. */
void route_print(const struct route *table, size_t n, FILE *to);

#endif
