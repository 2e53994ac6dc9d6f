/* lib/sql/value: every SQLite value as JSON and back, and mistakes in parameters. */
#include "lib/sql/value.h"
#include "t/tap.h"

#include <math.h>
#include <stdlib.h>

static sqlite3 *db;

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		printf("# %s: %s\n", sql, sqlite3_errmsg(db));
	return stmt;
}

/* The JSON of an SQL expression. */
static void is_out(const char *expression, bool big_as_string, const char *want, const char *what)
{
	char sql[300];
	struct buf b = BUF_INIT(1000);
	snprintf(sql, sizeof sql, "SELECT %s", expression);
	sqlite3_stmt *stmt = prepare(sql);
	sqlite3_step(stmt);
	value_add_row(&b, stmt, big_as_string);
	is_str(b.data, want, what);
	sqlite3_finalize(stmt);
	buf_release(&b);
}

static void test_out(void)
{
	is_out("NULL, 1, -9223372036854775808, 9223372036854775807", false,
		"[null,1,-9223372036854775808,9223372036854775807]", "integers are exact to the limits of 64 bits");
	is_out("9007199254740992, 9007199254740993, -9007199254740993", true,
		"[9007199254740992,\"9007199254740993\",\"-9007199254740993\"]", "big ones are strings for browsers");
	is_out("1.0, 0.1, 1e300, 9e999, -9e999", false,
		"[1.0,0.10000000000000001,1.0000000000000001e+300,{\"real\":\"Infinity\"},{\"real\":\"-Infinity\"}]",
		"reals keep 17 digits, infinities have a form of their own");
	is_out("'', 'a' || char(0) || 'b', char(128512), '\"'", false, "[\"\",\"a\\u0000b\",\"\xf0\x9f\x98\x80\",\"\\\"\"]",
		"text, with NUL and quotes and beyond the basic plane");
	is_out("x'', x'00ff'", false, "[{\"blob\":\"\"},{\"blob\":\"AP8=\"}]", "blobs, the empty one too");
	is_out("CAST(x'61ff' AS TEXT)", false, "[{\"blob\":\"Yf8=\"}]", "text that is not UTF-8 comes out as a blob");
}

static void test_names(void)
{
	struct buf b = BUF_INIT(1000);
	sqlite3_exec(db, "CREATE TABLE n(a INTEGER, \"b \"\" c\" VARCHAR(10), d)", NULL, NULL, NULL);
	sqlite3_stmt *stmt = prepare("SELECT *, a + 1 AS e FROM n");
	value_add_names(&b, stmt);
	value_add_types(&b, stmt);
	is_str(b.data, "[\"a\",\"b \\\" c\",\"d\",\"e\"][\"INTEGER\",\"VARCHAR(10)\",null,null]",
		"names, and types as declared");
	sqlite3_finalize(stmt);
	buf_reset(&b);
	value_add_name(&b, "a\xff\xc3\xa4\xe2\x82");
	is_str(b.data, "\"a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\"", "bytes that are not UTF-8 are replaced in a name");
	buf_release(&b);
}

/* What SQLite has after binding the JSON: its type and its quoted form. */
static void is_in(const char *json, const char *want, const char *what)
{
	struct err e = ERR_INIT;
	json_t *v = json_loads(json, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	sqlite3_stmt *stmt = prepare("SELECT typeof(?1) || ' ' ||"
		" CASE ?1 WHEN 9e999 THEN 'Inf' WHEN -9e999 THEN '-Inf' ELSE quote(?1) END");
	value_bind(stmt, 1, v, &e);
	sqlite3_step(stmt);
	is_str(e.code == ERR_OK ? (const char *)sqlite3_column_text(stmt, 0) : e.text, want, what);
	sqlite3_finalize(stmt);
	json_decref(v);
}

static void test_in(void)
{
	is_in("null", "null NULL", "null");
	is_in("true", "integer 1", "true is 1");
	is_in("false", "integer 0", "false is 0");
	is_in("-9223372036854775808", "integer -9223372036854775808", "the least integer");
	is_in("9223372036854775807", "integer 9223372036854775807", "the greatest integer");
	is_in("1.0", "real 1.0", "a whole real stays a real");
	is_in("{\"real\":\"Infinity\"}", "real Inf", "infinity");
	is_in("{\"real\":\"-Infinity\"}", "real -Inf", "minus infinity");
	is_in("\"it's\"", "text 'it''s'", "text");
	is_in("{\"blob\":\"AP8=\"}", "blob X'00FF'", "a blob");
	is_in("{\"blob\":\"\"}", "blob X''", "an empty blob is not NULL");
	is_in("{\"real\":\"NaN\"}", "parameter ?1: SQLite cannot store NaN", "NaN is refused, not made NULL");
	is_in("{\"real\":\"1\"}", "parameter ?1: \"real\" must be \"Infinity\" or \"-Infinity\"", "other reals are numbers");
	is_in("{\"blob\":\"AP8\"}", "parameter ?1: \"blob\" is not base64 (RFC 4648, with padding)", "bad base64");
	is_in("{\"blob\":7}", "parameter ?1: \"blob\" must be a base64 string", "a blob of another type");
	is_in("{\"a\":1}", "parameter ?1: an object is no value; blobs are {\"blob\": \"<base64>\"}, infinities"
		" {\"real\": \"Infinity\"}", "an object");
	is_in("[1]", "parameter ?1: an array is no value", "an array");
}

/* Random bit patterns of doubles, and random bytes, through JSON and back. */
static void test_round_trip(void)
{
	int bad = 0;
	unsigned char bytes[64];
	srandom(20261122);
	for (int round = 0; round < 3000; round++) {
		struct err e = ERR_INIT;
		struct buf text = BUF_INIT(10000);
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (unsigned char)(random() >> 8);
		double real;
		int64_t integer;
		memcpy(&real, bytes, sizeof real);
		memcpy(&integer, bytes + 8, sizeof integer);
		if (round == 0)
			real = -0.0;
		if (isnan(real))
			continue;
		/* half of the texts are ASCII with NULs, so that texts go as texts too */
		for (size_t i = 16; i < sizeof bytes && round % 2; i++)
			bytes[i] &= 0x3f;
		sqlite3_stmt *one = prepare("SELECT ?, ?, ?, ?"), *two = prepare("SELECT ?, ?, ?, ?");
		sqlite3_bind_double(one, 1, real);
		sqlite3_bind_int64(one, 2, integer);
		sqlite3_bind_text(one, 3, (char *)bytes + 16, round % 48, SQLITE_STATIC);
		sqlite3_bind_blob(one, 4, bytes + 16, round % 48, SQLITE_STATIC);
		sqlite3_step(one);
		value_add_row(&text, one, false);
		json_t *row = json_loads(text.data, JSON_ALLOW_NUL, NULL);
		if (value_bind_all(two, row, &e) == ERR_OK)
			sqlite3_step(two);
		double back = sqlite3_column_double(two, 0);
		bool same = e.code == ERR_OK && memcmp(&back, &real, sizeof real) == 0 &&
			sqlite3_column_int64(two, 1) == integer;
		for (int i = 2; i < 4; i++) {
			int len = sqlite3_column_bytes(two, i);
			const void *got = sqlite3_column_blob(two, i);
			same = same && len == round % 48 && (len == 0 || memcmp(got, bytes + 16, (size_t)len) == 0);
		}
		if (!same && bad++ < 3)
			printf("# round %d: %s (%s)\n", round, text.data, e.text);
		sqlite3_finalize(one);
		sqlite3_finalize(two);
		json_decref(row);
		buf_release(&text);
	}
	is_int(bad, 0, "3000 random rows come back bit by bit, -0.0 too (seed 20261122)");
}

static void is_bound(const char *sql, const char *params, const char *want, const char *what)
{
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT(1000);
	json_t *v = params ? json_loads(params, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL) : NULL;
	sqlite3_stmt *stmt = prepare(sql);
	if (value_bind_all(stmt, v, &e) == ERR_OK) {
		sqlite3_step(stmt);
		value_add_row(&b, stmt, false);
	}
	is_str(e.code == ERR_OK ? b.data : e.text, want, what);
	if (e.code != ERR_OK)
		ok(e.code == ERR_BAD_VALUE, "- it is the client's mistake");
	sqlite3_finalize(stmt);
	json_decref(v);
	buf_release(&b);
}

static void test_params(void)
{
	is_bound("SELECT ?, ?", "[1,\"x\"]", "[1,\"x\"]", "values by position");
	is_bound("SELECT ?2, ?1", "[1,2]", "[2,1]", "values by number");
	is_bound("SELECT :a, @b, $c, :a", "{\"c\":3,\"b\":2,\"a\":1}", "[1,2,3,1]", "values by name");
	is_bound("SELECT :a, @a", "{\"a\":1}", "[1,1]", "one name with two prefixes");
	is_bound("SELECT 1", NULL, "[1]", "no parameters");
	is_bound("SELECT 1", "null", "[1]", "null for no parameters");
	is_bound("SELECT 1", "[]", "[1]", "an empty array for no parameters");
	is_bound("SELECT 1", "{}", "[1]", "an empty object for no parameters");
	is_bound("SELECT ?, ?", "[1]", "the statement takes 2 parameters, and 1 value was given", "too few");
	is_bound("SELECT ?", "[1,2,3]", "the statement takes 1 parameter, and 3 values were given", "too many");
	is_bound("SELECT ?", NULL, "the statement takes 1 parameter, and no values were given", "none");
	is_bound("SELECT :a, :b", "{\"a\":1}", "no value was given for the parameter :b", "a name without value");
	is_bound("SELECT :a, @a", "{\"a\":1,\"z\":2}", "the statement has no parameter named 'z'", "a value without name");
	is_bound("SELECT ?", "{\"a\":1}", "parameter 1 of the statement has no name: give an array", "a name for none");
	is_bound("SELECT ?, :b", "[1,[2]]", "parameter :b: an array is no value", "the parameter's name is told");
	is_bound("SELECT ?", "7", "parameters are an array (by position) or an object (by name)", "neither");
}

static void test_many(void)
{
	struct err e = ERR_INIT;
	struct buf sql = BUF_INIT(1 << 20);
	json_t *list = json_array(), *object = json_object();
	buf_add_str(&sql, "SELECT 0 IN (0");
	for (int i = 0; i < 10000; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%d", i);
		buf_addf(&sql, ", :%s", name);
		json_array_append_new(list, json_integer(i));
		json_object_set_new(object, name, json_integer(i));
	}
	buf_add_char(&sql, ')');
	sqlite3_stmt *stmt = prepare(sql.data);
	ok(value_bind_all(stmt, list, &e) == ERR_OK, "10,000 parameters by position");
	ok(value_bind_all(stmt, object, &e) == ERR_OK, "10,000 parameters by name");
	sqlite3_finalize(stmt);
	json_decref(list);
	json_decref(object);
	buf_release(&sql);
}

int main(void)
{
	if (sqlite3_open(":memory:", &db) != SQLITE_OK)
		return 1;
	test_out();
	test_names();
	test_in();
	test_round_trip();
	test_params();
	test_many();
	sqlite3_close(db);
	return tap_done();
}
