#include "lib/base/jsonw.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void jsonw_string(struct buf *b, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	buf_add_char(b, '"');
	size_t from = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c >= ' ' && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_add(b, text + from, i - from);
		from = i + 1;
		switch (c) {
		case '"': buf_add(b, "\\\"", 2); break;
		case '\\': buf_add(b, "\\\\", 2); break;
		case '\n': buf_add(b, "\\n", 2); break;
		case '\r': buf_add(b, "\\r", 2); break;
		case '\t': buf_add(b, "\\t", 2); break;
		default: {
			char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
			buf_add(b, u, sizeof u);
		}
		}
	}
	buf_add(b, text + from, len - from);
	buf_add_char(b, '"');
}

void jsonw_str(struct buf *b, const char *text)
{
	if (text)
		jsonw_string(b, text, strlen(text));
	else
		buf_add(b, "null", 4);
}

void jsonw_int(struct buf *b, int64_t v)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%lld", (long long)v);
	buf_add(b, digits, (size_t)len);
}

void jsonw_real(struct buf *b, double v)
{
	if (isnan(v)) {
		buf_add_str(b, "{\"real\":\"NaN\"}");
		return;
	}
	if (isinf(v)) {
		buf_add_str(b, v > 0 ? "{\"real\":\"Infinity\"}" : "{\"real\":\"-Infinity\"}");
		return;
	}
	char digits[40];
	int len = snprintf(digits, sizeof digits, "%.17g", v);
	buf_add(b, digits, (size_t)len);
	if (!memchr(digits, '.', (size_t)len) && !memchr(digits, 'e', (size_t)len))
		buf_add(b, ".0", 2);
}

void jsonw_blob(struct buf *b, const void *data, size_t len)
{
	size_t room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	buf_add_str(b, "{\"blob\":\"");
	char *to = buf_reserve(b, room);
	if (to) {
		sodium_bin2base64(to, room, data, len, sodium_base64_VARIANT_ORIGINAL);
		b->len += room - 1; /* the length counts the NUL */
	}
	buf_add_str(b, "\"}");
}

bool jsonw_utf8_ok(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	for (size_t i = 0; i < len;) {
		unsigned char c = s[i];
		if (c < 0x80) {
			i++;
			continue;
		}
		size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		if (c < 0xc2 || c > 0xf4 || len - i <= more)
			return false;
		/* the second byte excludes overlong forms, surrogates and beyond U+10FFFF */
		unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
		if (s[i + 1] < low || s[i + 1] > high)
			return false;
		for (size_t k = 2; k <= more; k++)
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
		i += more + 1;
	}
	return true;
}
