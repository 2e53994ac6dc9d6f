#include "lib/base/jsonw.h"
#include "lib/base/log.h"
#include "lib/http/request.h"
#include "lib/http/route.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_LEN 2048
#define HEAD_SPARE 256    /* bytes kept free for the headers added here */

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"}, {201, "Created"}, {204, "No Content"}, {302, "Found"}, {304, "Not Modified"},
	{400, "Bad Request"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
	{409, "Conflict"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"},
	{421, "Misdirected Request"}, {422, "Unprocessable Content"}, {425, "Too Early"},
	{500, "Internal Server Error"}, {503, "Service Unavailable"}, {507, "Insufficient Storage"},
};

static const char *reason(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return status < 400 ? "OK" : "Error";
}

/* The line of that header in r->head, NULL if it was not set; *len counts its line end. */
static char *head_line(const struct request *r, const char *name, size_t *len)
{
	size_t name_len = strlen(name);
	char *line = r->head.data;
	while (line && *line) {
		char *end = strstr(line, "\r\n");
		if (!end)
			return NULL;
		end += 2;
		if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
			*len = (size_t)(end - line);
			return line;
		}
		line = end;
	}
	return NULL;
}

static bool head_has(const struct request *r, const char *name)
{
	size_t len;
	return head_line(r, name, &len) != NULL;
}

static void head_drop(struct request *r, const char *name)
{
	size_t len;
	char *line;
	while ((line = head_line(r, name, &len))) {
		memmove(line, line + len, strlen(line + len) + 1);
		r->head.len -= len;
	}
}

void response_status(struct request *r, int status)
{
	r->status = status;
}

void response_header(struct request *r, const char *name, const char *value)
{
	if (r->stage != RESPONSE_NEW)
		return;
	buf_add_str(&r->head, name);
	buf_add_str(&r->head, ": ");
	for (; *value; value++)
		if ((unsigned char)*value >= ' ' && *value != 0x7f)
			buf_add_char(&r->head, *value);
	buf_add_str(&r->head, "\r\n");
}

void response_headerf(struct request *r, const char *name, const char *fmt, ...)
{
	char value[LINE_MAX_LEN];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(value, sizeof value, fmt, ap);
	va_end(ap);
	response_header(r, name, value);
}

static bool put(struct request *r, const void *data, size_t len)
{
	if (len > 0 && !r->gone && !r->io->write(r->io->carrier, data, len))
		r->gone = true;
	return !r->gone;
}

/* Ends the connection within the body: no client may take what it got for whole. */
static void cut(struct request *r)
{
	r->stage = RESPONSE_DONE;
	r->gone = true;
	if (r->io->cut)
		r->io->cut(r->io->carrier);
}

static bool head_too_long(const struct request *r)
{
	return r->head.failed || r->head.max - r->head.len < HEAD_SPARE;
}

/* Sends the head; length < 0: not known yet. */
static void put_head(struct request *r, int64_t length)
{
	char line[96];
	int len = snprintf(line, sizeof line, "Status: %d %s\r\n", r->status, reason(r->status));
	put(r, line, (size_t)len);
	if (length > 0 && !head_has(r, "Content-Type"))
		response_header(r, "Content-Type", "text/plain; charset=utf-8");
	/* (nginx would add it to the answer of the one that the request is passed on to) */
	if (!head_has(r, "Cache-Control") && !head_has(r, "X-Accel-Redirect"))
		response_header(r, "Cache-Control", "no-store");
	put(r, r->head.data, r->head.len);
	len = length < 0 ? snprintf(line, sizeof line, "\r\n") :
		snprintf(line, sizeof line, "Content-Length: %lld\r\n\r\n", (long long)length);
	put(r, line, (size_t)len);
}

static void fail(struct request *r, enum err_code code, const char *text)
{
	struct err e = ERR_INIT;
	err_set(&e, code, "%s", text);
	response_problem(r, &e);
}

/* Sends all of r->out. False when nothing more can or need be sent. */
static bool send_out(struct request *r)
{
	if (r->stage == RESPONSE_DONE)
		return false;
	if (r->out.failed || head_too_long(r)) {
		fail(r, ERR_NOMEM, "there was no memory for the answer");
		return false;
	}
	if (r->stage == RESPONSE_NEW) {
		put_head(r, -1);
		r->stage = RESPONSE_SENDING;
		if (r->is_head) {
			/* Whoever streams may stop: the rest would not be sent. */
			r->stage = RESPONSE_DONE;
			return false;
		}
	}
	put(r, r->out.data, r->out.len);
	buf_reset(&r->out);
	return !r->gone;
}

bool response_flush(struct request *r)
{
	if (r->stage == RESPONSE_DONE || r->gone)
		return false;
	return (r->out.len < RESPONSE_PIECE && !r->out.failed) || send_out(r);
}

bool response_write(struct request *r, const void *data, size_t len)
{
	if (r->stage == RESPONSE_DONE || r->gone)
		return false;
	buf_add(&r->out, data, len);
	return response_flush(r);
}

/* Sends the whole answer, its body being data. */
static void send_whole(struct request *r, const char *data, size_t len)
{
	if (head_too_long(r)) {
		fail(r, ERR_INTERNAL, "the answer's head was too long");
		return;
	}
	put_head(r, r->status == 204 || r->status == 304 ? -1 : (int64_t)len);
	if (!r->is_head)
		put(r, data, len);
	r->stage = RESPONSE_DONE;
}

void response_end(struct request *r)
{
	if (r->stage == RESPONSE_SENDING)
		send_out(r);
	else if (r->stage == RESPONSE_NEW && (r->out.failed || r->out.len > RESPONSE_PIECE))
		send_out(r);
	else if (r->stage == RESPONSE_NEW)
		send_whole(r, r->out.data, r->out.len);
	r->stage = RESPONSE_DONE;
}

void response_json(struct request *r, int status, const struct buf *body)
{
	if (r->stage != RESPONSE_NEW)
		return;
	if (body->failed) {
		fail(r, ERR_TOO_BIG, "the answer is larger than is allowed");
		return;
	}
	r->status = status;
	response_header(r, "Content-Type", "application/json");
	send_whole(r, body->data, body->len);
}

/* Adds text as a JSON string, whatever bytes it holds (a message may have been
 * cut in the middle of a character). */
static void add_text(struct buf *b, const char *text)
{
	char clean[sizeof ((struct err *)0)->text];
	size_t n = 0;
	while (*text && n + 4 < sizeof clean) {
		size_t left = strlen(text), k = 1;
		while (k <= 4 && k <= left && !jsonw_utf8_ok(text, k))
			k++;
		if (k > 4 || k > left) {
			clean[n++] = '?';
			text++;
			continue;
		}
		memcpy(clean + n, text, k);
		n += k;
		text += k;
	}
	jsonw_string(b, clean, n);
}

void response_problem(struct request *r, const struct err *e)
{
	if (r->stage == RESPONSE_DONE)
		return;
	int status = err_status(e->code);
	const char *id = request_header(r, "REQUEST_ID"); /* by which HAProxy's and nginx's logs name it, too */
	/* what HAProxy would count as this server's fault, and what ends an answer midway, must be found in the log */
	if (status == 500 || status == 507 || r->stage == RESPONSE_SENDING)
		log_warn("answer.failed", "request=%s method=%s route=\"%s\" code=%s text=\"%s\"",
			id ? id : "-", r->method, r->route ? r->route->pattern : "-", err_name(e->code), e->text);
	if (r->stage == RESPONSE_SENDING) {
		cut(r);
		return;
	}
	if (head_too_long(r))
		buf_reset(&r->head);
	static const char *const drop[] = {"Content-Type", "Cache-Control", "ETag", "Last-Modified",
		"Location", "X-Accel-Redirect", "X-DDB-Master"};
	for (size_t i = 0; i < sizeof drop / sizeof *drop; i++)
		head_drop(r, drop[i]);
	buf_reset(&r->out);
	struct buf body = BUF_INIT(8192);
	buf_addf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":",
		err_title(e->code), status, err_name(e->code));
	add_text(&body, e->text);
	if (e->statement >= 0)
		buf_addf(&body, ",\"statement\":%d", e->statement);
	if (e->row >= 0)
		buf_addf(&body, ",\"row\":%d", e->row);
	if (e->offset >= 0)
		buf_addf(&body, ",\"offset\":%d", e->offset);
	buf_add_str(&body, "}\n");
	r->status = status;
	response_header(r, "Content-Type", "application/problem+json");
	if (status == 503)
		response_header(r, "Retry-After", "1");
	send_whole(r, body.data, body.len);
	buf_release(&body);
}

void response_forward(struct request *r, const char *master_host)
{
	if (r->stage != RESPONSE_NEW)
		return;
	buf_reset(&r->head);
	buf_reset(&r->out);
	r->status = 200;
	response_header(r, "X-Accel-Redirect", "@master");
	response_header(r, "X-DDB-Master", master_host);
	send_whole(r, NULL, 0);
}
