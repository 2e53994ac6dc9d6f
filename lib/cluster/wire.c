#include "lib/cluster/wire.h"
#include "lib/base/jsonw.h"
#include "lib/journal/op.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

const char *const wire_phase_name[WIRE_PHASE_N] = {"fetching", "installing", "done", "failed"};
const char *const wire_condition_name[WIRE_CONDITION_N] = {"ok", "diverged", "corrupt", "missing", "snapshot"};

/* The journal's kinds of rows; the texts outlive every message. */
static const char *const kinds[] = {"op", "create", "epoch", "check"};

static const char *kind_known(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strlen(kinds[i]) == len && memcmp(kinds[i], text, len) == 0)
			return kinds[i];
	return NULL;
}

/* ---- writing ---- */

static void add_member(struct buf *b, const char *name, const char *text)
{
	buf_addf(b, ",\"%s\":", name);
	jsonw_str(b, text);
}

/* A text for people, which may have been cut within a character: what is not
 * UTF-8 must not make the whole message unreadable. */
static void add_detail(struct buf *b, const char *name, const char *text)
{
	char clean[512];
	snprintf(clean, sizeof clean, "%s", text);
	if (!jsonw_utf8_ok(clean, strlen(clean)))
		for (char *p = clean; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
	add_member(b, name, clean);
}

static void add_number(struct buf *b, const char *name, int64_t v)
{
	buf_addf(b, ",\"%s\":%lld", name, (long long)v);
}

static void add_pos(struct buf *b, const char *name, const struct journal_pos *pos)
{
	char hex[2 * JOURNAL_HASH_LEN + 1];
	if (!pos) {
		buf_addf(b, ",\"%s\":null", name);
		return;
	}
	journal_hash_hex(pos->hash, hex);
	buf_addf(b, ",\"%s\":{\"epoch\":%lld,\"seq\":%lld,\"hash\":\"%s\"}", name, (long long)pos->epoch,
		(long long)pos->seq, hex);
}

static void add_from(struct buf *b, const struct wire_from *from)
{
	buf_addf(b, "{\"v\":%d", WIRE_VERSION);
	add_member(b, "cluster", from->cluster);
	add_member(b, "to", from->to);
	add_member(b, "node", from->node);
	add_member(b, "node_id", from->node_id);
	add_number(b, "epoch", from->epoch);
}

void wire_batch_begin(struct buf *out, const struct wire_batch *b)
{
	add_from(out, &b->from);
	add_member(out, "db", b->db);
	add_member(out, "id", b->id);
	add_pos(out, "prev", &b->prev);
	add_number(out, "head", b->head);
	add_number(out, "floor", b->floor);
	buf_add(out, "}\n", 2);
}

bool wire_batch_row(struct buf *out, const struct journal_row *row)
{
	char hex[2 * JOURNAL_HASH_LEN + 1];
	if (!kind_known(row->kind, strlen(row->kind)) || row->body_len == 0 || memchr(row->body, '\n', row->body_len))
		return false;
	journal_hash_hex(row->pos.hash, hex);
	buf_addf(out, "{\"seq\":%lld,\"epoch\":%lld,\"at_ms\":%lld,\"seed\":%lld,\"kind\":\"%s\",\"changes\":%lld,"
		"\"hash\":\"%s\",\"body\":", (long long)row->pos.seq, (long long)row->pos.epoch, (long long)row->at_ms,
		(long long)row->seed, row->kind, (long long)row->changes, hex);
	buf_add(out, row->body, row->body_len);
	buf_add(out, "}\n", 2);
	return true;
}

void wire_offer_write(struct buf *out, const struct wire_offer *o)
{
	char hex[2 * JOURNAL_HASH_LEN + 1];
	journal_hash_hex(o->digest, hex);
	add_from(out, &o->from);
	add_member(out, "db", o->db);
	add_member(out, "id", o->id);
	add_member(out, "peer_url", o->peer_url);
	add_member(out, "name", o->name);
	add_number(out, "bytes", o->bytes);
	add_member(out, "digest", hex);
	add_pos(out, "pos", &o->pos);
	buf_addf(out, ",\"keep_old\":%s", o->keep_old ? "true" : "false");
	add_member(out, "reason", o->reason);
	buf_add_char(out, '}');
}

void wire_snapshot_name(const char *id, const struct journal_pos *pos, char out[WIRE_FILE_LEN])
{
	char token[JOURNAL_TOKEN_LEN];
	journal_token(id, pos, token);
	snprintf(out, WIRE_FILE_LEN, "%s.db", token);
}

void wire_heartbeat_write(struct buf *out, const struct wire_heartbeat *h)
{
	add_from(out, &h->from);
	buf_addf(out, ",\"ask\":%s,\"paused\":%s", h->ask ? "true" : "false", h->paused ? "true" : "false");
	add_member(out, "url", h->url);
	add_member(out, "peer_url", h->peer_url);
	add_member(out, "sqlite", h->sqlite);
	add_member(out, "machine", h->machine);
	buf_add_str(out, ",\"databases\":{");
	for (size_t i = 0; i < h->n; i++) {
		const struct wire_database *d = &h->databases[i];
		buf_addf(out, "%s\"%s\":{\"id\":\"%s\"", i ? "," : "", d->name, d->id);
		add_pos(out, "pos", d->has_pos ? &d->pos : NULL);
		add_number(out, "floor", d->floor);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "}}");
}

static void add_status(struct buf *out, const struct wire_reply *r)
{
	add_member(out, "node_id", r->node_id);
	add_member(out, "cluster", r->cluster);
	add_member(out, "role", r->role);
	add_number(out, "reign", r->reign);
	add_member(out, "state", r->state);
	add_member(out, "sqlite", r->sqlite);
	add_member(out, "machine", r->machine);
	if (r->error[0])
		add_detail(out, "error", r->error);
	else
		buf_add_str(out, ",\"error\":null");
	buf_add_str(out, ",\"databases\":{");
	for (size_t i = 0; i < r->n; i++) {
		const struct wire_database *d = &r->databases[i];
		buf_addf(out, "%s\"%s\":{\"id\":\"%s\"", i ? "," : "", d->name, d->id);
		add_pos(out, "pos", d->has_pos ? &d->pos : NULL);
		add_member(out, "condition", wire_condition_name[d->condition]);
		buf_add_char(out, '}');
	}
	buf_add_char(out, '}');
}

void wire_reply_write(struct buf *out, const struct wire_reply *r, enum wire_reply_kind kind)
{
	buf_addf(out, "{\"v\":%d", WIRE_VERSION);
	add_member(out, "code", err_name(r->code));
	add_detail(out, "detail", r->detail);
	add_member(out, "node", r->node);
	add_number(out, "promised", r->promised);
	add_pos(out, "pos", r->has_pos ? &r->pos : NULL);
	if (r->bad_seq)
		add_number(out, "bad_seq", r->bad_seq);
	else
		buf_add_str(out, ",\"bad_seq\":null");
	if (kind == WIRE_REPLY_OFFER)
		buf_addf(out, ",\"snapshot\":{\"phase\":\"%s\",\"bytes\":%lld}", wire_phase_name[r->phase],
			(long long)r->phase_bytes);
	if (kind == WIRE_REPLY_HEARTBEAT)
		add_status(out, r);
	buf_add_char(out, '}');
}

/* ---- reading JSON ---- */

static bool get_text(const json_t *o, const char *name, char *out, size_t size)
{
	const json_t *v = json_object_get(o, name);
	size_t len = json_string_length(v);
	if (!json_is_string(v) || len >= size || strlen(json_string_value(v)) != len)
		return false;
	memcpy(out, json_string_value(v), len + 1);
	return true;
}

static bool is_id(const char *text)
{
	return strlen(text) == JOURNAL_ID_LEN - 1 && strspn(text, "0123456789abcdef") == JOURNAL_ID_LEN - 1;
}

static bool get_id(const json_t *o, const char *name, char out[JOURNAL_ID_LEN])
{
	return get_text(o, name, out, JOURNAL_ID_LEN) && is_id(out);
}

/* A number that is not negative. */
static bool get_number(const json_t *o, const char *name, int64_t *out)
{
	const json_t *v = json_object_get(o, name);
	*out = json_integer_value(v);
	return json_is_integer(v) && *out >= 0;
}

static bool get_flag(const json_t *o, const char *name, bool *out)
{
	const json_t *v = json_object_get(o, name);
	*out = json_is_true(v);
	return json_is_boolean(v);
}

static bool get_hash(const json_t *o, const char *name, unsigned char out[JOURNAL_HASH_LEN])
{
	char hex[2 * JOURNAL_HASH_LEN + 1];
	return get_text(o, name, hex, sizeof hex) && is_id(hex) && journal_hash_parse(hex, out);
}

static bool get_pos(const json_t *o, const char *name, struct journal_pos *pos)
{
	const json_t *v = json_object_get(o, name);
	return get_number(v, "epoch", &pos->epoch) && get_number(v, "seq", &pos->seq) && get_hash(v, "hash", pos->hash);
}

/* Like get_pos(), but null is allowed. */
static bool get_pos_or_null(const json_t *o, const char *name, bool *has, struct journal_pos *pos)
{
	*has = !json_is_null(json_object_get(o, name));
	return !*has || get_pos(o, name, pos);
}

static bool get_from(const json_t *o, struct wire_from *from)
{
	return json_integer_value(json_object_get(o, "v")) == WIRE_VERSION && get_id(o, "cluster", from->cluster) &&
		get_text(o, "to", from->to, sizeof from->to) && get_text(o, "node", from->node, sizeof from->node) &&
		get_id(o, "node_id", from->node_id) && get_number(o, "epoch", &from->epoch);
}

/* The system database's name is no ordinary one. */
static bool get_database(const json_t *o, char name[CATALOG_NAME_LEN], char id[JOURNAL_ID_LEN])
{
	return get_text(o, "db", name, CATALOG_NAME_LEN) && (strcmp(name, CATALOG_SYSTEM) == 0 || catalog_name_ok(name)) &&
		get_id(o, "id", id);
}

static enum err_code broken(struct err *e, const char *what)
{
	return err_set(e, ERR_WIRE, "the message is not version %d of %s", WIRE_VERSION, what);
}

static json_t *load(const char *text, size_t len, const char *what, struct err *e)
{
	json_error_t why;
	json_t *doc = len <= WIRE_ANSWER_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &why) : NULL;
	if (!json_is_object(doc)) {
		json_decref(doc);
		broken(e, what);
		return NULL;
	}
	return doc;
}

/* ---- /replicate ---- */

/* What is left of a row's line. */
struct scan {
	const char *at, *end;
	bool bad;
};

static void scan_text(struct scan *s, const char *text)
{
	size_t len = strlen(text);
	if (s->bad || (size_t)(s->end - s->at) < len || memcmp(s->at, text, len) != 0) {
		s->bad = true;
		return;
	}
	s->at += len;
}

static int64_t scan_number(struct scan *s)
{
	bool minus = !s->bad && s->at < s->end && *s->at == '-';
	const char *digits = s->at += minus;
	uint64_t v = 0, most = (uint64_t)INT64_MAX + minus;
	for (; !s->bad && s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
		uint64_t digit = (uint64_t)(*s->at - '0');
		if (v > (most - digit) / 10)
			s->bad = true;
		v = v * 10 + digit;
	}
	if (s->at == digits)
		s->bad = true;
	return s->bad ? 0 : minus ? (int64_t)(0 - v) : (int64_t)v;
}

/* A string without escapes. */
static const char *scan_string(struct scan *s, size_t *len)
{
	scan_text(s, "\"");
	const char *text = s->at, *close = s->bad ? NULL : memchr(text, '"', (size_t)(s->end - text));
	if (!close) {
		s->bad = true;
		return NULL;
	}
	*len = (size_t)(close - text);
	s->at = close + 1;
	return text;
}

static void scan_hash(struct scan *s, unsigned char hash[JOURNAL_HASH_LEN])
{
	char hex[2 * JOURNAL_HASH_LEN + 1] = "";
	size_t len;
	const char *text = scan_string(s, &len);
	if (text && len == sizeof hex - 1)
		memcpy(hex, text, len);
	if (!is_id(hex) || !journal_hash_parse(hex, hash))
		s->bad = true;
}

/* One line without its line end. */
static enum err_code row_parse(const char *line, size_t len, struct journal_row *row, json_t **op, struct err *e)
{
	struct scan s = {line, line + len, false};
	size_t kind_len = 0;
	scan_text(&s, "{\"seq\":");
	row->pos.seq = scan_number(&s);
	scan_text(&s, ",\"epoch\":");
	row->pos.epoch = scan_number(&s);
	scan_text(&s, ",\"at_ms\":");
	row->at_ms = scan_number(&s);
	scan_text(&s, ",\"seed\":");
	row->seed = scan_number(&s);
	scan_text(&s, ",\"kind\":");
	const char *kind = scan_string(&s, &kind_len);
	scan_text(&s, ",\"changes\":");
	row->changes = scan_number(&s);
	scan_text(&s, ",\"hash\":");
	scan_hash(&s, row->pos.hash);
	scan_text(&s, ",\"body\":");
	row->kind = s.bad ? NULL : kind_known(kind, kind_len);
	if (!row->kind || s.end - s.at < 3 || s.end[-1] != '}' || row->pos.seq < 1 || row->pos.epoch < 1)
		return err_set(e, ERR_WIRE, "a row's line is malformed at byte %td", s.at - line);
	row->body = s.at;
	row->body_len = (size_t)(s.end - s.at) - 1;
	*op = NULL;
	struct err why = ERR_INIT;
	if (strcmp(row->kind, "op") == 0) {
		if (op_parse(row->body, row->body_len, op, &why) != ERR_OK)
			return err_set(e, why.code == ERR_NOMEM ? ERR_NOMEM : ERR_WIRE, "the body of row %lld: %.300s",
				(long long)row->pos.seq, why.text);
		return ERR_OK;
	}
	json_t *body = json_loadb(row->body, row->body_len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(body))
		err_set(e, ERR_WIRE, "the body of row %lld is no JSON object", (long long)row->pos.seq);
	json_decref(body);
	return e->code;
}

static enum err_code header_parse(const char *line, size_t len, struct wire_batch *b, struct err *e)
{
	json_t *head = load(line, len, "a batch", e);
	if (!head)
		return e->code;
	if (!get_from(head, &b->from) || !get_database(head, b->db, b->id) || !get_pos(head, "prev", &b->prev) ||
		!get_number(head, "head", &b->head) || !get_number(head, "floor", &b->floor))
		broken(e, "a batch");
	json_decref(head);
	return e->code;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t n = 0;
	const char *end = text + len;
	while ((text = memchr(text, '\n', (size_t)(end - text)))) {
		n++;
		text++;
	}
	return n;
}

enum err_code wire_batch_parse(const char *text, size_t len, struct wire_batch *b, struct err *e)
{
	*b = (struct wire_batch){.n = 0};
	if (len == 0 || len > WIRE_MESSAGE_MAX || text[len - 1] != '\n')
		return err_set(e, ERR_WIRE, "the message is empty, too large or cut off (%zu bytes)", len);
	const char *line = text, *end = memchr(text, '\n', len);
	if (header_parse(line, (size_t)(end - line), b, e) != ERR_OK)
		return e->code;
	size_t rows = count_lines(text, len) - 1;
	if (rows == 0)
		return ERR_OK;
	b->rows = calloc(rows, sizeof *b->rows);
	b->ops = calloc(rows, sizeof *b->ops);
	if (!b->rows || !b->ops)
		err_set(e, ERR_NOMEM, "no memory for %zu rows", rows);
	int64_t before = b->prev.seq;
	for (size_t i = 0; i < rows && e->code == ERR_OK; i++) {
		line = end + 1;
		end = memchr(line, '\n', (size_t)(text + len - line));
		if (row_parse(line, (size_t)(end - line), &b->rows[i], &b->ops[i], e) != ERR_OK)
			break;
		b->n = i + 1;
		if (b->rows[i].pos.seq != ++before)
			err_set(e, ERR_WIRE, "row %lld stands where %lld belongs", (long long)b->rows[i].pos.seq,
				(long long)before);
	}
	if (e->code != ERR_OK)
		wire_batch_release(b);
	return e->code;
}

void wire_batch_release(struct wire_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		json_decref(b->ops[i]);
	free(b->rows);
	free(b->ops);
	b->rows = NULL;
	b->ops = NULL;
	b->n = 0;
}

/* ---- the other messages ---- */

enum err_code wire_offer_parse(const char *text, size_t len, struct wire_offer *o, struct err *e)
{
	char name[WIRE_FILE_LEN];
	*o = (struct wire_offer){.bytes = 0};
	json_t *doc = load(text, len, "an offer", e);
	if (!doc)
		return e->code;
	if (!get_from(doc, &o->from) || !get_database(doc, o->db, o->id) ||
		!get_text(doc, "peer_url", o->peer_url, sizeof o->peer_url) ||
		!get_text(doc, "name", o->name, sizeof o->name) || !get_number(doc, "bytes", &o->bytes) ||
		!get_hash(doc, "digest", o->digest) || !get_pos(doc, "pos", &o->pos) ||
		!get_flag(doc, "keep_old", &o->keep_old) || !get_text(doc, "reason", o->reason, sizeof o->reason))
		broken(e, "an offer");
	json_decref(doc);
	if (e->code != ERR_OK)
		return e->code;
	/* The name becomes a path: only the one that follows from the rest is taken. */
	wire_snapshot_name(o->id, &o->pos, name);
	return strcmp(name, o->name) == 0 ? ERR_OK : broken(e, "an offer");
}

static enum wire_condition condition_by_name(const char *name)
{
	for (int i = 0; i < WIRE_CONDITION_N; i++)
		if (strcmp(wire_condition_name[i], name) == 0)
			return i;
	return WIRE_CONDITION_N;
}

/* The member "databases" of a heartbeat or its answer. */
static bool get_databases(const json_t *o, bool answer, struct wire_database **out, size_t *n)
{
	json_t *all = json_object_get(o, "databases"), *one;
	const char *name;
	size_t count = json_object_size(all);
	*n = 0;
	*out = NULL;
	if (!json_is_object(all) || count > WIRE_DATABASES_MAX)
		return false;
	if (count == 0)
		return true;
	struct wire_database *list = *out = calloc(count, sizeof *list);
	if (!list)
		return false;
	json_object_foreach(all, name, one) {
		struct wire_database *d = &list[*n];
		char condition[24];
		if ((strcmp(name, CATALOG_SYSTEM) != 0 && !catalog_name_ok(name)) || !get_id(one, "id", d->id) ||
			!get_pos_or_null(one, "pos", &d->has_pos, &d->pos))
			return false;
		if (answer) {
			if (!get_text(one, "condition", condition, sizeof condition) ||
				(d->condition = condition_by_name(condition)) == WIRE_CONDITION_N)
				return false;
		} else if (!get_number(one, "floor", &d->floor)) {
			return false;
		}
		snprintf(d->name, sizeof d->name, "%s", name);
		(*n)++;
	}
	return true;
}

enum err_code wire_heartbeat_parse(const char *text, size_t len, struct wire_heartbeat *h, struct err *e)
{
	*h = (struct wire_heartbeat){.n = 0};
	json_t *doc = load(text, len, "a heartbeat", e);
	if (!doc)
		return e->code;
	if (!get_from(doc, &h->from) || !get_flag(doc, "ask", &h->ask) || !get_flag(doc, "paused", &h->paused) ||
		!get_text(doc, "url", h->url, sizeof h->url) || !get_text(doc, "peer_url", h->peer_url, sizeof h->peer_url) ||
		!get_text(doc, "sqlite", h->sqlite, sizeof h->sqlite) ||
		!get_text(doc, "machine", h->machine, sizeof h->machine) ||
		!get_databases(doc, false, &h->databases, &h->n)) {
		broken(e, "a heartbeat");
		wire_heartbeat_release(h);
	}
	json_decref(doc);
	return e->code;
}

void wire_heartbeat_release(struct wire_heartbeat *h)
{
	free(h->databases);
	h->databases = NULL;
	h->n = 0;
}

/* What only the answer to a heartbeat has; absent elsewhere. */
static bool get_status(const json_t *doc, struct wire_reply *r)
{
	if (!json_object_get(doc, "node_id"))
		return true;
	if (!get_text(doc, "error", r->error, sizeof r->error))
		r->error[0] = '\0';
	return get_id(doc, "node_id", r->node_id) && get_text(doc, "cluster", r->cluster, sizeof r->cluster) &&
		get_text(doc, "role", r->role, sizeof r->role) && get_number(doc, "reign", &r->reign) &&
		get_text(doc, "state", r->state, sizeof r->state) && get_text(doc, "sqlite", r->sqlite, sizeof r->sqlite) &&
		get_text(doc, "machine", r->machine, sizeof r->machine) && get_databases(doc, true, &r->databases, &r->n);
}

static bool get_progress(const json_t *doc, struct wire_reply *r)
{
	char name[24];
	const json_t *s = json_object_get(doc, "snapshot");
	r->phase = WIRE_PHASE_N;
	if (!s)
		return true;
	if (!get_text(s, "phase", name, sizeof name) || !get_number(s, "bytes", &r->phase_bytes))
		return false;
	for (int i = 0; i < WIRE_PHASE_N; i++)
		if (strcmp(wire_phase_name[i], name) == 0)
			r->phase = i;
	return r->phase != WIRE_PHASE_N;
}

enum err_code wire_reply_parse(const char *text, size_t len, struct wire_reply *r, struct err *e)
{
	char code[48];
	*r = (struct wire_reply){.phase = WIRE_PHASE_N};
	json_t *doc = load(text, len, "an answer", e);
	if (!doc)
		return e->code;
	bool good = json_integer_value(json_object_get(doc, "v")) == WIRE_VERSION && get_text(doc, "code", code, sizeof code) &&
		get_text(doc, "detail", r->detail, sizeof r->detail) && get_text(doc, "node", r->node, sizeof r->node) &&
		get_number(doc, "promised", &r->promised) && get_pos_or_null(doc, "pos", &r->has_pos, &r->pos) &&
		(json_is_null(json_object_get(doc, "bad_seq")) || get_number(doc, "bad_seq", &r->bad_seq)) &&
		get_progress(doc, r) && get_status(doc, r);
	json_decref(doc);
	if (!good) {
		wire_reply_release(r);
		return broken(e, "an answer");
	}
	r->code = err_by_name(code);
	return ERR_OK;
}

void wire_reply_release(struct wire_reply *r)
{
	free(r->databases);
	r->databases = NULL;
	r->n = 0;
}

const char *wire_machine(void)
{
	static _Thread_local char text[32];
	struct utsname name;
	const char *machine = uname(&name) == 0 ? name.machine : "unknown";
	snprintf(text, sizeof text, "%.20s-%s", machine, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "le" : "be");
	return text;
}
