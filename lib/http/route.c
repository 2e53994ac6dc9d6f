#include "lib/http/route.h"

#include <string.h>

static const char *const program_names[] = {"write", "read", "status"};
static const char *const listener_names[] = {"public", "peers", "health"};
static const char *const backend_names[] = {"reads", "writes", "node"};
static const char *const access_names[] = {"anyone", "reader", "writer", "admin", "peer"};

/* Whether r's segments fit the pattern. A name in braces matches one segment
 * that is not empty; {key}, being last, also the empty text, which is a key
 * like any other. */
static bool fits(const char *pattern, const struct request *r)
{
	for (size_t i = 0; i < r->segment_n; i++) {
		if (*pattern++ != '/')
			return false;
		size_t len = strcspn(pattern, "/");
		const char *segment = r->segment[i];
		bool named = *pattern == '{';
		if (named && *segment == '\0' && strncmp(pattern, "{key}", 5) != 0)
			return false;
		if (!named && (strlen(segment) != len || memcmp(segment, pattern, len) != 0))
			return false;
		pattern += len;
	}
	return *pattern == '\0' && r->segment_n > 0;
}

static void add_method(struct buf *allow, const char *method)
{
	if (allow->len > 0)
		buf_add_str(allow, ", ");
	buf_add_str(allow, method);
	if (strcmp(method, "GET") == 0)
		buf_add_str(allow, ", HEAD");
}

const struct route *route_find(const struct route *table, size_t n, enum route_listener listener,
	const struct request *r, struct buf *allow)
{
	for (const struct route *row = table; row < table + n; row++) {
		if (row->listener != listener || !fits(row->pattern, r))
			continue;
		if (strcmp(row->method, r->method) == 0)
			return row;
		add_method(allow, row->method);
	}
	return NULL;
}

const char *route_program_name(enum route_program p)
{
	return program_names[p];
}

const char *route_listener_name(enum route_listener l)
{
	return listener_names[l];
}

const char *route_backend_name(enum route_backend b)
{
	return backend_names[b];
}

const char *route_access_name(enum route_access a)
{
	return access_names[a];
}

void route_print(const struct route *table, size_t n, FILE *to)
{
	for (const struct route *row = table; row < table + n; row++)
		fprintf(to, "%s\t%s\t%s\t%s\t%s\t%s\t%zu\n", row->method, row->pattern,
			route_program_name(row->program), route_listener_name(row->listener),
			route_backend_name(row->backend), route_access_name(row->access), row->body_max);
}
