/* lib/http on a carrier of the test's own: addresses and query strings, routes,
 * what is refused before a handler runs, and how answers leave. */
#include "t/client.h"
#include "t/tap.h"

#include <stdlib.h>

/* ---- the program under test ---- */

static void echo(struct request *r)
{
	struct buf body = BUF_INIT(1 << 20), json = BUF_INIT(1 << 21);
	struct err e = ERR_INIT;
	if (request_body(r, 1 << 20, &body, &e) == ERR_OK) {
		buf_addf(&json, "%s|%s|%s", request_path(r, "db"), request_path(r, "key") ? request_path(r, "key") : "-",
			request_param(r, "a") ? request_param(r, "a") : "-");
		buf_add(&json, body.data, body.len);
		response_json(r, 200, &json);
	} else {
		response_problem(r, &e);
	}
	buf_release(&body);
	buf_release(&json);
}

static int streamed;   /* pieces that the handler was allowed to send */

/* ?n= lines of 1000 bytes, then an error if ?fail=1 */
static void stream(struct request *r)
{
	int64_t n = 0, fail = 0;
	struct err e = ERR_INIT;
	if (request_param_int(r, "n", 0, 0, 1000000, &n, &e) != ERR_OK ||
	    request_param_int(r, "fail", 0, 0, 1, &fail, &e) != ERR_OK) {
		response_problem(r, &e);
		return;
	}
	response_header(r, "Content-Type", "text/plain");
	response_header(r, "Set-Cookie", "a=b");
	response_header(r, "X-Split", "one\r\nX-Evil: two");
	char line[1000];
	memset(line, 'x', sizeof line);
	streamed = 0;
	while (streamed < n && response_write(r, line, sizeof line))
		streamed++;
	if (fail) {
		err_set(&e, ERR_DEADLINE, "it took too long \xe2\x82"); /* a character cut in two */
		response_problem(r, &e);
	}
}

static void forward(struct request *r)
{
	response_header(r, "DDB-Node", "n2");
	response_forward(r, "127.0.0.1:8001");
}

static void nothing(struct request *r)
{
	response_status(r, 204);
}

enum { ECHO, ECHO_KEY, STREAM, FORWARD, DELETE, OTHER, PEER, ROUTE_N };
static const struct route table[ROUTE_N] = {
	[ECHO] = {"POST", "/v1/db/{db}/echo", ROUTE_WRITE, ROUTE_PUBLIC, ROUTE_WRITES, ROUTE_WRITER, 100000, ""},
	[ECHO_KEY] = {"GET", "/v1/db/{db}/rows/{key}", ROUTE_WRITE, ROUTE_PUBLIC, ROUTE_READS, ROUTE_READER, 0, ""},
	[STREAM] = {"GET", "/stream", ROUTE_WRITE, ROUTE_PUBLIC, ROUTE_READS, ROUTE_READER, 0, ""},
	[FORWARD] = {"PUT", "/stream", ROUTE_WRITE, ROUTE_PUBLIC, ROUTE_WRITES, ROUTE_WRITER, 100, ""},
	[DELETE] = {"DELETE", "/stream", ROUTE_WRITE, ROUTE_PUBLIC, ROUTE_WRITES, ROUTE_WRITER, 0, ""},
	[OTHER] = {"GET", "/other", ROUTE_READ, ROUTE_PUBLIC, ROUTE_READS, ROUTE_READER, 0, ""},
	[PEER] = {"POST", "/replicate", ROUTE_WRITE, ROUTE_PEERS, ROUTE_NODE, ROUTE_PEER, 1000000, ""},
};
static route_handler *const handlers[ROUTE_N] = {
	[ECHO] = echo, [ECHO_KEY] = echo, [STREAM] = stream, [FORWARD] = forward, [DELETE] = nothing, [PEER] = echo,
};
static const struct serve program = {
	.program = ROUTE_WRITE, .table = table, .handler = handlers, .table_n = ROUTE_N, .body_max = 50000,
};

static int run_on(struct client *c, enum route_listener listener)
{
	return client_run(c, &program, listener);
}

static int run(struct client *c)
{
	return run_on(c, ROUTE_PUBLIC);
}

/* The status of one request without a body. */
static int simple(const char *method, const char *uri)
{
	struct client c;
	client_init(&c, method, uri);
	int status = run(&c);
	buf_release(&c.got);
	return status;
}

static void is_body(const char *uri, const char *want, const char *what)
{
	struct client c;
	client_init(&c, "GET", uri);
	run(&c);
	is_str(body_of(&c), want, what);
	buf_release(&c.got);
}

/* ---- tests ---- */

static void test_addresses(void)
{
	is_body("/v1/db/shop/rows/a%2Fb?a=x", "shop|a/b|x", "an encoded slash stays in its segment");
	is_body("/v1/db/shop/rows/a+b?a=x+y%2B", "shop|a+b|x y+", "a plus is a space in a query only");
	is_body("/v1/db/shop/rows/", "shop||-", "an empty key is a key");
	is_body("/v1/db/shop/rows/%C3%A4?a&b=2", "shop|\xc3\xa4|", "UTF-8, and a parameter without a value");
	is_body("/v1/db/shop/rows/k?a=1=2&a=3", "shop|k|1=2", "the first of two equal names counts, '=' may be in a value");
	is_int(simple("GET", "/v1/db//rows/k"), 404, "an empty name matches nothing");
	is_int(simple("GET", "/v1/db/shop/rows/k/"), 404, "a slash too many matches nothing");
	is_int(simple("GET", "/v1/db/shop/rows/.."), 400, "dot segments are refused");
	is_int(simple("GET", "/v1/db/shop/rows/%2e%2E"), 400, "encoded ones too");
	is_int(simple("GET", "/v1/db/shop/rows/%00"), 400, "an encoded NUL is refused");
	is_int(simple("GET", "/v1/db/shop/rows/%zz"), 400, "a malformed escape is refused");
	is_int(simple("GET", "/v1/db/shop/rows/%4"), 400, "a cut escape is refused");
	is_int(simple("GET", "/v1/db/shop/rows/%C3"), 400, "what is not UTF-8 is refused");
	is_int(simple("GET", "/v1/db/shop/rows/k?a=%"), 400, "also in a query");
	is_int(simple("GET", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p"), 404, "too deep an address");
	is_int(simple("GET", "v1/db"), 400, "an address without its first slash");
	is_int(simple("GET", ""), 400, "no address at all");
	is_int(simple("", "/stream"), 405, "no method");

	char uri[20000] = "/v1/db/shop/rows/";
	size_t len = strlen(uri);
	memset(uri + len, 'k', 1023);
	is_int(simple("GET", uri), 200, "a key of 1023 bytes");
	memset(uri + len, 'k', 1024);
	is_int(simple("GET", uri), 400, "and not one more");
	strcpy(uri, "/stream?n=1");
	for (int i = 0; i < 300; i++)
		strcat(uri, "&b=1");
	is_int(simple("GET", uri), 400, "too many parameters");
	is_int(simple("GET", "/stream?n=9223372036854775808"), 400, "a number beyond 64 bits");
	is_int(simple("GET", "/stream?n= 1"), 400, "a number with a blank");
	is_int(simple("GET", "/stream?n=-1"), 400, "a number out of bounds");
}

static void test_without_uri(void)
{
	struct client c;
	client_init(&c, "GET", "/cgi-bin/write/v1/db/shop/rows/a%2Fb");
	client_set(&c, "SCRIPT_NAME", "/cgi-bin/write");
	client_set(&c, "PATH_INFO", "/v1/db/shop/rows/a/b");
	run(&c);
	is_str(body_of(&c), "shop|a/b|-", "below a folder of a web server the address begins after the program");
	buf_release(&c.got);
	client_init(&c, "GET", "");
	client_set(&c, "PATH_INFO", "/v1/db/shop/rows/k");
	run(&c);
	is_str(body_of(&c), "shop|k|-", "PATH_INFO alone is enough");
	buf_release(&c.got);
}

static void test_routes(void)
{
	is_int(simple("GET", "/nowhere"), 404, "an unknown address");
	is_int(simple("GET", "/other"), 421, "an address of another program");
	is_int(simple("POST", "/replicate"), 404, "the peers' addresses are not on the public listener");
	struct client c;
	client_init(&c, "POST", "/stream");
	is_int(run(&c), 405, "an unknown method");
	ok(has(&c, "\r\nAllow: GET, HEAD, PUT, DELETE\r\n"), "names those that are known");
	ok(has(&c, "\r\nContent-Type: application/problem+json\r\n") && has(&c, "\"code\":\"method_not_allowed\""),
		"in a problem document");
	buf_release(&c.got);
	client_init(&c, "POST", "/replicate");
	client_body(&c, "x", 1, "1");
	is_int(run_on(&c, ROUTE_PEERS), 200, "they are on the peers' listener");
	buf_release(&c.got);
	client_init(&c, "GET", "/stream");
	is_int(run_on(&c, ROUTE_PEERS), 404, "where the public ones are not");
	buf_release(&c.got);
}

static void test_bodies(void)
{
	struct client c;
	client_init(&c, "POST", "/v1/db/shop/echo");
	client_body(&c, "{\"a\":1}", 7, "7");
	is_int(run(&c), 200, "a body is read");
	is_str(body_of(&c), "shop|-|-{\"a\":1}", "whole");
	buf_release(&c.got);

	client_init(&c, "POST", "/v1/db/shop/echo");
	client_body(&c, "{\"a\":1}", 7, "8");
	is_int(run(&c), 400, "a body shorter than it says is refused");
	buf_release(&c.got);

	static char big[60000];
	memset(big, ' ', sizeof big);
	client_init(&c, "POST", "/v1/db/shop/echo");
	client_body(&c, big, 50000, "50000");
	is_int(run(&c), 200, "a body of the largest size");
	buf_release(&c.got);
	client_init(&c, "POST", "/v1/db/shop/echo");
	client_body(&c, big, 50001, "50001");
	is_int(run(&c), 413, "one byte more is refused");
	is_int((long long)c.body_at, 0, "before it is read");
	buf_release(&c.got);

	static const char *const lengths[] = {"-1", "1x", "99999999999999999999", "0x10", " 1"};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		client_init(&c, "POST", "/v1/db/shop/echo");
		client_body(&c, "", 0, lengths[i]);
		ok(run(&c) == 400, "Content-Length: %s is refused", lengths[i]);
		buf_release(&c.got);
	}

	client_init(&c, "POST", "/v1/db/shop/echo");
	client_set(&c, "CONTENT_LENGTH", "2");
	client_set(&c, "CONTENT_TYPE", "text/plain");
	is_int(run(&c), 415, "a body that a foreign page's form could send is refused");
	buf_release(&c.got);
	client_init(&c, "DELETE", "/stream");
	client_body(&c, "{}", 2, "2");
	is_int(run(&c), 400, "a body where none is taken is refused, not ignored");
	buf_release(&c.got);
}

static int from_origin(const char *method, const char *uri, const char *origin, const char *host)
{
	struct client c;
	client_init(&c, method, uri);
	client_set(&c, "HTTP_ORIGIN", origin);
	client_set(&c, "HTTP_HOST", host);
	int status = run(&c);
	buf_release(&c.got);
	return status;
}

static void test_refused(void)
{
	is_int(from_origin("DELETE", "/stream", "http://127.0.0.1:8080", "127.0.0.1:8080"), 204, "the own page may write");
	is_int(from_origin("DELETE", "/stream", "https://DB.example.org", "db.example.org"), 204, "also behind TLS");
	is_int(from_origin("DELETE", "/stream", "http://127.0.0.1:8081", "127.0.0.1:8080"), 403, "another port may not");
	is_int(from_origin("DELETE", "/stream", "null", "127.0.0.1:8080"), 403, "a page without origin may not");
	is_int(from_origin("DELETE", "/stream", "http://evil/", "evil"), 403, "an odd origin may not");
	is_int(from_origin("GET", "/stream", "http://evil", "127.0.0.1:8080"), 200, "reads are the browser's to guard");
	struct client c;
	client_init(&c, "DELETE", "/stream");
	client_set(&c, "HTTP_DDB_ROUTE", "reads");
	is_int(run(&c), 421, "a write that HAProxy could repeat is refused");
	buf_release(&c.got);
	client_init(&c, "GET", "/stream");
	client_set(&c, "HTTP_DDB_ROUTE", "reads");
	is_int(run(&c), 200, "a read that way is not");
	buf_release(&c.got);
}

static void test_answers(void)
{
	struct client c;
	client_init(&c, "GET", "/stream?n=3");
	run(&c);
	ok(has(&c, "\r\nContent-Length: 3000\r\n"), "a small answer says its length");
	ok(has(&c, "\r\nX-Split: oneX-Evil: two\r\n"), "a header value cannot begin another header");
	ok(has(&c, "\r\nCache-Control: no-store\r\n"), "answers are not to be cached unless a handler says so");
	buf_release(&c.got);

	client_init(&c, "HEAD", "/stream?n=3");
	is_int(run(&c), 200, "HEAD is answered where GET is");
	ok(has(&c, "\r\nContent-Length: 3000\r\n") && *body_of(&c) == '\0', "with the length and no body");
	buf_release(&c.got);

	client_init(&c, "GET", "/stream?n=100");
	run(&c);
	ok(!has(&c, "Content-Length") && strlen(body_of(&c)) == 100000, "a long answer streams");
	ok(c.writes < 12, "in pieces (%d writes)", c.writes);
	buf_release(&c.got);

	client_init(&c, "HEAD", "/stream?n=1000000");
	is_int(run(&c), 200, "HEAD of a long answer");
	ok(*body_of(&c) == '\0' && streamed < 20, "stops the handler at the first piece");
	buf_release(&c.got);

	client_init(&c, "GET", "/stream?n=1000000");
	c.gone_after = 100000;
	run(&c);
	ok(streamed < 200, "a client that goes away stops the handler (after %d lines)", streamed);
	buf_release(&c.got);

	client_init(&c, "DELETE", "/stream");
	is_int(run(&c), 204, "an answer without a body");
	ok(!has(&c, "Content-Length"), "says no length");
	buf_release(&c.got);
}

static void test_problems(void)
{
	struct client c;
	client_init(&c, "GET", "/stream?n=5&fail=1");
	is_int(run(&c), 422, "an error before the first piece left is a whole answer");
	is_str(body_of(&c), "{\"type\":\"about:blank\",\"title\":\"The statement took too long and was stopped\","
		"\"status\":422,\"code\":\"deadline\",\"detail\":\"it took too long ??\"}\n", "as a problem document");
	ok(!has(&c, "text/plain") && has(&c, "X-Split"), "without the type of the answer, with its other headers");
	buf_release(&c.got);

	client_init(&c, "GET", "/stream?n=100&fail=1");
	is_int(run(&c), 200, "an error later");
	ok(c.was_cut, "cuts the connection");
	ok(!has(&c, "deadline"), "and adds nothing to the body");
	buf_release(&c.got);
}

static void test_forward(void)
{
	struct client c;
	client_init(&c, "PUT", "/stream");
	run(&c);
	ok(has(&c, "\r\nX-Accel-Redirect: @master\r\n") && has(&c, "\r\nX-DDB-Master: 127.0.0.1:8001\r\n"),
		"nginx is asked to pass the request on");
	ok(!has(&c, "DDB-Node"), "nothing else of the answer remains");
	buf_release(&c.got);
}

/* Random bytes as address, query and headers: every answer is whole, none is a 5xx. */
static void test_noise(void)
{
	unsigned seed = 12345;
	int bad = 0;
	for (int i = 0; i < 20000; i++) {
		char uri[120], query[60];
		size_t n = (size_t)rand_r(&seed) % (sizeof uri - 1);
		static const char *const starts[] = {"/v1/db/", "/", "", "/stream?"};
		strcpy(uri, starts[rand_r(&seed) % 4]);
		for (size_t k = strlen(uri); k < n; k++) {
			uri[k] = "%/.?&=+20aF\xc3\xa4\x01{}"[rand_r(&seed) % 17];
			uri[k + 1] = '\0';
		}
		n = (size_t)rand_r(&seed) % (sizeof query - 1);
		query[0] = '\0';
		for (size_t k = 0; k < n; k++) {
			query[k] = (char)(1 + rand_r(&seed) % 255);
			query[k + 1] = '\0';
		}
		struct client c;
		client_init(&c, i % 3 ? "GET" : "POST", uri);
		c.value[2] = query;
		client_set(&c, "CONTENT_LENGTH", query);
		int status = run(&c);
		bad += status < 200 || status >= 500;
		buf_release(&c.got);
	}
	is_int(bad, 0, "20000 noisy requests: no answer below 200 or above 499");
}

int main(void)
{
	test_addresses();
	test_without_uri();
	test_routes();
	test_bodies();
	test_refused();
	test_answers();
	test_problems();
	test_forward();
	test_noise();
	return tap_done();
}
