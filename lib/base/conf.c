#include "lib/base/conf.h"
#include "lib/base/file.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONF_FILE_MAX 65536

struct setting_number {
	const char *key;
	size_t offset;
	int64_t value, least, most;
};

static const struct setting_number numbers[] = {
#define X(key, value, least, most, text) {#key, offsetof(struct conf, key), value, least, most},
	CONF_NUMBERS(X)
#undef X
};
#define NUMBER_N (sizeof numbers / sizeof *numbers)

static const struct setting_text {
	const char *key;
	size_t offset, size;
} texts[] = {
	{"name", offsetof(struct conf, name), sizeof ((struct conf *)0)->name},
	{"data", offsetof(struct conf, data), sizeof ((struct conf *)0)->data},
	{"run", offsetof(struct conf, run), sizeof ((struct conf *)0)->run},
	{"url", offsetof(struct conf, url), sizeof ((struct conf *)0)->url},
	{"peer_url", offsetof(struct conf, peer_url), sizeof ((struct conf *)0)->peer_url},
};
#define TEXT_N (sizeof texts / sizeof *texts)

void conf_init(struct conf *c)
{
	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < NUMBER_N; i++)
		*(int64_t *)((char *)c + numbers[i].offset) = numbers[i].value;
}

static bool set_number(struct conf *c, const struct setting_number *s, const char *value, struct err *e,
	const char *where)
{
	char *end;
	errno = 0;
	long long v = strtoll(value, &end, 10);
	if (*value == '\0' || *end != '\0' || errno || v < s->least || v > s->most) {
		err_set(e, ERR_BAD_VALUE, "%s: %s must be a whole number from %lld to %lld, not '%s'", where,
			s->key, (long long)s->least, (long long)s->most, value);
		return false;
	}
	*(int64_t *)((char *)c + s->offset) = v;
	return true;
}

/* Sets one key; seen holds a flag per key (numbers, then texts, then alone). */
static bool set_one(struct conf *c, const char *key, const char *value, bool *seen, struct err *e,
	const char *where)
{
	size_t at = NUMBER_N + TEXT_N;
	for (size_t i = 0; i < NUMBER_N; i++)
		if (strcmp(key, numbers[i].key) == 0)
			at = i;
	for (size_t i = 0; i < TEXT_N; i++)
		if (strcmp(key, texts[i].key) == 0)
			at = NUMBER_N + i;
	if (at == NUMBER_N + TEXT_N && strcmp(key, "alone") != 0) {
		err_set(e, ERR_BAD_VALUE, "%s: there is no setting '%s'", where, key);
		return false;
	}
	if (seen[at]) {
		err_set(e, ERR_BAD_VALUE, "%s: '%s' is set twice", where, key);
		return false;
	}
	seen[at] = true;
	if (at < NUMBER_N)
		return set_number(c, &numbers[at], value, e, where);
	if (at == NUMBER_N + TEXT_N) {
		if (strcmp(value, "wait") != 0 && strcmp(value, "go") != 0) {
			err_set(e, ERR_BAD_VALUE, "%s: alone must be wait or go, not '%s'", where, value);
			return false;
		}
		c->alone = value[0] == 'g' ? CONF_ALONE_GO : CONF_ALONE_WAIT;
		return true;
	}
	const struct setting_text *t = &texts[at - NUMBER_N];
	if (*value == '\0' || strlen(value) >= t->size) {
		err_set(e, ERR_BAD_VALUE, "%s: %s must have 1 to %zu characters", where, key, t->size - 1);
		return false;
	}
	memcpy((char *)c + t->offset, value, strlen(value) + 1);
	return true;
}

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	char *end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s;
}

static bool name_ok(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
	return *name != '\0';
}

enum err_code conf_load(struct conf *c, const char *path, struct err *e)
{
	conf_init(c);
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	bool seen[NUMBER_N + TEXT_N + 1] = {false};
	if (file_read(path, &text, e) != ERR_OK)
		goto done;
	int line_no = 0;
	char *rest = text.data, *line;
	while (rest && (line = strsep(&rest, "\n"))) {
		char where[PATH_MAX + 32];
		snprintf(where, sizeof where, "%s, line %d", path, ++line_no);
		line[strcspn(line, "#")] = '\0';
		line = trim(line);
		if (*line == '\0')
			continue;
		char *equals = strchr(line, '=');
		if (!equals) {
			err_set(e, ERR_BAD_VALUE, "%s: expected 'key = value'", where);
			goto done;
		}
		*equals = '\0';
		if (!set_one(c, trim(line), trim(equals + 1), seen, e, where))
			goto done;
	}
	for (size_t i = 0; i < TEXT_N; i++)
		if (!seen[NUMBER_N + i])
			err_set(e, ERR_BAD_VALUE, "%s: '%s' is missing", path, texts[i].key);
	if (e->code == ERR_OK && !name_ok(c->name))
		err_set(e, ERR_BAD_VALUE, "%s: name may hold letters, digits, - and _ only", path);
done:
	buf_release(&text);
	return e->code;
}
