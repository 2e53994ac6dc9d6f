/* lib/cluster/wire: messages between nodes, whole and broken. */
#include "lib/cluster/wire.h"
#include "t/tap.h"

#include <stdlib.h>

#define ID_A "0123456789abcdef0123456789abcdef"
#define ID_B "fedcba9876543210fedcba9876543210"

static struct wire_from from(void)
{
	struct wire_from f = {.cluster = ID_A, .to = "n2", .node = "n1", .node_id = ID_B, .epoch = 3};
	return f;
}

static struct journal_row row(int64_t seq, const char *kind, const char *body)
{
	struct journal_row r = {.pos = {3, seq, {1, 2, 3}}, .at_ms = 1700000000000 + seq, .seed = -5 - seq, .changes = seq % 3,
		.kind = kind, .body = body, .body_len = strlen(body)};
	return r;
}

/* A batch of a control row and operations, as a sender makes it. */
static void make_batch(struct buf *b, int64_t rows)
{
	struct wire_batch head = {.from = from(), .db = "shop", .id = ID_A, .prev = {2, 41, {9}}, .head = 99, .floor = 7};
	wire_batch_begin(b, &head);
	for (int64_t i = 0; i < rows; i++) {
		struct journal_row r = i == 0 ? row(42, "epoch", "{\"epoch\":3}") :
			row(42 + i, "op", "{\"statements\":[{\"sql\":\"insert into t values(?)\",\"params\":[\"a\\u0000\\n\xc3\xa4\",1.5]}]}");
		if (!wire_batch_row(b, &r))
			b->failed = true;
	}
}

static enum err_code parse(const char *text, size_t len, struct wire_batch *b)
{
	struct err e = ERR_INIT;
	/* An exact copy, so that the sanitizer sees every byte read beyond it. */
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	enum err_code code = wire_batch_parse(copy, len, b, &e);
	if (code != ERR_OK && (b->rows || b->ops || b->n))
		code = ERR_OK; /* something was left behind */
	free(copy);
	return code;
}

static void test_batch(void)
{
	struct buf b = BUF_INIT(1 << 20);
	struct wire_batch got;
	struct err e = ERR_INIT;
	make_batch(&b, 3);
	ok(!b.failed && wire_batch_parse(b.data, b.len, &got, &e) == ERR_OK, "a batch comes through");
	is_str(got.from.cluster, ID_A, "the cluster");
	is_str(got.from.to, "n2", "for whom");
	is_int(got.from.epoch, 3, "the epoch");
	ok(got.prev.epoch == 2 && got.prev.seq == 41 && got.prev.hash[0] == 9 && got.head == 99 && got.floor == 7, "the figures");
	is_int((long long)got.n, 3, "the rows");
	struct journal_row want = row(44, "op", "");
	ok(got.rows[2].pos.seq == 44 && got.rows[2].at_ms == want.at_ms && got.rows[2].seed == want.seed &&
			got.rows[2].changes == want.changes && memcmp(got.rows[2].pos.hash, want.pos.hash, JOURNAL_HASH_LEN) == 0,
		"a row's figures, also negative ones");
	ok(got.rows[2].body_len == strlen("{\"statements\":[{\"sql\":\"insert into t values(?)\",\"params\":[\"a\\u0000\\n\xc3\xa4\",1.5]}]}") &&
			memcmp(got.rows[2].body, "{\"statements\"", 13) == 0, "the body's very bytes");
	ok(!got.ops[0] && got.ops[1] && json_is_array(json_object_get(got.ops[1], "statements")),
		"an operation is parsed, a control row is not");
	wire_batch_release(&got);
	struct journal_row broken = row(1, "op", "{\"a\":\n1}"), strange = row(1, "magic", "{}");
	ok(!wire_batch_row(&b, &broken) && !wire_batch_row(&b, &strange), "rows that cannot be carried are refused");
	buf_reset(&b);
	make_batch(&b, 0);
	ok(parse(b.data, b.len, &got) == ERR_OK && got.n == 0, "a batch without rows is a question");
	buf_release(&b);
}

/* Cut anywhere, with any byte changed, with lines repeated, left out or swapped. */
static void test_broken_batches(void)
{
	struct buf b = BUF_INIT(1 << 20);
	struct wire_batch got;
	int taken = 0, tried = 0;
	make_batch(&b, 3);
	for (size_t len = 0; len < b.len; len++)
		if (parse(b.data, len, &got) == ERR_OK) {
			taken++; /* only at the end of a line is it another, shorter message */
			tried += b.data[len - 1] != '\n';
			wire_batch_release(&got);
		}
	ok(taken == 3 && tried == 0, "a message that is cut within a line is refused at each of %zu bytes", b.len);
	static const char bytes[] = {'\0', '\n', '"', '{', '}', ',', '9', '-', 'x', (char)0xff};
	for (size_t at = 0; at < b.len; at++)
		for (size_t i = 0; i < sizeof bytes; i++) {
			char was = b.data[at];
			b.data[at] = bytes[i];
			if (parse(b.data, b.len, &got) == ERR_OK)
				wire_batch_release(&got);
			b.data[at] = was;
		}
	ok(true, "a changed byte is survived everywhere");
	char *line[5];
	line[0] = b.data;
	for (int i = 1; i < 5; i++)
		line[i] = strchr(line[i - 1], '\n') + 1;
	static const int orders[][4] = {{0, 1, 1, 2}, {0, 2, 1, 3}, {0, 1, 3, -1}, {1, 2, 3, -1}, {0, 0, 1, 2}};
	for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
		struct buf other = BUF_INIT(1 << 20);
		for (int i = 0; i < 4 && orders[o][i] >= 0; i++)
			buf_add(&other, line[orders[o][i]], (size_t)(line[orders[o][i] + 1] - line[orders[o][i]]));
		ok(parse(other.data, other.len, &got) == ERR_WIRE, "lines repeated, swapped or left out are refused (%zu)", o);
		buf_release(&other);
	}
	buf_release(&b);
}

static void refused_row(const char *line, const char *what)
{
	struct buf b = BUF_INIT(1 << 22);
	struct wire_batch got;
	make_batch(&b, 0);
	buf_add_str(&b, line);
	buf_add_char(&b, '\n');
	ok(parse(b.data, b.len, &got) == ERR_WIRE, "%s", what);
	buf_release(&b);
}

#define ROW(seq, kind, tail) "{\"seq\":" seq ",\"epoch\":3,\"at_ms\":1,\"seed\":1,\"kind\":\"" kind \
	"\",\"changes\":0,\"hash\":\"" ID_A "\",\"body\":" tail

static void test_rows(void)
{
	struct buf b = BUF_INIT(1 << 22);
	struct wire_batch got;
	make_batch(&b, 0);
	buf_add_str(&b, ROW("42", "check", "{}}") "\n");
	ok(parse(b.data, b.len, &got) == ERR_OK && got.n == 1, "the shortest row");
	wire_batch_release(&got);
	buf_release(&b);
	refused_row("", "an empty line");
	refused_row("garbage", "garbage");
	refused_row(ROW("42", "op", "{}}"), "an operation without statements");
	refused_row(ROW("42", "op", "[1]}"), "a body that is no object");
	refused_row(ROW("42", "op", "{\"statements\":[\"select 1\"]}"), "a row that is not closed");
	refused_row(ROW("42", "magic", "{}}"), "an unknown kind");
	refused_row(ROW("9223372036854775808", "op", "{}}"), "a number beyond 64 bits");
	refused_row(ROW("-9223372036854775809", "op", "{}}"), "a number below 64 bits");
	refused_row(ROW("", "op", "{}}"), "no number");
	refused_row(ROW("-42", "check", "{}}"), "a negative position");
	refused_row(" " ROW("42", "check", "{}}"), "white space");
	/* Deeper than any parser should follow. */
	struct buf deep = BUF_INIT(1 << 22);
	buf_add_str(&deep, ROW("42", "op", "{\"statements\":[{\"sql\":\"x\",\"params\":"));
	for (int i = 0; i < 100000; i++)
		buf_add_char(&deep, '[');
	for (int i = 0; i < 100000; i++)
		buf_add_char(&deep, ']');
	buf_add_str(&deep, "}]}}");
	refused_row(deep.data, "nesting without end");
	buf_release(&deep);
}

static void test_offer(void)
{
	struct buf b = BUF_INIT(4096);
	struct err e = ERR_INIT;
	struct wire_offer o = {.from = from(), .db = "shop", .id = ID_A, .reason = "diverged", .peer_url = "http://h:1",
		.digest = {7}, .pos = {3, 44, {1}}, .bytes = 4096, .keep_old = true}, got;
	wire_snapshot_name(o.id, &o.pos, o.name);
	is_str(o.name, ID_A ".3.44.db", "the name of a copy");
	wire_offer_write(&b, &o);
	ok(wire_offer_parse(b.data, b.len, &got, &e) == ERR_OK && got.bytes == 4096 && got.keep_old && got.pos.seq == 44 &&
			got.digest[0] == 7 && strcmp(got.peer_url, o.peer_url) == 0, "an offer comes through");
	for (size_t len = 0; len < b.len; len++) {
		err_reset(&e);
		if (wire_offer_parse(b.data, len, &got, &e) == ERR_OK)
			ok(false, "cut at byte %zu", len);
	}
	err_reset(&e);
	snprintf(o.name, sizeof o.name, "../../etc/passwd");
	buf_reset(&b);
	wire_offer_write(&b, &o);
	ok(wire_offer_parse(b.data, b.len, &got, &e) == ERR_WIRE, "a name that leads elsewhere is refused");
	buf_release(&b);
}

static void test_heartbeat(void)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	struct wire_database dbs[2] = {{.name = "_ddb", .id = ID_A, .has_pos = true, .pos = {3, 5, {1}}, .floor = 2},
		{.name = "shop", .id = ID_B, .has_pos = true, .pos = {3, 44, {1}}, .floor = 1}};
	struct wire_heartbeat h = {.from = from(), .paused = true, .url = "http://h:1", .peer_url = "http://h:2",
		.sqlite = "3.40.1", .machine = "x86_64-le", .databases = dbs, .n = 2}, got;
	wire_heartbeat_write(&b, &h);
	ok(wire_heartbeat_parse(b.data, b.len, &got, &e) == ERR_OK && got.n == 2 && got.paused && !got.ask &&
			got.databases[1].pos.seq == 44 && got.databases[0].floor == 2, "a heartbeat comes through");
	wire_heartbeat_release(&got);
	int taken = 0;
	for (size_t len = 0; len < b.len; len++) {
		err_reset(&e);
		taken += wire_heartbeat_parse(b.data, len, &got, &e) == ERR_OK;
	}
	is_int(taken, 0, "a cut one is refused");
	struct wire_database there[2] = {{.name = "_ddb", .id = ID_A, .condition = WIRE_MISSING},
		{.name = "shop", .id = ID_B, .has_pos = true, .pos = {3, 43, {1}}, .condition = WIRE_OK}};
	struct wire_reply r = {.code = ERR_OK, .node = "n2", .promised = 3, .phase = WIRE_PHASE_N, .node_id = ID_B, .role = "slave",
		.state = "ready", .sqlite = "3.40.1", .machine = "x", .databases = there, .n = 2}, back;
	buf_reset(&b);
	wire_reply_write(&b, &r, WIRE_REPLY_HEARTBEAT);
	err_reset(&e);
	ok(wire_reply_parse(b.data, b.len, &back, &e) == ERR_OK && back.n == 2 && !back.databases[0].has_pos &&
			back.databases[0].condition == WIRE_MISSING && back.databases[1].pos.seq == 43 && back.cluster[0] == '\0',
		"its answer comes through, with what is not known as null");
	wire_reply_release(&back);
	buf_release(&b);
}

static void test_reply(void)
{
	struct buf b = BUF_INIT(4096);
	struct err e = ERR_INIT;
	struct wire_reply r = {.code = ERR_DIVERGED, .node = "n2", .promised = 3, .has_pos = true, .pos = {3, 43, {1}},
		.bad_seq = 44, .phase = WIRE_FAILED, .phase_bytes = 12}, got;
	snprintf(r.detail, sizeof r.detail, "cut within a character \xc3");
	wire_reply_write(&b, &r, WIRE_REPLY_OFFER);
	ok(wire_reply_parse(b.data, b.len, &got, &e) == ERR_OK && got.code == ERR_DIVERGED && got.bad_seq == 44 &&
			got.pos.seq == 43 && got.phase == WIRE_FAILED && got.phase_bytes == 12, "an answer comes through");
	is_str(got.detail, "cut within a character ?", "with a detail that is readable");
	static const char *const bad[] = {"", "{}", "[]", "null", "<html>502 Bad Gateway</html>", "{\"v\":2,\"code\":\"ok\"}",
		"{\"v\":1,\"code\":7}", "{\"v\":1,\"code\":\"ok\",\"detail\":\"\",\"node\":\"n\",\"promised\":-1,\"pos\":null,\"bad_seq\":null}"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err_reset(&e);
		ok(wire_reply_parse(bad[i], strlen(bad[i]), &got, &e) == ERR_WIRE, "no answer: %s", bad[i]);
	}
	err_reset(&e);
	const char *newer = "{\"v\":1,\"code\":\"from_the_future\",\"detail\":\"\",\"node\":\"n\",\"promised\":1,\"pos\":null,\"bad_seq\":null,\"more\":[1]}";
	ok(wire_reply_parse(newer, strlen(newer), &got, &e) == ERR_OK && got.code == ERR_CODE_N,
		"an unknown code and unknown members are survived");
	buf_release(&b);
}

int main(void)
{
	test_batch();
	test_broken_batches();
	test_rows();
	test_offer();
	test_heartbeat();
	test_reply();
	return tap_done();
}
