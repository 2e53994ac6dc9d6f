#include "lib/http/request.h"
#include "lib/base/clock.h"
#include "lib/http/route.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 8192

static const char *variable(const struct request *r, const char *name)
{
	const char *value = r->io->get(r->io->carrier, name);
	return value && *value ? value : NULL;
}

/* Where the path begins as the client sent it, escapes and all, so that an
 * encoded slash in a key stays in the key. *len gets its length without the query. */
static const char *raw_path(const struct request *r, size_t *len)
{
	const char *uri = variable(r, "REQUEST_URI");
	const char *script = variable(r, "SCRIPT_NAME");
	const char *info = variable(r, "PATH_INFO");
	if (!uri)
		uri = info ? info : script ? script : "";
	else if (info && script && strncmp(uri, script, strlen(script)) == 0)
		uri += strlen(script); /* a CGI program below a folder of a web server */
	*len = strcspn(uri, "?#");
	return uri;
}

static enum err_code split_path(struct request *r, const char *raw, size_t len, struct err *e)
{
	if (len == 0 || *raw != '/')
		return err_set(e, ERR_BAD_REQUEST, "the address must begin with a slash");
	r->path = malloc(len + 1);
	if (!r->path)
		return err_set(e, ERR_NOMEM, "no memory for an address of %zu bytes", len);
	char *to = r->path;
	const char *end = raw + len;
	while (raw < end) {
		raw++; /* the slash */
		const char *slash = memchr(raw, '/', (size_t)(end - raw));
		size_t part = (size_t)((slash ? slash : end) - raw);
		if (r->segment_n == REQUEST_SEGMENT_MAX)
			return err_set(e, ERR_NO_ROUTE, "there is nothing at so deep an address");
		size_t room = part + 1 < REQUEST_SEGMENT_LEN ? part + 1 : REQUEST_SEGMENT_LEN;
		if (!url_segment_decode(raw, part, to, room))
			return err_set(e, ERR_BAD_REQUEST,
				"part %zu of the address is not percent-encoded UTF-8 of at most %d bytes", r->segment_n + 1,
				REQUEST_SEGMENT_LEN - 1);
		/* What is in front may have resolved these and checked another path. */
		if (strcmp(to, ".") == 0 || strcmp(to, "..") == 0)
			return err_set(e, ERR_BAD_REQUEST, "'.' and '..' are not allowed in an address");
		r->segment[r->segment_n++] = to;
		to += strlen(to) + 1;
		raw += part;
	}
	return ERR_OK;
}

/* text as a whole number within bounds; *out stays as it is when text is NULL. */
static enum err_code whole_number(const char *text, const char *name, int64_t least, int64_t most, int64_t *out,
	struct err *e)
{
	if (!text)
		return ERR_OK;
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	bool number = (*text == '-' || (*text >= '0' && *text <= '9')) && *end == '\0' && errno == 0;
	if (number && v >= least && v <= most) {
		*out = v;
		return ERR_OK;
	}
	if (most == INT64_MAX)
		return err_set(e, ERR_BAD_REQUEST, "%s must be a whole number from %" PRId64 " on, not '%.40s'", name, least, text);
	return err_set(e, ERR_BAD_REQUEST, "%s must be a whole number from %" PRId64 " to %" PRId64 ", not '%.40s'", name,
		least, most, text);
}

enum err_code request_begin(struct request *r, const struct request_io *io, void *app, struct err *e)
{
	memset(r, 0, offsetof(struct request, query));
	r->io = io;
	r->app = app;
	r->query.n = 0;
	r->query.text = NULL;
	r->route = NULL;
	r->began_us = clock_boot_us();
	r->content_length = 0;
	r->body_taken = false;
	r->stage = RESPONSE_NEW;
	r->status = 200;
	r->gone = false;
	buf_init(&r->head, HEAD_MAX);
	buf_init(&r->out, RESPONSE_OUT_MAX);

	r->method = variable(r, "REQUEST_METHOD");
	if (!r->method)
		r->method = "";
	r->is_head = strcmp(r->method, "HEAD") == 0;
	if (r->is_head)
		r->method = "GET";
	size_t len;
	const char *path = raw_path(r, &len);
	if (whole_number(variable(r, "CONTENT_LENGTH"), "Content-Length", 0, INT64_MAX, &r->content_length, e) != ERR_OK ||
		split_path(r, path, len, e) != ERR_OK)
		return e->code;
	return url_query_parse(&r->query, variable(r, "QUERY_STRING"), e);
}

void request_release(struct request *r)
{
	free(r->path);
	r->path = NULL;
	url_query_release(&r->query);
	buf_release(&r->head);
	buf_release(&r->out);
}

const char *request_header(const struct request *r, const char *cgi_name)
{
	return variable(r, cgi_name);
}

const char *request_param(const struct request *r, const char *name)
{
	return url_query_get(&r->query, name);
}

enum err_code request_param_int(const struct request *r, const char *name, int64_t fallback, int64_t least,
	int64_t most, int64_t *out, struct err *e)
{
	*out = fallback;
	return whole_number(request_param(r, name), name, least, most, out, e);
}

enum err_code request_header_int(const struct request *r, const char *cgi_name, const char *name, int64_t fallback,
	int64_t least, int64_t most, int64_t *out, struct err *e)
{
	*out = fallback;
	return whole_number(request_header(r, cgi_name), name, least, most, out, e);
}

enum err_code request_header_ms(const struct request *r, const char *cgi_name, const char *name, int64_t ceiling,
	int64_t *out, struct err *e)
{
	if (request_header_int(r, cgi_name, name, ceiling, 1, INT64_MAX, out, e) == ERR_OK && *out > ceiling)
		*out = ceiling;
	return e->code;
}

enum err_code request_big_as_string(const struct request *r, bool *out, struct err *e)
{
	const char *big = request_param(r, "big");
	*out = big != NULL;
	if (big && strcmp(big, "string") != 0)
		return err_set(e, ERR_BAD_REQUEST, "big can only be 'string'");
	return ERR_OK;
}

const char *request_path(const struct request *r, const char *name)
{
	const char *p = r->route ? r->route->pattern : "";
	size_t len = strlen(name);
	for (size_t i = 0; *p == '/' && i < r->segment_n; i++) {
		p++;
		size_t part = strcspn(p, "/");
		if (part == len + 2 && *p == '{' && memcmp(p + 1, name, len) == 0)
			return r->segment[i];
		p += part;
	}
	return NULL;
}

enum err_code request_body(struct request *r, size_t max, struct buf *out, struct err *e)
{
	r->body_taken = true;
	if (r->content_length > (int64_t)max)
		return err_set(e, ERR_TOO_BIG, "the body has %" PRId64 " bytes; at most %zu are taken here",
			r->content_length, max);
	size_t left = (size_t)r->content_length;
	if (!buf_reserve(out, left))
		return err_set(e, out->max - out->len < left ? ERR_TOO_BIG : ERR_NOMEM,
			"no room for a body of %zu bytes", left);
	while (left > 0) {
		long got = r->io->read(r->io->carrier, out->data + out->len, left);
		if (got <= 0)
			return err_set(e, ERR_BAD_REQUEST, "the body ended after %" PRId64 " of %" PRId64 " bytes",
				r->content_length - (int64_t)left, r->content_length);
		out->len += (size_t)got;
		left -= (size_t)got;
	}
	out->data[out->len] = '\0';
	return ERR_OK;
}

bool request_client_gone(void *request)
{
	struct request *r = request;
	if (!r->gone && r->io->gone)
		r->gone = r->io->gone(r->io->carrier);
	return r->gone;
}

bool request_from_peers(const struct request *r)
{
	return r->route && r->route->listener == ROUTE_PEERS;
}

bool request_forwarded(const struct request *r)
{
	return variable(r, "DDB_FORWARDED") != NULL;
}

bool request_last_resort(const struct request *r)
{
	const char *value = variable(r, "DDB_LAST_RESORT");
	return value && strcmp(value, "1") == 0;
}

bool request_retried_way(const struct request *r)
{
	const char *value = variable(r, "HTTP_DDB_ROUTE");
	return value && strcmp(value, "reads") == 0;
}
