/* lib/base: buffers, JSON text, the configuration file. */
#include "lib/base/conf.h"
#include "lib/base/file.h"
#include "lib/base/jsonr.h"
#include "lib/base/jsonw.h"
#include "t/tap.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static void test_buf(void)
{
	struct buf b = BUF_INIT(10);
	buf_add_str(&b, "12345");
	buf_addf(&b, "%d", 67890);
	is_str(b.data, "1234567890", "a buffer takes up to its ceiling");
	buf_add_char(&b, 'x');
	ok(b.failed && b.len == 10, "one byte more fails and adds nothing");
	buf_reset(&b);
	buf_add_str(&b, "again");
	is_str(b.data, "again", "a reset buffer works again");
	buf_release(&b);
}

static void is_json(void (*add)(struct buf *), const char *want, const char *what)
{
	struct buf b = BUF_INIT(1000);
	add(&b);
	is_str(b.data, want, what);
	buf_release(&b);
}

static void add_controls(struct buf *b) { jsonw_string(b, "a\0\x01\"\\\n\x7f", 7); }
static void add_real(struct buf *b) { jsonw_real(b, 1.0); }
static void add_tenth(struct buf *b) { jsonw_real(b, 0.1); }
static void add_infinity(struct buf *b) { jsonw_real(b, -INFINITY); }
static void add_blob(struct buf *b) { jsonw_blob(b, "\0\xff", 2); }
static void add_least(struct buf *b) { jsonw_int(b, INT64_MIN); }

static void test_jsonw(void)
{
	is_json(add_controls, "\"a\\u0000\\u0001\\\"\\\\\\n\\u007f\"", "control characters are escaped");
	is_json(add_real, "1.0", "a whole real is recognisable as a real");
	is_json(add_tenth, "0.10000000000000001", "a real has 17 digits");
	is_json(add_infinity, "{\"real\":\"-Infinity\"}", "an infinity has its own form");
	is_json(add_blob, "{\"blob\":\"AP8=\"}", "a blob is base64");
	is_json(add_least, "-9223372036854775808", "64-bit integers are exact");
	ok(jsonw_utf8_ok("\xc3\xa4\xf0\x9f\x98\x80", 6), "valid UTF-8 passes");
	ok(!jsonw_utf8_ok("\xc0\x80", 2) && !jsonw_utf8_ok("\xed\xa0\x80", 3) && !jsonw_utf8_ok("\xc3", 1),
		"overlong forms, surrogates and cut characters do not");
}

/* n times part, between open and close. */
static enum err_code parsed(const char *open, const char *part, int n, const char *close)
{
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT(1 << 26);
	buf_add_str(&text, open);
	for (int i = 0; i < n; i++)
		buf_add_str(&text, part);
	buf_add_str(&text, close);
	json_t *v = jsonr_parse(text.data, text.len, "it", &e);
	ok(!v == (e.code != ERR_OK), "a value or an error");
	json_decref(v);
	buf_release(&text);
	return e.code;
}

static void test_jsonr(void)
{
	struct err e = ERR_INIT;
	ok(parsed("[0", ",{}", JSONR_CONTAINERS_MAX - 1, "]") == ERR_OK, "a million arrays and objects");
	ok(parsed("[0", ",{}", JSONR_CONTAINERS_MAX, "]") == ERR_TOO_BIG, "and not one more");
	ok(parsed("[0", ",0", JSONR_VALUES_MAX - 1, "]") == ERR_OK, "five million values");
	ok(parsed("[0", ",0", JSONR_VALUES_MAX, "]") == ERR_TOO_BIG, "and not one more");
	ok(parsed("[\"", "{,[\\\"", JSONR_CONTAINERS_MAX, "\"]") == ERR_OK, "brackets within a text do not count");
	ok(parsed("", "[", 2 * JSONR_CONTAINERS_MAX, "") == ERR_TOO_BIG, "nor need they close");
	ok(parsed("", "[", 10000, "") == ERR_BAD_JSON, "too deep");
	ok(parsed("", "\"\\", 1, "") == ERR_BAD_JSON, "a text that ends in the middle");
	ok(parsed("{\"a\":1", ",\"a\":1", 1, "}") == ERR_BAD_JSON, "a name that stands twice");
	ok(!jsonr_parse("{\"a\":\n x}", 9, "the body", &e) && e.offset == 8, "where a mistake ends");
	is_str(e.text, "the body: invalid token near 'x' (line 2, column 2)", "and its words");
}

static void test_conf(void)
{
	char path[] = "/tmp/ddb-conf-XXXXXX";
	int fd = mkstemp(path);
	struct conf c;
	struct err e = ERR_INIT;
	close(fd);
	const char *good = "# a node\nname = n1\ndata=/d\nrun = /r\nurl = http://h:1\npeer_url = http://h:2\nlag_ms = 70\nalone = go\n";
	file_replace(path, good, strlen(good), false, &e);
	is_int(conf_load(&c, path, &e), ERR_OK, "a good file is read");
	ok(c.lag_ms == 70 && c.heartbeat_ms == 250 && c.alone == CONF_ALONE_GO, "settings and defaults hold");
	const char *bad = "name = n1\nlag_ms = 1\n";
	file_replace(path, bad, strlen(bad), false, &e);
	is_int(conf_load(&c, path, &e), ERR_BAD_VALUE, "a value out of bounds is refused");
	ok(strstr(e.text, "line 2") && strstr(e.text, "lag_ms"), "and the line and key are named");
	unlink(path);
}

int main(void)
{
	test_buf();
	test_jsonw();
	test_jsonr();
	test_conf();
	return tap_done();
}
