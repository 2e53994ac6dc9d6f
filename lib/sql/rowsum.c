#define SQLITE_ENABLE_PREUPDATE_HOOK /* declares the hook's functions */
#include "lib/sql/rowsum.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static unsigned char *room(struct rowsum *s, size_t used, size_t more)
{
	if (used + more > s->scratch_cap) {
		size_t cap = s->scratch_cap ? s->scratch_cap : 1024;
		while (cap < used + more)
			cap *= 2;
		unsigned char *scratch = realloc(s->scratch, cap);
		if (!scratch) {
			s->failed = true;
			return NULL;
		}
		s->scratch = scratch;
		s->scratch_cap = cap;
	}
	return s->scratch + used;
}

static size_t put_number(struct rowsum *s, size_t used, uint64_t v)
{
	unsigned char *to = room(s, used, 8);
	if (!to)
		return used;
	v = htole64(v);
	memcpy(to, &v, 8);
	return used + 8;
}

static size_t put_bytes(struct rowsum *s, size_t used, const void *data, size_t len)
{
	unsigned char *to = room(s, used, len);
	if (!to)
		return used;
	if (len)
		memcpy(to, data, len);
	return used + len;
}

static size_t put_value(struct rowsum *s, size_t used, sqlite3_value *v)
{
	switch (sqlite3_value_type(v)) {
	case SQLITE_INTEGER:
		used = put_bytes(s, used, "i", 1);
		return put_number(s, used, (uint64_t)sqlite3_value_int64(v));
	case SQLITE_FLOAT: {
		double real = sqlite3_value_double(v);
		uint64_t bits;
		memcpy(&bits, &real, sizeof bits);
		used = put_bytes(s, used, "r", 1);
		return put_number(s, used, bits);
	}
	case SQLITE_NULL:
		return put_bytes(s, used, "0", 1);
	case SQLITE_TEXT: {
		const void *text = sqlite3_value_text(v);
		size_t len = (size_t)sqlite3_value_bytes(v);
		used = put_bytes(s, used, "t", 1);
		used = put_number(s, used, len);
		return put_bytes(s, used, text, len);
	}
	default: {
		const void *blob = sqlite3_value_blob(v);
		size_t len = (size_t)sqlite3_value_bytes(v);
		used = put_bytes(s, used, "b", 1);
		used = put_number(s, used, len);
		return put_bytes(s, used, blob, len);
	}
	}
}

static size_t put_side(struct rowsum *s, size_t used, sqlite3 *db,
	int (*side)(sqlite3 *, int, sqlite3_value **))
{
	int n = sqlite3_preupdate_count(db);
	for (int i = 0; i < n; i++) {
		sqlite3_value *v = NULL;
		int rc = side(db, i, &v);
		if (rc == SQLITE_RANGE)
			break; /* virtual generated columns are not stored: beyond the record's end */
		if (rc != SQLITE_OK || !v) {
			s->failed = true;
			return used;
		}
		used = put_value(s, used, v);
	}
	return used;
}

static void row_changes(void *arg, sqlite3 *db, int op, const char *database, const char *table,
	sqlite3_int64 old_rowid, sqlite3_int64 new_rowid)
{
	struct rowsum *s = arg;
	(void)database;
	if (sqlite3_strnicmp(table, "ddb_", 4) == 0 || sqlite3_strnicmp(table, "sqlite_", 7) == 0)
		return;
	if (op == SQLITE_INSERT)
		old_rowid = 0;
	if (op == SQLITE_DELETE)
		new_rowid = 0;
	/* In a table without rowids the hook's numbers mean nothing. */
	if ((op != SQLITE_DELETE && new_rowid == INT64_MAX))
		s->last_rowid_used = true;
	size_t used = put_bytes(s, 0, op == SQLITE_INSERT ? "I" : op == SQLITE_DELETE ? "D" : "U", 1);
	used = put_bytes(s, used, table, strlen(table) + 1);
	used = put_number(s, used, (uint64_t)old_rowid);
	used = put_number(s, used, (uint64_t)new_rowid);
	if (op != SQLITE_INSERT)
		used = put_side(s, used, db, sqlite3_preupdate_old);
	if (op != SQLITE_DELETE)
		used = put_side(s, used, db, sqlite3_preupdate_new);
	if (s->failed)
		return;
	s->sum += XXH3_64bits(s->scratch, used);
	s->rows++;
}

void rowsum_install(struct rowsum *s, sqlite3 *db)
{
	memset(s, 0, sizeof *s);
	sqlite3_preupdate_hook(db, row_changes, s);
}

void rowsum_begin(struct rowsum *s)
{
	s->sum = 0;
	s->rows = 0;
	s->last_rowid_used = false;
	s->failed = false;
}

int rowsum_schema(sqlite3 *db, uint64_t *sum)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(db,
		"SELECT type, name, tbl_name, sql FROM sqlite_schema"
		" WHERE name NOT LIKE 'ddb\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
		" ORDER BY type, name", -1, &stmt, NULL);
	if (rc != SQLITE_OK)
		return rc;
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		for (int i = 0; i < 4; i++) {
			const unsigned char *text = sqlite3_column_text(stmt, i);
			int len = sqlite3_column_bytes(stmt, i);
			XXH3_64bits_update(&state, text ? (const void *)text : "", text ? (size_t)len : 0);
			XXH3_64bits_update(&state, "", 1);
		}
	*sum = XXH3_64bits_digest(&state);
	int end = sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? end : rc;
}

void rowsum_release(struct rowsum *s)
{
	free(s->scratch);
	memset(s, 0, sizeof *s);
}
