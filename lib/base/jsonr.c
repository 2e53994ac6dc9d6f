#include "lib/base/jsonr.h"

#include <stdbool.h>

/* Each value but the first stands behind one of , [ { (or behind : in an
 * object, whose members the commas count). What is not JSON may be counted
 * wrong; it is refused anyway. */
static bool is_bounded(const char *text, size_t len)
{
	size_t containers = 0, values = 0;
	for (const char *end = text + len; text < end; text++) {
		if (*text == '"') {
			for (text++; text < end && *text != '"'; text++)
				text += *text == '\\';
		} else if (*text == '[' || *text == '{') {
			containers++;
			values++;
		} else if (*text == ',') {
			values++;
		}
	}
	return containers <= JSONR_CONTAINERS_MAX && values <= JSONR_VALUES_MAX;
}

json_t *jsonr_parse(const char *text, size_t len, const char *what, struct err *e)
{
	json_error_t why;
	if (!is_bounded(text, len)) {
		err_set(e, ERR_TOO_BIG, "%s: more than %d arrays and objects, or %d values; send it in parts", what,
			JSONR_CONTAINERS_MAX, JSONR_VALUES_MAX);
		return NULL;
	}
	json_t *v = json_loadb(text, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
	if (!v) {
		if (e->code == ERR_OK)
			e->offset = why.position;
		err_set(e, ERR_BAD_JSON, "%s: %s (line %d, column %d)", what, why.text, why.line, why.column);
	}
	return v;
}
