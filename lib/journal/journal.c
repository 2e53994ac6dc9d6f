#include "lib/journal/journal.h"
#include "db/schema.h"
#include "lib/base/clock.h"

#include <endian.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* One of our own statements, prepared (from the cache) as AUTHZ_INTERNAL. The
 * mode lasts until disown(): a step prepares the statement anew when the
 * schema has changed, and must be allowed to. */
struct own {
	sqlite3_stmt *stmt;
	enum authz_mode mode;    /* the one before */
};

static enum err_code own(struct conn *c, const char *sql, struct own *o, struct err *e)
{
	unsigned traits;
	o->mode = c->authz.mode;
	c->authz.mode = AUTHZ_INTERNAL;
	if (conn_prepare(c, sql, strlen(sql), &o->stmt, &traits, NULL, e) != ERR_OK)
		c->authz.mode = o->mode;
	return e->code;
}

static void disown(struct conn *c, struct own *o)
{
	conn_release(c, o->stmt);
	c->authz.mode = o->mode;
}

/* Runs a statement that gives no row, and releases it. */
static enum err_code finish(struct conn *c, struct own *o, struct err *e)
{
	int rc = sqlite3_step(o->stmt);
	if (rc != SQLITE_DONE)
		conn_error(c, rc, e);
	disown(c, o);
	return e->code;
}

static enum err_code set_meta(struct conn *c, const char *name, const char *text, int64_t number, struct err *e)
{
	struct own o;
	if (own(c, "INSERT INTO ddb_meta(name, value) VALUES(?, ?)", &o, e) != ERR_OK)
		return e->code;
	sqlite3_bind_text(o.stmt, 1, name, -1, SQLITE_STATIC);
	if (text)
		sqlite3_bind_text(o.stmt, 2, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int64(o.stmt, 2, number);
	return finish(c, &o, e);
}

enum err_code journal_create(struct conn *c, const char *id, const char *name, struct err *e)
{
	conn_exec(c, "BEGIN IMMEDIATE", e);
	if (e->code == ERR_OK)
		conn_exec(c, schema_journal, e);
	/* Makes sqlite_stat1, so that later reloads of statistics change no schema. */
	if (e->code == ERR_OK)
		conn_exec(c, "ANALYZE sqlite_schema", e);
	if (e->code == ERR_OK)
		set_meta(c, "format", NULL, JOURNAL_FORMAT, e);
	if (e->code == ERR_OK)
		set_meta(c, "database", id, 0, e);
	if (e->code == ERR_OK)
		set_meta(c, "name", name, 0, e);
	if (e->code == ERR_OK)
		conn_exec(c, "COMMIT", e);
	if (e->code != ERR_OK)
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return e->code;
}

enum err_code journal_id(struct conn *c, char id[JOURNAL_ID_LEN], struct err *e)
{
	int64_t format;
	char *text = NULL;
	if (conn_int(c, "SELECT value FROM ddb_meta WHERE name = 'format'", 0, &format, e) != ERR_OK)
		return e->code;
	if (format != JOURNAL_FORMAT)
		return err_set(e, ERR_CORRUPT, "%s has format %" PRId64 "; this program knows format %d", c->path, format,
			JOURNAL_FORMAT);
	if (conn_text(c, "SELECT value FROM ddb_meta WHERE name = 'database'", &text, e) != ERR_OK)
		return e->code;
	if (!text || strlen(text) != JOURNAL_ID_LEN - 1)
		err_set(e, ERR_CORRUPT, "%s has no database id", c->path);
	else
		memcpy(id, text, JOURNAL_ID_LEN);
	free(text);
	return e->code;
}

static void column_pos(sqlite3_stmt *stmt, struct journal_pos *pos)
{
	pos->seq = sqlite3_column_int64(stmt, 0);
	pos->epoch = sqlite3_column_int64(stmt, 1);
	const void *hash = sqlite3_column_blob(stmt, 2);
	if (hash && sqlite3_column_bytes(stmt, 2) == JOURNAL_HASH_LEN)
		memcpy(pos->hash, hash, JOURNAL_HASH_LEN);
}

static enum err_code read_pos(struct conn *c, const char *sql, int64_t seq, struct journal_pos *pos, int64_t *at_ms,
	struct err *e)
{
	struct own o;
	memset(pos, 0, sizeof *pos);
	if (at_ms)
		*at_ms = 0;
	if (own(c, sql, &o, e) != ERR_OK)
		return e->code;
	if (sqlite3_bind_parameter_count(o.stmt))
		sqlite3_bind_int64(o.stmt, 1, seq);
	int rc = sqlite3_step(o.stmt);
	if (rc == SQLITE_ROW) {
		column_pos(o.stmt, pos);
		if (at_ms)
			*at_ms = sqlite3_column_int64(o.stmt, 3);
	} else if (rc != SQLITE_DONE) {
		conn_error(c, rc, e);
	}
	disown(c, &o);
	return e->code;
}

#define LAST_ROW "SELECT seq, epoch, hash, at_ms FROM ddb_journal ORDER BY seq DESC LIMIT 1"

enum err_code journal_head(struct conn *c, struct journal_pos *head, struct err *e)
{
	return read_pos(c, LAST_ROW, 0, head, NULL, e);
}

enum err_code journal_last_at(struct conn *c, int64_t *at_ms, struct err *e)
{
	struct journal_pos ignored;
	return read_pos(c, LAST_ROW, 0, &ignored, at_ms, e);
}

enum err_code journal_floor(struct conn *c, int64_t *seq, struct err *e)
{
	return conn_int(c, "SELECT min(seq) FROM ddb_journal", 0, seq, e);
}

enum err_code journal_at(struct conn *c, int64_t seq, struct journal_pos *pos, struct err *e)
{
	return read_pos(c, "SELECT seq, epoch, hash FROM ddb_journal WHERE seq = ?", seq, pos, NULL, e);
}

static void add_number(XXH3_state_t *state, uint64_t v)
{
	v = htole64(v);
	XXH3_128bits_update(state, &v, sizeof v);
}

void journal_chain(const unsigned char prev[JOURNAL_HASH_LEN], struct journal_row *row, uint64_t row_sum,
	uint64_t schema_sum)
{
	XXH3_state_t state;
	XXH128_canonical_t canonical;
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, prev, JOURNAL_HASH_LEN);
	add_number(&state, (uint64_t)row->pos.epoch);
	add_number(&state, (uint64_t)row->pos.seq);
	add_number(&state, (uint64_t)row->at_ms);
	add_number(&state, (uint64_t)row->seed);
	add_number(&state, (uint64_t)row->changes);
	add_number(&state, row_sum);
	add_number(&state, schema_sum);
	XXH3_128bits_update(&state, row->kind, strlen(row->kind) + 1);
	XXH3_128bits_update(&state, row->body, row->body_len);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(row->pos.hash, canonical.digest, JOURNAL_HASH_LEN);
}

enum err_code journal_append(struct conn *c, const struct journal_row *row, struct err *e)
{
	struct own o;
	if (own(c, "INSERT INTO ddb_journal(seq, epoch, at_ms, seed, kind, body, changes, hash)"
		   " VALUES(?, ?, ?, ?, ?, ?, ?, ?)", &o, e) != ERR_OK)
		return e->code;
	sqlite3_bind_int64(o.stmt, 1, row->pos.seq);
	sqlite3_bind_int64(o.stmt, 2, row->pos.epoch);
	sqlite3_bind_int64(o.stmt, 3, row->at_ms);
	sqlite3_bind_int64(o.stmt, 4, row->seed);
	sqlite3_bind_text(o.stmt, 5, row->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text64(o.stmt, 6, row->body, row->body_len, SQLITE_STATIC, SQLITE_UTF8);
	sqlite3_bind_int64(o.stmt, 7, row->changes);
	sqlite3_bind_blob(o.stmt, 8, row->pos.hash, JOURNAL_HASH_LEN, SQLITE_STATIC);
	return finish(c, &o, e);
}

enum err_code journal_each(struct conn *c, int64_t after, int64_t most,
	bool (*take)(void *arg, const struct journal_row *row), void *arg, struct err *e)
{
	struct own o;
	if (own(c, "SELECT seq, epoch, hash, at_ms, seed, changes, kind, body FROM ddb_journal"
		   " WHERE seq > ? ORDER BY seq LIMIT ?", &o, e) != ERR_OK)
		return e->code;
	sqlite3_bind_int64(o.stmt, 1, after);
	sqlite3_bind_int64(o.stmt, 2, most);
	int rc;
	while ((rc = sqlite3_step(o.stmt)) == SQLITE_ROW) {
		struct journal_row row = {.at_ms = sqlite3_column_int64(o.stmt, 3), .seed = sqlite3_column_int64(o.stmt, 4),
			.changes = sqlite3_column_int64(o.stmt, 5)};
		column_pos(o.stmt, &row.pos);
		row.kind = (const char *)sqlite3_column_text(o.stmt, 6);
		row.body = (const char *)sqlite3_column_text(o.stmt, 7);
		row.body_len = (size_t)sqlite3_column_bytes(o.stmt, 7);
		if (!row.kind || !row.body) {
			err_set(e, ERR_NOMEM, "no memory for a journal row");
			break;
		}
		if (!take(arg, &row))
			break;
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		conn_error(c, rc, e);
	disown(c, &o);
	return e->code;
}

enum err_code journal_pending(struct conn *c, int64_t after, int64_t most, int64_t *rows, int64_t *bytes,
	int64_t *oldest_at_ms, struct err *e)
{
	struct own o;
	*rows = *bytes = *oldest_at_ms = 0;
	if (own(c, "SELECT count(*), coalesce(sum(octets), 0), coalesce(min(at_ms), 0) FROM (SELECT"
		   " length(CAST(body AS BLOB)) AS octets, at_ms FROM ddb_journal WHERE seq > ? ORDER BY seq LIMIT ?)",
		    &o, e) != ERR_OK)
		return e->code;
	sqlite3_bind_int64(o.stmt, 1, after);
	sqlite3_bind_int64(o.stmt, 2, most);
	int rc = sqlite3_step(o.stmt);
	if (rc == SQLITE_ROW) {
		*rows = sqlite3_column_int64(o.stmt, 0);
		*bytes = sqlite3_column_int64(o.stmt, 1);
		*oldest_at_ms = sqlite3_column_int64(o.stmt, 2);
	} else {
		conn_error(c, rc, e);
	}
	disown(c, &o);
	return e->code;
}

void journal_token(const char *id, const struct journal_pos *pos, char out[JOURNAL_TOKEN_LEN])
{
	snprintf(out, JOURNAL_TOKEN_LEN, "%s.%" PRId64 ".%" PRId64, id, pos->epoch, pos->seq);
}

static bool whole_number(const char *text, char end, int64_t *out, const char **rest)
{
	int64_t v = 0;
	int digits = 0;
	for (; *text >= '0' && *text <= '9'; text++, digits++) {
		if (digits == 18)
			return false;
		v = v * 10 + (*text - '0');
	}
	*out = v;
	*rest = text + 1;
	return digits > 0 && *text == end;
}

bool journal_token_parse(const char *text, char id[JOURNAL_ID_LEN], int64_t *epoch, int64_t *seq)
{
	size_t n = strspn(text, "0123456789abcdef");
	if (n != JOURNAL_ID_LEN - 1 || text[n] != '.')
		return false;
	memcpy(id, text, n);
	id[n] = '\0';
	const char *rest = text + n + 1;
	return whole_number(rest, '.', epoch, &rest) && whole_number(rest, '\0', seq, &rest);
}

void journal_hash_hex(const unsigned char hash[JOURNAL_HASH_LEN], char out[33])
{
	sodium_bin2hex(out, 33, hash, JOURNAL_HASH_LEN);
}

bool journal_hash_parse(const char *hex, unsigned char hash[JOURNAL_HASH_LEN])
{
	size_t len;
	const char *end;
	return sodium_hex2bin(hash, JOURNAL_HASH_LEN, hex, strlen(hex), NULL, &len, &end) == 0 &&
		len == JOURNAL_HASH_LEN && *end == '\0';
}
