/* Apart from catalog.c, so that `read` can check a name without linking the writer. */
#include "lib/cluster/catalog.h"

#include <string.h>

bool catalog_name_ok(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len >= CATALOG_NAME_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		char ch = name[i];
		bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
		bool other = (ch >= '0' && ch <= '9') || ch == '_' || ch == '-';
		if (!letter && !(other && i > 0))
			return false;
	}
	return true;
}
