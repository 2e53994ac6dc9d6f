#include "lib/sql/detfn.h"

#include <endian.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t next_number(struct detfn *d)
{
	if (!d->active) {
		uint64_t v;
		sqlite3_randomness(sizeof v, &v);
		return v;
	}
	uint64_t n = htole64(++d->n);
	return XXH64(&n, sizeof n, d->seed);
}

static void fn_random(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	sqlite3_result_int64(ctx, (sqlite3_int64)next_number(sqlite3_user_data(ctx)));
}

static void fn_randomblob(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	struct detfn *d = sqlite3_user_data(ctx);
	sqlite3_int64 len = sqlite3_value_int64(argv[0]);
	if (len < 1)
		len = 1; /* as SQLite's own does */
	if (len > sqlite3_limit(sqlite3_context_db_handle(ctx), SQLITE_LIMIT_LENGTH, -1)) {
		sqlite3_result_error_toobig(ctx);
		return;
	}
	unsigned char *blob = sqlite3_malloc64((sqlite3_uint64)len);
	if (!blob) {
		sqlite3_result_error_nomem(ctx);
		return;
	}
	for (sqlite3_int64 at = 0; at < len; at += 8) {
		uint64_t v = htole64(next_number(d));
		memcpy(blob + at, &v, len - at < 8 ? (size_t)(len - at) : 8);
	}
	sqlite3_result_blob64(ctx, blob, (sqlite3_uint64)len, sqlite3_free);
}

static void fn_changes(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	sqlite3_result_int64(ctx, sqlite3_changes64(sqlite3_context_db_handle(ctx)));
}

static void fn_total_changes(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	struct detfn *d = sqlite3_user_data(ctx);
	int64_t total = sqlite3_total_changes64(sqlite3_context_db_handle(ctx));
	sqlite3_result_int64(ctx, total - (d->active ? d->total_base : 0));
}

int detfn_install(struct detfn *d, sqlite3 *db)
{
	static const struct {
		const char *name;
		int args;
		void (*fn)(sqlite3_context *, int, sqlite3_value **);
	} table[] = {
		{"random", 0, fn_random},
		{"randomblob", 1, fn_randomblob},
		{"changes", 0, fn_changes},
		{"total_changes", 0, fn_total_changes},
	};
	memset(d, 0, sizeof *d);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		/* innocuous: also allowed in triggers and DEFAULT clauses under an untrusted schema */
		int rc = sqlite3_create_function_v2(db, table[i].name, table[i].args, SQLITE_UTF8 | SQLITE_INNOCUOUS, d,
			table[i].fn, NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

void detfn_begin(struct detfn *d, sqlite3 *db, int64_t seed)
{
	d->active = true;
	d->seed = (uint64_t)seed;
	d->n = 0;
	d->total_base = sqlite3_total_changes64(db);
	sqlite3_set_last_insert_rowid(db, 0);
}

void detfn_end(struct detfn *d)
{
	d->active = false;
}
