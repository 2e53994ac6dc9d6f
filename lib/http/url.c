#include "lib/http/url.h"
#include "lib/base/jsonw.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes len bytes into out, which must have room for as many. Returns the
 * decoded length, -1 for a malformed escape, a NUL or text that is not UTF-8. */
static long decode(const char *raw, size_t len, bool plus_is_space, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = raw[i];
		if (c == '%') {
			int high = len - i > 2 ? hex_digit(raw[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(raw[i + 2]) : -1;
			if (high < 0 || low < 0)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (c == '\0')
			return -1;
		out[n++] = c;
	}
	return jsonw_utf8_ok(out, n) ? (long)n : -1;
}

static enum err_code take_param(struct url_query *q, const char *raw, size_t len, char **to, struct err *e)
{
	const char *equals = memchr(raw, '=', len);
	size_t name_len = equals ? (size_t)(equals - raw) : len;
	size_t value_len = equals ? len - name_len - 1 : 0;
	char *name = *to;
	long got = decode(raw, name_len, true, name);
	if (got < 0)
		return err_set(e, ERR_BAD_REQUEST, "the name of a query parameter is not percent-encoded UTF-8");
	name[got] = '\0';
	char *value = name + got + 1;
	got = equals ? decode(equals + 1, value_len, true, value) : 0;
	if (got < 0)
		return err_set(e, ERR_BAD_REQUEST, "the value of the query parameter '%.60s' is not percent-encoded UTF-8",
			name);
	value[got] = '\0';
	*to = value + got + 1;
	q->param[q->n++] = (struct url_param){name, value};
	return ERR_OK;
}

enum err_code url_query_parse(struct url_query *q, const char *raw, struct err *e)
{
	q->n = 0;
	q->text = NULL;
	if (!raw || *raw == '\0')
		return ERR_OK;
	/* Decoding never makes text longer; each parameter needs two NULs, and has
	 * its '&' and mostly its '=' to spare. */
	q->text = malloc(strlen(raw) + 2 * URL_PARAM_MAX + 2);
	if (!q->text)
		return err_set(e, ERR_NOMEM, "no memory for a query string of %zu bytes", strlen(raw));
	char *to = q->text;
	while (*raw) {
		size_t len = strcspn(raw, "&");
		if (len > 0 && q->n == URL_PARAM_MAX)
			err_set(e, ERR_BAD_REQUEST, "a query string may hold %d parameters at the most", URL_PARAM_MAX);
		else if (len > 0)
			take_param(q, raw, len, &to, e);
		if (e->code != ERR_OK) {
			url_query_release(q);
			return e->code;
		}
		raw += len;
		raw += *raw == '&';
	}
	return ERR_OK;
}

void url_query_release(struct url_query *q)
{
	free(q->text);
	q->text = NULL;
	q->n = 0;
}

const char *url_query_get(const struct url_query *q, const char *name)
{
	for (size_t i = 0; i < q->n; i++)
		if (strcmp(q->param[i].name, name) == 0)
			return q->param[i].value;
	return NULL;
}

bool url_segment_decode(const char *raw, size_t len, char *out, size_t size)
{
	if (len < size) {
		long got = decode(raw, len, false, out);
		out[got < 0 ? 0 : got] = '\0';
		return got >= 0;
	}
	/* It may fit once its escapes are decoded, but not beyond a third. */
	if (len > 3 * (size - 1))
		return false;
	char *whole = malloc(len + 1);
	if (!whole)
		return false;
	long got = decode(raw, len, false, whole);
	bool fits = got >= 0 && (size_t)got < size;
	if (fits) {
		memcpy(out, whole, (size_t)got);
		out[got] = '\0';
	}
	free(whole);
	return fits;
}

void url_encode(struct buf *b, const char *text, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
			c == '.' || c == '_' || c == '~';
		if (plain) {
			buf_add_char(b, (char)c);
		} else {
			char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
			buf_add(b, escape, sizeof escape);
		}
	}
}
