/* lib/api/{filter,keyset,rows}: what filters find and pages give, held against
 * the same SQL run directly; mistakes and hostile input. */
#include "lib/sql/value.h"
#include "t/node.h"
#include "t/tap.h"

#include <inttypes.h>

#define ROWS "/v1/db/shop/tables/"
#define SEED 20261122

static unsigned seed = SEED;
static struct conn direct;     /* to the same file, without the API */

static int any(int n)
{
	return rand_r(&seed) % n;
}

/* ---- a table of all kinds of values ---- */

static const char *const values[] = {
	"NULL", "NULL", "0", "1", "2", "3", "1", "2", "-1", "1.0", "2.5", "1e300", "-9e999", "9e999", "9223372036854775807",
	"-9223372036854775808", "9007199254740993", "''", "'a'", "'A'", "'b'", "'ab'", "'Ab%c'", "'a_b'", "'a*b'", "'[x]'",
	"'ä'", "'Ä'", "'1'", "'2'", "'10'", "'01'", "'1.0'", "'x,y'", "'(z)'", "'\"q\"'", "'a\\b'", "'a' || char(0) || 'b'",
	"CAST(x'61ff' AS TEXT)", "CAST(x'ff' AS TEXT)", "x''", "x'00'", "x'61'", "x'00ff'", "char(128512)", "' 1 '", "-0.0",
};
#define VALUE_N (int)(sizeof values / sizeof *values)

static const char *value(void)
{
	return values[any(VALUE_N)];
}

static void fill(void)
{
	struct buf sql = BUF_INIT(1 << 20);
	buf_add_str(&sql, "CREATE TABLE mixed(id INTEGER PRIMARY KEY, n INTEGER, r REAL, s TEXT, c TEXT COLLATE NOCASE, x, b BLOB,"
		" nn INT NOT NULL, ok BOOLEAN); CREATE INDEX mixed_n ON mixed(n); CREATE INDEX mixed_cx ON mixed(c, x DESC);"
		"CREATE TABLE heap(x, y);"
		"CREATE TABLE pair(a TEXT COLLATE NOCASE, b, v, PRIMARY KEY(b DESC, a COLLATE BINARY)) WITHOUT ROWID;"
		"CREATE TABLE tkey(k TEXT PRIMARY KEY, v);"
		"CREATE TABLE taken(rowid, oid, _rowid_);"
		"CREATE VIEW seen AS SELECT n, CAST(s AS TEXT) AS s, x, id % 2 AS odd FROM mixed UNION ALL SELECT n, s, 1, 1 FROM mixed;"
		"CREATE VIRTUAL TABLE words USING fts5(w, v);");
	for (int i = 0; i < 150; i++) {
		buf_addf(&sql, "INSERT INTO mixed(n, r, s, c, x, b, nn, ok) VALUES(%s, %s, %s, %s, %s, %s, %d, %d);", value(), value(),
			value(), value(), value(), value(), any(5), any(2));
		buf_addf(&sql, "INSERT INTO heap VALUES(%s, %s); INSERT OR IGNORE INTO pair VALUES(coalesce(%s, ''), coalesce(%s, ''), %d);",
			value(), value(), value(), value(), i);
		buf_addf(&sql, "INSERT OR IGNORE INTO tkey VALUES(%s, %s); INSERT INTO taken VALUES(%s, %d, 1);", value(), value(),
			value(), any(3));
		buf_addf(&sql, "INSERT INTO words VALUES(%s, '%d');", value(), any(9));
	}
	node_sql(sql.data);
	buf_release(&sql);
}

/* What SQL gives directly, as the rows of an answer. */
static char *rows_of(const char *sql)
{
	struct buf out = BUF_INIT(1 << 24);
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(direct.db, sql, -1, &stmt, NULL) != SQLITE_OK)
		printf("# %s: %s\n", sql, sqlite3_errmsg(direct.db));
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		value_add_row(&out, stmt, false);
		buf_add_char(&out, '\n');
	}
	sqlite3_finalize(stmt);
	return buf_steal(&out);
}

static void add_rows(struct buf *out, const json_t *page)
{
	size_t i;
	json_t *row;
	json_array_foreach(json_object_get(page, "rows"), i, row) {
		char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(17));
		buf_add_str(out, text);
		buf_add_char(out, '\n');
		free(text);
	}
}

/* JSON as jansson writes it, so that both sides are spelled alike. */
static char *alike(char *rows)
{
	struct buf out = BUF_INIT(1 << 24);
	char *rest = rows, *line;
	while ((line = strsep(&rest, "\n"))) {
		json_t *v = *line ? json_loads(line, JSON_ALLOW_NUL, NULL) : NULL;
		char *text = v ? json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
		if (text) {
			buf_add_str(&out, text);
			buf_add_char(&out, '\n');
		}
		free(text);
		json_decref(v);
	}
	free(rows);
	return buf_steal(&out);
}

static void encode(struct buf *out, const char *text)
{
	url_encode(out, text, strlen(text));
}

/* All pages of a query string, joined; NULL and a comment when one is refused.
 * between is called between two pages. */
static char *walk(const char *table, const char *query, int limit, void (*between)(void), int *pages)
{
	struct buf out = BUF_INIT(1 << 24), uri = BUF_INIT(1 << 16);
	json_t *page = NULL;
	bool good = true;
	*pages = 0;
	for (bool more = true; more && good && *pages < 2000; (*pages)++) {
		const char *next = json_string_value(json_object_get(page, "next"));
		buf_reset(&uri);
		buf_addf(&uri, ROWS "%s/rows?limit=%d%s%s", table, limit, *query ? "&" : "", query);
		if (next)
			buf_addf(&uri, "&after=%s", next);
		json_decref(page);
		good = node_get(uri.data, &page) == 200;
		if (!good)
			printf("# %s: %s\n", uri.data, json_string_value(json_object_get(page, "detail")));
		add_rows(&out, page);
		more = json_is_string(json_object_get(page, "next"));
		if (json_object_get(page, "more"))
			good = false;
		if (more && between)
			between();
	}
	json_decref(page);
	buf_release(&uri);
	if (good)
		return buf_steal(&out);
	buf_release(&out);
	return NULL;
}

/* ---- filters against SQL ---- */

struct pair {
	const char *filter, *sql;
};

static const struct pair filters[] = {
	{"n=eq.1", "n = 1"}, {"n=neq.1", "n <> 1"}, {"n=gt.1", "n > 1"}, {"n=gte.1", "n >= 1"}, {"n=lt.1", "n < 1"},
	{"n=lte.1", "n <= 1"}, {"n=eq.a", "n = 'a'"}, {"n=gte.a", "n >= 'a'"}, {"n=eq.", "n = ''"}, {"n=eq.01", "n = '01'"},
	{"n=eq.9223372036854775807", "n = 9223372036854775807"}, {"n=gt.9007199254740992", "n > 9007199254740992"},
	{"n=lt.1e400", "n < 9e999"}, {"n=gt.-1e400", "n > -9e999"}, {"n=eq.99999999999999999999", "n = 99999999999999999999.0"},
	{"r=eq.2.5", "r = 2.5"}, {"r=lt.0.1", "r < 0.1"}, {"r=eq.-0.0", "r = 0"}, {"r=eq.1e300", "r = 1e300"},
	{"s=eq.1", "s = '1'"}, {"s=eq.a", "s = 'a'"}, {"s=gt.A", "s > 'A'"}, {"s=eq.", "s = ''"}, {"s=eq.%22q%22", "s = '\"q\"'"},
	{"s=eq.%C3%A4", "s = 'ä'"}, {"s=eq.a%5Cb", "s = 'a\\b'"}, {"s=neq.a", "s <> 'a'"}, {"s=eq.not.a", "s = 'not.a'"},
	{"c=eq.A", "c = 'A'"}, {"c=gt.a", "c > 'a'"}, {"c=in.(A,b)", "c IN ('A','b')"},
	{"x=eq.1", "x IN (1,'1')"}, {"x=neq.1", "x NOT IN (1,'1')"}, {"x=eq.%221%22", "x = '1'"}, {"x=eq.a", "x = 'a'"},
	{"x=gt.1", "x > 1"}, {"x=gt.%221%22", "x > '1'"}, {"x=eq.%5Cx00ff", "x = x'00ff'"}, {"x=eq.%22%5C%22q%5C%22%22", "x = '\"q\"'"},
	{"x=eq.01", "x = '01'"}, {"x=in.(1,a,%22x,y%22)", "x IN (1,'1','a','x,y')"}, {"x=in.(%221%22)", "x = '1'"},
	{"b=eq.%5Cx", "b = x''"}, {"b=eq.%5Cx61", "b = x'61'"}, {"b=gte.%5Cx00", "b >= x'00'"}, {"b=in.(%5Cx00,%5Cx61)", "b IN (x'00',x'61')"},
	{"ok=eq.true", "ok = 1"}, {"ok=is.true", "ok"}, {"ok=is.false", "NOT ok"}, {"ok=eq.false", "ok = 0"},
	{"s=is.null", "s IS NULL"}, {"s=is.not_null", "s IS NOT NULL"}, {"s=not.is.null", "s IS NOT NULL"},
	{"s=not.eq.a", "NOT s = 'a'"}, {"x=not.in.(1,2)", "x NOT IN (1,'1',2,'2')"}, {"n=in.()", "0"}, {"n=not.in.()", "1"},
	{"s=in.(a,b,%22x,y%22,%22(z)%22,%22%5C%22q%5C%22%22)", "s IN ('a','b','x,y','(z)','\"q\"')"}, {"s=in.(a%5Cb)", "s = 'a\\b'"},
	{"s=like.a*", "s GLOB 'a*'"}, {"s=like.a%25", "s GLOB 'a*'"}, {"s=like._", "s GLOB '?'"}, {"s=like.*%25*", "s GLOB '*'"},
	{"s=like.*%5C%25*", "s GLOB '*%*'"}, {"s=like.a%5C_b", "s = 'a_b'"}, {"s=like.a%5C*b", "s = 'a*b'"}, {"s=like.%5Bx%5D", "s = '[x]'"},
	{"s=like.a%5C%5Cb", "s = 'a\\b'"}, {"s=like.a%5Cb", "s = 'a\\b'"}, {"s=ilike.A*", "s LIKE 'A%'"}, {"s=ilike.a%5C_b", "s LIKE 'a!_b' ESCAPE '!'"},
	{"s=ilike.*%5C%25*", "s LIKE '%!%%' ESCAPE '!'"}, {"s=ilike.a%5Cb", "s LIKE 'a\\b'"}, {"s=ilike.%5Bx%5D", "s LIKE '[x]'"},
	{"s=not.like.a*", "NOT s GLOB 'a*'"}, {"s=like.", "s GLOB ''"}, {"id=gt.10&id=lte.20", "id > 10 AND id <= 20"},
	{"rowid=eq.7", "id = 7"}, {"ID=eq.7", "id = 7"}, {"%22id%22=eq.7", "id = 7"}, {"nn=eq.3&n=is.not_null&s=gte.a", "nn = 3 AND n IS NOT NULL AND s >= 'a'"},
};
#define FILTER_N (int)(sizeof filters / sizeof *filters)

#define MIXED "id, n, r, s, c, x, b, nn, ok"

static void test_filters(void)
{
	for (int i = 0; i < FILTER_N; i++) {
		char sql[400];
		int pages;
		snprintf(sql, sizeof sql, "SELECT " MIXED " FROM mixed WHERE %s ORDER BY id", filters[i].sql);
		char *want = alike(rows_of(sql)), *got = walk("mixed", filters[i].filter, 1000, NULL, &pages);
		if (!ok(got && strcmp(got, want) == 0, "%s finds what SQL finds by %s", filters[i].filter, filters[i].sql))
			printf("# got:\n%s# wanted:\n%s", got ? got : "nothing\n", want);
		free(want);
		free(got);
	}
}

static void is_refused(const char *query, const char *code, const char *holds)
{
	char uri[1000];
	json_t *v;
	snprintf(uri, sizeof uri, ROWS "mixed/rows?%s", query);
	int status = node_get(uri, &v);
	const char *got = json_string_value(json_object_get(v, "code")), *detail = json_string_value(json_object_get(v, "detail"));
	if (!ok(status == 400 && got && strcmp(got, code) == 0 && detail && strstr(detail, holds), "%s: %s", query, holds))
		printf("# %d %s: %s\n", status, got ? got : "", detail ? detail : "");
	json_decref(v);
}

/* ---- groups against SQL ---- */

static const struct pair groups[] = {
	{"or=(n.eq.1,s.eq.a)", "n = 1 OR s = 'a'"}, {"and=(n.gt.0,n.lt.3)", "n > 0 AND n < 3"}, {"or=(n.eq.1)", "n = 1"},
	{"not.or=(n.eq.1,s.eq.a)", "NOT (n = 1 OR s = 'a')"}, {"not.and=(n.gt.0,ok.is.true)", "NOT (n > 0 AND ok)"},
	{"or=(n.not.eq.1,s.is.null)", "NOT n = 1 OR s IS NULL"}, {"or=(and(n.gt.0,n.lt.3),s.eq.b)", "(n > 0 AND n < 3) OR s = 'b'"},
	{"or=(not.and(n.gt.0,n.lt.3),not.or(ok.is.true,id.lt.9))", "NOT (n > 0 AND n < 3) OR NOT (ok OR id < 9)"},
	{"or=(s.in.(a,%22x,y%22,%22(z)%22),n.in.(1,2))", "s IN ('a','x,y','(z)') OR n IN (1,2)"},
	{"or=(s.eq.%22x,y%22,s.eq.%22(z)%22,s.eq.%22%5C%22q%5C%22%22)", "s IN ('x,y','(z)','\"q\"')"},
	{"or=(x.eq.1,x.eq.%222%22)", "x IN (1,'1') OR x = '2'"}, {"or=(s.like.a*,s.ilike.%22B,*%22)", "s GLOB 'a*' OR s LIKE 'B,%'"},
	{"or=(%22n%22.eq.1,r.eq.2.5)", "n = 1 OR r = 2.5"}, {"or=(s.eq.,n.eq.2)", "s = '' OR n = 2"},
	{"or=(n.eq.1,n.eq.2)&and=(ok.is.true,id.gt.20)&nn=lt.4", "(n = 1 OR n = 2) AND (ok AND id > 20) AND nn < 4"},
	{"nn=lt.4&not.or=(n.eq.1,n.eq.2)", "nn < 4 AND NOT (n = 1 OR n = 2)"}, {"or=(n.in.(),n.eq.2)", "n = 2"},
};

/* Whether a filter can stand in a group as it is. In quotes, a value means something else there. */
static bool can_be_member(const struct pair *f)
{
	return !strchr(f->filter, '&') && (!strstr(f->filter + 3, "%22") || strstr(f->filter, "in.(") || f->filter[0] == 'x');
}

/* MEMBER,MEMBER,… and the same in SQL. */
static void random_members(int depth, bool either, struct buf *query, struct buf *sql)
{
	int n = 1 + any(4);
	for (int i = 0; i < n; i++) {
		buf_add_str(query, i ? "," : "");
		buf_add_str(sql, i ? either ? " OR " : " AND " : "");
		if (depth < 5 && any(3) == 0) {
			bool negated = any(2), inner = any(2);
			buf_addf(query, "%s%s(", negated ? "not." : "", inner ? "or" : "and");
			buf_addf(sql, "%s(", negated ? "NOT " : "");
			random_members(depth + 1, inner, query, sql);
			buf_add_char(query, ')');
			buf_add_char(sql, ')');
			continue;
		}
		const struct pair *f;
		do
			f = &filters[any(FILTER_N)];
		while (!can_be_member(f));
		size_t name = strcspn(f->filter, "=");
		buf_addf(query, "%.*s.%s", (int)name, f->filter, f->filter + name + 1);
		buf_addf(sql, "(%s)", f->sql);
	}
}

static bool finds(const char *filter, const char *sql)
{
	struct buf select = BUF_INIT(1 << 16);
	int pages;
	buf_addf(&select, "SELECT " MIXED " FROM mixed WHERE %s ORDER BY id", sql);
	char *want = alike(rows_of(select.data)), *got = walk("mixed", filter, 1000, NULL, &pages);
	bool same = got && strcmp(got, want) == 0;
	if (!same)
		printf("# %s\n# %s\n# got:\n%s# wanted:\n%s", filter, sql, got ? got : "nothing\n", want);
	free(want);
	free(got);
	buf_release(&select);
	return same;
}

static void test_groups(void)
{
	int bad = 0, rounds = 400;
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		ok(finds(groups[i].filter, groups[i].sql), "%s finds what SQL finds by %s", groups[i].filter, groups[i].sql);
	for (int i = 0; i < rounds && bad < 3; i++) {
		struct buf query = BUF_INIT(1 << 16), sql = BUF_INIT(1 << 16);
		bool either = any(2);
		buf_addf(&query, "%s=(", either ? "or" : "and");
		random_members(1, either, &query, &sql);
		buf_add_char(&query, ')');
		bad += !finds(query.data, sql.data);
		buf_release(&query);
		buf_release(&sql);
	}
	ok(bad == 0, "%d random groups find what SQL finds (seed %d)", rounds, SEED);
	is_refused("or=", "bad_filter", "a group is a list");
	is_refused("or=()", "bad_filter", "a group is a list");
	is_refused("or=(n.eq.1", "bad_filter", "a group is a list");
	is_refused("or=(n.eq.1))", "bad_filter", "a group is a list");
	is_refused("or=n.eq.1", "bad_filter", "a group is a list");
	is_refused("or=(n.eq.1,)", "bad_filter", "a group is a list");
	is_refused("or=(,n.eq.1)", "bad_filter", "a group is a list");
	is_refused("or=(n)", "bad_filter", "a group is a list");
	is_refused("or=(n.eq)", "bad_filter", "a group is a list");
	is_refused("or=(n.eq.%22a)", "bad_filter", "a group is a list");
	is_refused("or=(n.eq.%22a%22b)", "bad_filter", "a group is a list");
	is_refused("or=(n.in.(1,2)", "bad_filter", "a group is a list");
	is_refused("or=(n.eq.(1))", "bad_filter", "a group is a list");
	is_refused("or=(%22n.eq.1)", "bad_filter", "a group is a list");
	is_refused("or=(and.eq.1)", "bad_filter", "no column 'and'");
	is_refused("or=(nix.eq.1)", "bad_filter", "no column 'nix'");
	is_refused("or=(n.up.1)", "bad_filter", "[not.]OP.VALUE");
	is_refused("or=(n.eq.1,n.in.1)", "bad_filter", "in takes a list");
	is_refused("or=(not.n.eq.1)", "bad_filter", "no column 'not'");
	is_refused("or=(or(or(or(or(or(or(or(or(or(or(or(or(or(or(or(or(or(n.eq.1))))))))))))))))))", "bad_filter", "nested 16 deep");
}

/* ---- pages against SQL ---- */

struct kind {
	const char *table;
	const char *columns;     /* as an answer shows them */
	const char *source;      /* the same for SQL */
	const char *order[8];    /* columns to order by */
	const char *tie[5];      /* what follows an order, in the direction of its last column */
	const char *natural;     /* the order when none is asked for; NULL: there must be one */
};

static const struct kind kinds[] = {
	{"mixed", MIXED, MIXED, {"n", "r", "s", "c", "x", "b", "nn", "id"}, {"id"}, "id"},
	{"heap", "rowid, x, y", "rowid, x, y", {"x", "y", "rowid"}, {"rowid"}, "rowid"},
	{"pair", "a, b, v", "a, b, v", {"a", "b", "v"}, {"b", "a COLLATE BINARY"}, "b, a COLLATE BINARY"},
	{"tkey", "k, v", "k, v", {"k", "v", "rowid"}, {"rowid"}, "k, rowid"},
	{"seen", "n, s, x, odd", "n, s, x, odd", {"n", "s", "x", "odd"}, {"n", "s", "x", "odd"}, NULL},
	{"taken", "rowid, oid, _rowid_", "rowid, oid, _rowid_", {"rowid", "oid", "_rowid_"}, {"rowid", "oid", "_rowid_"}, NULL},
	{"words", "rowid, w, v", "rowid, w, v", {"w", "v", "rowid"}, {"rowid"}, "rowid"},
};

/* A random order of k, as a query string and as SQL. */
static void random_order(const struct kind *k, struct buf *query, struct buf *sql)
{
	int columns = 0, n = any(4);
	bool desc = false, used[8] = {false};
	while (columns < 8 && k->order[columns])
		columns++;
	if (n == 0 && !k->natural)
		n = 1;
	for (int i = 0; i < n; i++) {
		int which = any(columns), nulls = any(3);
		const char *column = k->order[which];
		if (used[which])
			continue;
		used[which] = true;
		desc = any(2);
		buf_addf(query, "%s%s%s%s", i == 0 ? "order=" : ",", column, desc ? ".desc" : any(2) ? ".asc" : "",
			nulls == 0 ? "" : nulls == 1 ? ".nullsfirst" : ".nullslast");
		buf_addf(sql, "%s%s%s%s", i == 0 ? "" : ", ", column, desc ? " DESC" : "",
			nulls == 0 ? "" : nulls == 1 ? " NULLS FIRST" : " NULLS LAST");
	}
	for (int i = 0; n > 0 && i < 5 && k->tie[i]; i++)
		buf_addf(sql, ", %s%s", k->tie[i], desc ? " DESC" : "");
	if (n == 0)
		buf_add_str(sql, k->natural);
}

static void test_pages(void)
{
	int bad = 0, walks = 0, all_pages = 0;
	for (int round = 0; round < 700; round++) {
		const struct kind *k = &kinds[round % (int)(sizeof kinds / sizeof *kinds)];
		struct buf query = BUF_INIT(4000), order = BUF_INIT(4000), sql = BUF_INIT(8000);
		int pages, limit = 1 + any(any(2) ? 5 : 60);
		const struct pair *filter = k == &kinds[0] && any(2) ? &filters[any(FILTER_N)] : NULL;
		random_order(k, &query, &order);
		if (filter)
			buf_addf(&query, "%s%s", query.len ? "&" : "", filter->filter);
		buf_addf(&sql, "SELECT %s FROM %s WHERE %s ORDER BY %s", k->source, k->table, filter ? filter->sql : "1", order.data);
		char *want = alike(rows_of(sql.data)), *got = walk(k->table, query.len ? query.data : "", limit, NULL, &pages);
		walks++;
		all_pages += pages;
		if ((!got || strcmp(got, want) != 0) && bad++ < 3)
			printf("# %s?limit=%d&%s\n# %s\n# got:\n%s# wanted:\n%s", k->table, limit, query.data, sql.data,
				got ? got : "nothing\n", want);
		free(got);
		free(want);
		buf_release(&query);
		buf_release(&order);
		buf_release(&sql);
	}
	ok(bad == 0, "%d random orders in %d pages give each row once, in SQL's order (seed %d)", walks, all_pages, SEED);
}

/* Rows come and go between pages: those that stay appear once each. */
static void churn(void)
{
	char sql[400];
	snprintf(sql, sizeof sql, "DELETE FROM moving WHERE id > 1000 AND id %% 3 = %d; INSERT INTO moving(id, x) VALUES(%d, %s),"
		" (%d, %s) ON CONFLICT DO NOTHING", any(3), 1001 + any(500), value(), 1001 + any(500), value());
	node_sql(sql);
}

static void test_moving(void)
{
	struct buf sql = BUF_INIT(1 << 20);
	int bad = 0;
	buf_add_str(&sql, "CREATE TABLE moving(id INTEGER PRIMARY KEY, x);");
	for (int i = 1; i <= 300; i++)
		buf_addf(&sql, "INSERT INTO moving VALUES(%d, %s);", i, value());
	node_sql(sql.data);
	buf_release(&sql);
	static const char *const orders[] = {"", "order=x", "order=x.desc", "order=x.nullslast", "order=id.desc"};
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		int pages, seen[301] = {0};
		char query[100];
		snprintf(query, sizeof query, "%s%sselect=id", orders[i], *orders[i] ? "&" : "");
		char *got = walk("moving", query, 7, churn, &pages), *at = got;
		while (at && *at) {
			int id = atoi(at + 1);
			if (id <= 300)
				seen[id]++;
			at = strchr(at, '\n') + 1;
		}
		for (int id = 1; id <= 300; id++)
			bad += seen[id] != 1;
		free(got);
	}
	is_int(bad, 0, "while rows come and go, those that stay appear once each");
}

static void test_views(void)
{
	json_t *page;
	is_int(node_get(ROWS "seen/rows?limit=3", &page), 200, "a view without an order");
	ok(json_is_null(json_object_get(page, "next")) && json_is_true(json_object_get(page, "more")),
		"has a first page, and says that there is more");
	json_decref(page);
	node_get(ROWS "seen/rows?limit=1000", &page);
	ok(json_is_null(json_object_get(page, "next")) && !json_object_get(page, "more"), "not when there is no more");
	json_decref(page);
	node_sql("CREATE TABLE twins(a, b); INSERT INTO twins SELECT 1, 2 FROM mixed; CREATE VIEW twin AS SELECT a, b FROM twins");
	int pages;
	char *got = walk("twin", "order=a", 7, NULL, &pages);
	ok(got && strlen(got) == 150 * strlen("[1,2]\n") && pages == 22, "rows that are equal in everything are counted (%d pages)",
		pages);
	free(got);
	node_get(ROWS "twin/rows?order=b.desc&limit=100", &page);
	node_sql("DELETE FROM twins WHERE rowid > 50; INSERT INTO twins VALUES(0, 2)");
	struct buf uri = BUF_INIT(8000);
	buf_addf(&uri, ROWS "twin/rows?order=b.desc&limit=100&after=%s", json_string_value(json_object_get(page, "next")));
	json_decref(page);
	node_get(uri.data, &page);
	got = json_dumps(json_object_get(page, "rows"), JSON_COMPACT);
	is_str(got, "[[0,2]]", "and no other is left out when some of them are gone");
	free(got);
	json_decref(page);
	buf_release(&uri);
}

/* ---- one row ---- */

static void is_row(const char *address, int status, const char *want, const char *what)
{
	char uri[400];
	json_t *v;
	snprintf(uri, sizeof uri, ROWS "%s", address);
	int got = node_get(uri, &v);
	char *text = json_dumps(json_object_get(v, got == 200 ? "row" : "code"), JSON_COMPACT | JSON_ENCODE_ANY);
	if (!ok(got == status && text && strcmp(text, want) == 0, "%s", what))
		printf("# %d %s\n", got, text);
	free(text);
	json_decref(v);
}

static void test_row(void)
{
	node_sql("CREATE TABLE k(k TEXT PRIMARY KEY, v); CREATE TABLE plain(k PRIMARY KEY, v); CREATE TABLE nokey(v)");
	node_sql("INSERT INTO k VALUES('a/b', 1), ('ä %', 2), ('5', 3), ('\"', 4), ('', 5), ('a''b', 6), (NULL, 7), ('x?y#z&', 8)");
	node_sql("INSERT INTO plain VALUES(5, 'number'), ('5', 'text'), (x'00', 'blob'), ('t', 't'); INSERT INTO nokey VALUES(7)");
	is_row("k/rows/a%2Fb", 200, "{\"k\":\"a/b\",\"v\":1}", "a key with a slash");
	is_row("k/rows/%C3%A4%20%25", 200, "{\"k\":\"ä %\",\"v\":2}", "with an umlaut, a blank and a percent");
	is_row("k/rows/5", 200, "{\"k\":\"5\",\"v\":3}", "a text of digits");
	is_row("k/rows/%22", 200, "{\"k\":\"\\\"\",\"v\":4}", "a quote");
	is_row("k/rows/", 200, "{\"k\":\"\",\"v\":5}", "an empty key");
	is_row("k/rows/a'b", 200, "{\"k\":\"a'b\",\"v\":6}", "an apostrophe");
	is_row("k/rows/x%3Fy%23z%26", 200, "{\"k\":\"x?y#z&\",\"v\":8}", "what addresses are made of");
	is_row("k/rows/NULL", 404, "\"row_not_found\"", "NULL is no address");
	is_row("plain/rows/5", 200, "{\"k\":5,\"v\":\"number\"}", "without affinity: a number");
	is_row("plain/rows/%225%22", 200, "{\"k\":\"5\",\"v\":\"text\"}", "a text in quotes");
	is_row("plain/rows/t", 200, "{\"k\":\"t\",\"v\":\"t\"}", "a text that is none");
	is_row("plain/rows/%5Cx00", 200, "{\"k\":{\"blob\":\"AA==\"},\"v\":\"blob\"}", "a blob");
	is_row("nokey/rows/1", 200, "{\"rowid\":1,\"v\":7}", "the rowid where there is no key");
	is_row("nokey/rows/x", 404, "\"row_not_found\"", "which is a number");
	is_row("nokey/rows/1?v=eq.8", 400, "\"bad_filter\"", "a filter beside a key is refused");
	is_row("pair/rows/1", 404, "\"row_not_found\"", "a composite key has no address");
	is_row("seen/rows/1", 404, "\"row_not_found\"", "rows of a view neither");
	is_row("nix/rows/1", 404, "\"table_unknown\"", "an unknown table");
	is_row("ddb_journal/rows/1", 404, "\"table_unknown\"", "DDB's own tables are unknown");
}

/* ---- mistakes ---- */

static void test_mistakes(void)
{
	is_refused("nix=eq.1", "bad_filter", "no column 'nix'");
	is_refused("n=1", "bad_filter", "[not.]OP.VALUE");
	is_refused("n=", "bad_filter", "[not.]OP.VALUE");
	is_refused("n", "bad_filter", "[not.]OP.VALUE");
	is_refused("n=eq", "bad_filter", "[not.]OP.VALUE");
	is_refused("n=EQ.1", "bad_filter", "[not.]OP.VALUE");
	is_refused("n=not.not.eq.1", "bad_filter", "[not.]OP.VALUE");
	is_refused("n=in.1,2", "bad_filter", "in takes a list");
	is_refused("n=in.(1,2", "bad_filter", "in takes a list");
	is_refused("n=in.(1,2)x", "bad_filter", "in takes a list");
	is_refused("n=in.(%221)", "bad_filter", "in takes a list");
	is_refused("n=in.(%221%22x)", "bad_filter", "in takes a list");
	is_refused("n=in.(1,(2))", "bad_filter", "in takes a list");
	is_refused("n=in.(", "bad_filter", "in takes a list");
	is_refused("n=is.maybe", "bad_filter", "is takes null");
	is_refused("%22n=eq.1", "bad_filter", "quotes do not close");
	is_refused("n%22--=eq.1", "bad_filter", "no column");
	is_refused("n%22%20OR%201=eq.1", "bad_filter", "no column");
	is_refused("select=", "bad_filter", "no column ''");
	is_refused("select=n,,s", "bad_filter", "no column ''");
	is_refused("select=n)", "bad_filter", "no column 'n)'");
	is_refused("select=%22n", "bad_filter", "select is a list");
	is_refused("select=%22n%22x", "bad_filter", "select is a list");
	is_refused("select=n&select=s", "bad_filter", "twice");
	is_refused("select=count(*)", "bad_filter", "no column");
	is_refused("order=n.up", "bad_filter", "no column 'n.up'");
	is_refused("order=", "bad_filter", "no column ''");
	is_refused("order=n;s", "bad_filter", "no column 'n;s'");
	is_refused("order=%22n%22.up", "bad_filter", "behind a column");
	is_refused("order=%22n", "bad_filter", "does not close");
	is_refused("order=n&order=s", "bad_filter", "twice");
	is_refused("order=n,n,n,n,n,n,n,n,n,n,n,n,n,n,n,n,n", "bad_filter", "at most 16");
	is_refused("limit=-1", "bad_filter", "whole number");
	is_refused("limit=10001", "bad_filter", "whole number");
	is_refused("limit=1e3", "bad_filter", "whole number");
	is_refused("limit=", "bad_filter", "whole number");
	is_refused("limit=99999999999999999999", "bad_filter", "whole number");
	is_refused("all=true", "bad_filter", "no column 'all'");
	static const char *const cursors[] = {"", "x", "rubbish", "e30", "W10", "bnVsbA", "eyJkIjoxfQ", "%FF%FE", "....", "AAAA"};
	for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
		char query[100];
		snprintf(query, sizeof query, "after=%s", cursors[i]);
		if (i != 7)
			is_refused(query, "bad_cursor", "begin with the first page");
	}
	json_t *page;
	struct buf uri = BUF_INIT(8000);
	node_get(ROWS "mixed/rows?limit=1&order=n", &page);
	const char *next = json_string_value(json_object_get(page, "next"));
	buf_addf(&uri, "order=s&after=%s", next);
	is_refused(uri.data, "bad_cursor", "begin");
	buf_reset(&uri);
	buf_addf(&uri, "order=n.desc&after=%s", next);
	is_refused(uri.data, "bad_cursor", "begin");
	buf_reset(&uri);
	buf_addf(&uri, ROWS "heap/rows?order=x&after=%s", next);
	is_int(node_get(uri.data, NULL), 400, "a cursor of another table");
	json_decref(page);
	buf_release(&uri);
}

/* Every changed character of a cursor gives a page or is refused; nothing else. */
static void test_forged(void)
{
	json_t *page;
	struct buf uri = BUF_INIT(20000);
	int bad = 0, taken = 0;
	node_get(ROWS "mixed/rows?limit=5&order=x,s.desc", &page);
	const char *next = json_string_value(json_object_get(page, "next"));
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	for (int i = 0; i < 4000; i++) {
		char *forged = strdup(next);
		for (int k = any(3); k >= 0; k--)
			forged[any((int)strlen(forged))] = letters[any(64)];
		if (any(5) == 0)
			forged[any((int)strlen(forged))] = '\0';
		buf_reset(&uri);
		buf_addf(&uri, ROWS "mixed/rows?order=x,s.desc&after=%s", forged);
		int status = node_get(uri.data, NULL);
		bad += status != 200 && status != 400;
		taken += status == 200;
		free(forged);
	}
	ok(bad == 0, "4000 forged cursors: a page (%d) or a clear refusal", taken);
	json_decref(page);
	buf_release(&uri);
}

/* Random words of the language: any answer below 500. */
static void test_noise(void)
{
	static const char *const words[] = {"n", "s", "x", "id", "rowid", "=", "=", "&", "&", "eq.", "in.(", ")", ",", "not.", "is.null", "like.",
		"%22", "%5C", "%5Cx0", "*", "%25", "select=", "order=", "limit=", "after=", ".desc", ".nullslast", "1", "-", "1e9", "%00", "%C3",
		"(", "\"", "'", "+", "ilike.", "[", "%F0%9F%98%80", "", "big=string",
		"or=(", "and=(", "not.or=(", "or(", "n.", "x.", "or=(v.eq.1,x.gt.1)&", "x=gt.1&", "v=eq.1&", "order=v.desc&", "select=v&", "x=not.in.(1,%22a%22)&", "limit=3&"};
	struct buf uri = BUF_INIT(20000);
	int bad = 0, good = 0;
	for (int i = 0; i < 20000; i++) {
		const struct kind *k = &kinds[any((int)(sizeof kinds / sizeof *kinds))];
		buf_reset(&uri);
		buf_addf(&uri, ROWS "%s/rows?", k->table);
		for (int n = any(14); n >= 0; n--)
			buf_add_str(&uri, words[any((int)(sizeof words / sizeof *words))]);
		int status = node_get(uri.data, NULL);
		good += status == 200;
		if ((status < 200 || status >= 500) && bad++ < 5)
			printf("# %d: %s\n", status, uri.data);
	}
	ok(bad == 0, "20000 random query strings: %d pages, no answer above 499 (seed %d)", good, SEED);
	buf_release(&uri);
}

static void test_large(void)
{
	struct buf uri = BUF_INIT(1 << 20);
	json_t *v;
	buf_add_str(&uri, ROWS "mixed/rows?id=in.(0");
	for (int i = 1; i < 10000; i++)
		buf_addf(&uri, ",%d", i);
	buf_add_char(&uri, ')');
	is_int(node_get(uri.data, &v), 200, "10,000 values in a list");
	is_int((long long)json_array_size(json_object_get(v, "rows")), 100, "find their rows");
	json_decref(v);
	uri.data[--uri.len] = '\0';
	buf_add_str(&uri, ",1)");
	is_int(node_get(uri.data, NULL), 400, "one more is refused");
	buf_reset(&uri);
	buf_add_str(&uri, ROWS "mixed/rows?");
	for (int i = 0; i < 250; i++)
		buf_addf(&uri, "id=neq.%d&", 1000 + i);
	buf_add_str(&uri, "limit=1");
	is_int(node_get(uri.data, NULL), 200, "250 filters");
	buf_reset(&uri);
	buf_add_str(&uri, ROWS "mixed/rows?s=like.");
	for (int i = 0; i < 60000; i++)
		buf_add_char(&uri, 'a');
	is_int(node_get(uri.data, NULL), 422, "a pattern longer than SQLite takes");
	buf_reset(&uri);
	buf_add_str(&uri, ROWS "mixed/rows?select=n");
	for (int i = 0; i < 3000; i++)
		buf_add_str(&uri, ",n");
	is_int(node_get(uri.data, NULL), 400, "too many columns");
	buf_release(&uri);

	node_sql("CREATE TABLE wide(id INTEGER PRIMARY KEY, t); INSERT INTO wide(t) SELECT hex(zeroblob(9000)) FROM mixed");
	is_int(node_get(ROWS "wide/rows?order=t&limit=2", &v), 200, "an order by long values");
	ok(json_is_null(json_object_get(v, "next")) && json_is_true(json_object_get(v, "more")), "says that it cannot go on");
	json_decref(v);
	is_int(node_get(ROWS "wide/rows?limit=2", &v), 200, "while the key");
	ok(json_is_string(json_object_get(v, "next")), "can");
	json_decref(v);
	is_int(node_get(ROWS "wide/rows?limit=0", &v), 200, "no rows at all");
	ok(json_array_size(json_object_get(v, "rows")) == 0 && json_array_size(json_object_get(v, "columns")) == 2, "but their columns");
	json_decref(v);
}

static void test_odd_names(void)
{
	struct buf uri = BUF_INIT(4000);
	json_t *v;
	node_sql("CREATE TABLE \"odd \"\"t\"\" ;--\"(\"a,b\" INT, \"c.desc\" TEXT, \"select\" INT, \"q\"\"q\" INT, \"ä\" INT)");
	node_sql("INSERT INTO \"odd \"\"t\"\" ;--\" VALUES(1, 'x', 2, 3, 4), (2, 'y', 5, 6, 7)");
	buf_add_str(&uri, ROWS);
	encode(&uri, "odd \"t\" ;--");
	buf_add_str(&uri, "/rows?%22select%22=eq.5&%22a,b%22=eq.2&%22q%22%22q%22=eq.6&%C3%A4=eq.7&c.desc=eq.y&select=");
	encode(&uri, "\"a,b\",c.desc,\"q\"\"q\"");
	buf_add_str(&uri, "&order=");
	encode(&uri, "\"a,b\".desc.nullslast,c.desc,\"q\"\"q\"");
	is_int(node_get(uri.data, &v), 200, "names with everything in them");
	char *rows = json_dumps(json_object_get(v, "rows"), JSON_COMPACT);
	is_str(rows, "[[2,\"y\",6]]", "are found");
	free(rows);
	json_decref(v);
	buf_release(&uri);
}

int main(void)
{
	struct err e = ERR_INIT;
	char path[200];
	node_begin();
	fill();
	snprintf(path, sizeof path, "%s/db/shop.db", node_dir);
	if (conn_open(&direct, path, CONN_READER, 1024, &e) != ERR_OK)
		return 99;
	test_filters();
	test_groups();
	test_pages();
	test_moving();
	test_views();
	test_row();
	test_mistakes();
	test_forged();
	test_noise();
	test_large();
	test_odd_names();
	conn_close(&direct);
	node_end();
	return tap_done();
}
