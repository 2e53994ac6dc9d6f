/* Values of filters: text as it is meant for a column. */
#include "lib/api/filter_parts.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A JSON number's grammar, which is narrower than SQLite's: 007 stays a text. */
static bool looks_like_number(const char *s, bool *whole)
{
	*whole = true;
	s += *s == '-';
	if (*s < '0' || *s > '9')
		return false;
	if (*s == '0')
		s++;
	else
		s += strspn(s, "0123456789");
	if (*s == '.') {
		*whole = false;
		size_t digits = strspn(s + 1, "0123456789");
		if (digits == 0)
			return false;
		s += 1 + digits;
	}
	if (*s == 'e' || *s == 'E') {
		*whole = false;
		s += 1 + (s[1] == '+' || s[1] == '-');
		size_t digits = strspn(s, "0123456789");
		if (digits == 0)
			return false;
		s += digits;
	}
	return *s == '\0';
}

static json_t *real_value(double v)
{
	if (v > 1.7976931348623157e308 || v < -1.7976931348623157e308)
		return json_pack("{s:s}", "real", v > 0 ? "Infinity" : "-Infinity");
	return json_real(v);
}

/* NULL when text is no number. */
static json_t *number_value(const char *text)
{
	bool whole;
	if (!looks_like_number(text, &whole))
		return NULL;
	errno = 0;
	long long v = strtoll(text, NULL, 10);
	if (whole && errno == 0)
		return json_integer(v);
	return real_value(strtod(text, NULL));
}

/* \x and hex digits; NULL when text is not that. */
static json_t *blob_value(const char *text)
{
	size_t digits = strlen(text) - 2, len;
	if (strncmp(text, "\\x", 2) != 0 || digits % 2 != 0 || strspn(text + 2, "0123456789abcdefABCDEF") != digits)
		return NULL;
	size_t room = sodium_base64_encoded_len(digits / 2, sodium_base64_VARIANT_ORIGINAL);
	unsigned char *data = malloc(digits / 2 + 1);
	char *base64 = malloc(room);
	json_t *v = NULL;
	if (data && base64 && sodium_hex2bin(data, digits / 2 + 1, text + 2, digits, NULL, &len, NULL) == 0) {
		sodium_bin2base64(base64, room, data, len, sodium_base64_VARIANT_ORIGINAL);
		v = json_pack("{s:s}", "blob", base64);
	}
	free(data);
	free(base64);
	return v;
}

enum schema_affinity filter_affinity(const struct schema_table *t, int column)
{
	return column == SCHEMA_THE_ROWID ? SCHEMA_NUMERIC : t->column[column].affinity;
}

json_t *filter_plain_value(const struct schema_table *t, int column, const char *text)
{
	enum schema_affinity a = filter_affinity(t, column);
	json_t *v = NULL;
	if (a != SCHEMA_TEXTUAL)
		v = number_value(text);
	if (!v && a == SCHEMA_NONE && strlen(text) >= 2)
		v = blob_value(text);
	if (!v && column >= 0 && t->column[column].boolean && (!strcmp(text, "true") || !strcmp(text, "false")))
		v = json_integer(*text == 't');
	return v ? v : json_string(text);
}

bool filter_unquote(const char **at, char *to, bool doubled)
{
	const char *s = *at + 1;
	while (*s) {
		if (*s == '"' && !(doubled && s[1] == '"')) {
			*to = '\0';
			*at = s + 1;
			return true;
		}
		if ((doubled && *s == '"') || (!doubled && *s == '\\' && s[1]))
			s++;
		*to++ = *s++;
	}
	return false;
}

json_t *filter_value(const struct schema_table *t, int column, const char *text)
{
	const char *end = text;
	if (filter_affinity(t, column) != SCHEMA_NONE || *text != '"')
		return filter_plain_value(t, column, text);
	char *inner = malloc(strlen(text) + 1);
	json_t *v = NULL;
	if (inner && filter_unquote(&end, inner, false) && *end == '\0')
		v = json_string(inner);
	free(inner);
	return v ? v : json_string(text);
}
