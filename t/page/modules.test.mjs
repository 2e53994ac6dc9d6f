// The page's modules that need no page: values, SQL texts, addresses, positions, times.
import { readdirSync, readFileSync } from "node:fs";
import { done, is, ok } from "./tap.mjs";
import { Literal, parse, write } from "../../www/js/json.js";
import * as value from "../../www/js/value.js";
import * as sqltext from "../../www/js/sqltext.js";
import * as format from "../../www/js/format.js";
import { addressOf } from "../../www/js/rowkey.js";
import { Positions } from "../../www/js/positions.js";
import { href, parseRoute } from "../../www/js/route.js";
import { listNodes } from "../../www/js/nodelist.js";

const fails = (action, name) => {
  try {
    action();
    ok(false, name, "nothing was thrown");
  } catch (error) {
    ok(error instanceof TypeError, name, error.stack);
  }
};

// ---- what goes into a request keeps its digits
is(write({ a: 9223372036854775807n, b: new Literal("1.0"), c: [null, "x\0\u2028", true], d: undefined }),
  '{"a":9223372036854775807,"b":1.0,"c":[null,"x\\u0000\u2028",true]}', "bigints and literals are written in their own digits");
fails(() => new Literal("1e"), "a literal that is no JSON number is refused");
fails(() => new Literal("01"), "nor one with a leading zero");

for (const [typed, sent] of [["5", "5"], ["+5", "5"], ["-007", "-7"], [".5", "0.5"], ["1.", "1.0"], ["-0", "-0"], ["1e3", "1e3"],
  ["9223372036854775807", "9223372036854775807"], ["000", "0"], [" 3 ", "3"]]) {
  is(write(value.typedNumber(typed)), sent, `a number typed as "${typed}" is sent as ${sent}`);
}
is(value.typedNumber("-inf"), { real: "-Infinity" }, "infinity has its own form");
for (const typed of ["", ".", "1x", "e5", "--1", "0x10"]) fails(() => value.typedNumber(typed), `"${typed}" is no number`);

// ---- what comes back
is(parse('[9007199254740992,9007199254740993,-9223372036854775808,1]'), [9007199254740992n, 9007199254740993n, -9223372036854775808n, 1],
  "integers that a double could damage are bigints");
is(parse('[1.0,-0.0,1.0000000000000001e+300,1000000000000000.0,0.5]').map(value.numberText), ["1.0", "-0.0", "1e+300", "1000000000000000.0", "0.5"],
  "a whole real does not look like an integer");
is(parse('{"a":"1.0","b\\"":["\\\\",2.0,"9007199254740993"],"c":"\\\\\\"3.0"}'), { a: "1.0", 'b"': ["\\", new Literal("2.0"), "9007199254740993"], c: '\\"3.0' },
  "digits in strings are text, whatever is escaped before them");
for (const text of ["", "[1.0", '"1.0', "[1.0}", "-", "[-]", "01"]) {
  try {
    parse(text);
    ok(false, `${text} is no JSON`);
  } catch (error) {
    ok(error instanceof SyntaxError, `${JSON.stringify(text)} is no JSON`, error.stack);
  }
}
is([null, { blob: "AP8=" }, 1n, new Literal("1.0"), "x", { real: "Infinity" }].map(value.valueText), ["NULL", "x'00ff'", "1", "1.0", "x", "Infinity"],
  "what rows are called by");
for (const [type, affinity] of [["BIGINT", "integer"], ["varchar(10)", "text"], ["", "blob"], ["FLOAT", "real"],
  ["DECIMAL(10,2)", "numeric"], ["POINT", "integer"], [null, "blob"]]) {
  is(value.affinity(type), affinity, `the affinity of ${JSON.stringify(type)}`);
}
is(value.hexToBase64("00ff10"), "AP8Q", "hex to base64");
is(value.hexToBase64("X'00FF10'"), "AP8Q", "hex as SQL writes it");
is(value.hexToBase64(""), "", "an empty blob");
is(value.base64ToHex("AP8Q"), "00ff10", "base64 to hex");
fails(() => value.hexToBase64("0"), "half a byte is refused");
is([value.blobSize(""), value.blobSize("AA=="), value.blobSize("AAA="), value.blobSize("AAAA")], [0, 1, 2, 3], "sizes of blobs");
for (const v of [null, "", "x", 1.5, 7, 9007199254740993n, new Literal("1.0"), { blob: "AP8Q" }, { real: "Infinity" }]) {
  is(write(value.fromField(value.toField(v))), write(v), `a field gives ${write(v)} back`);
}

// ---- SQL texts
is(sqltext.quote('a"b'), '"a""b"', "names are quoted");
for (const [sql, word] of [["select 1", "SELECT"], [" -- x\n /* y */ ;( Values (1)", "VALUES"], ["", ""], ["/* open", ""]]) {
  is(sqltext.firstWord(sql), word, `the first word of ${JSON.stringify(sql)}`);
}
is(["select 1", "with a as (select 1) select replace(x,'a','b') from a", "explain delete from t", "pragma table_info(t)"]
  .map(sqltext.looksLikeRead), [true, true, true, true], "reads look like reads");
is(["insert into t values(1)", "with a as (select 1) insert into t select * from a", "create table t(a)", ""]
  .map(sqltext.looksLikeRead), [false, false, false, false], "writes do not");
const column = { name: "id", type: "INTEGER", pk: true, notnull: false, unique: false, fallback: "" };
is(sqltext.createTable({ name: "order", strict: true, columns: [column,
  { ...column, name: "at", type: "TEXT", pk: false, notnull: true, fallback: "datetime('now')" },
  { ...column, name: "my n", type: "TEXT", pk: false, unique: true, fallback: "'x'" }] }),
`create table "order" (
  id INTEGER primary key,
  at TEXT not null default (datetime('now')),
  "my n" TEXT unique default 'x'
) strict`, "CREATE TABLE of a form");
ok(sqltext.createTable({ name: "t", strict: false, columns: [column, { ...column, name: "b" }] }).includes("primary key (id, b)"),
  "two key columns make a composite key");
is(sqltext.updateRow("t", { b: 2 }, { a: 1, c: null }),
  { sql: 'update "t" set "b" = ? where "a" is ? and "c" is ?', params: [2, 1, null] }, "UPDATE by key");
is(sqltext.deleteRow("t", { a: 1 }), { sql: 'delete from "t" where "a" is ?', params: [1] }, "DELETE by key");

// ---- addresses of rows
const table = { type: "table", key: ["id"], key_kind: "primary" };
is(addressOf(table, ["id", "x"], [7, 0]), { key: "7" }, "an integer key goes into the URL");
is(addressOf(table, ["id"], [9007199254740993n]), { key: "9007199254740993" }, "a long one too");
is(addressOf(table, ["id"], [".."]), { where: { id: ".." } }, "what a URL parser would eat goes by SQL");
is(addressOf(table, ["id"], ["12"]), { where: { id: "12" } }, "text that looks like a number goes by SQL");
is(addressOf(table, ["id"], [new Literal("1.0")]), { where: { id: new Literal("1.0") } }, "a real goes by SQL, as a real");
is(addressOf(table, ["id"], [null]), null, "a NULL key addresses nothing");
is(addressOf({ ...table, key: ["a", "b"] }, ["a", "b"], [1, "x"]), { where: { a: 1, b: "x" } }, "composite keys go by SQL");
is(addressOf({ ...table, key: [] }, ["rowid", "x"], [3, 1]), { key: "3" }, "a table without a key goes by rowid");
is(addressOf({ ...table, type: "view" }, ["id"], [1]), null, "rows of a view have no address");

// ---- read your own writes
const positions = new Positions();
is(positions.get("shop"), null, "nothing written, nothing asked");
positions.advance("shop", "abc.1.42");
positions.advance("shop", "abc.1.41");
is(positions.get("shop"), "abc.1.42", "an older answer that comes late changes nothing");
positions.advance("shop", "abc.2.1");
is(positions.get("shop"), "abc.2.1", "a later epoch is newer");
positions.advance("shop", "xyz.1.1");
is(positions.get("shop"), "xyz.1.1", "another database of the same name replaces it");
positions.advance("shop", "not a position");
is(positions.get("shop"), "xyz.1.1", "an unreadable position is left alone");
positions.forget("shop");
is(positions.get("shop"), null, "a dropped database is forgotten");

// ---- addresses of views
for (const parts of [["db", "shop"], ["db", "shop", "sql"], ["db", "shop", "table", "a/b ?#%"], ["db", "shop", "table", "t", "schema"]]) {
  const route = parseRoute(href(parts));
  is([route.db, route.table ?? null], [parts[1], parts[3] ?? null], `the address of ${parts.join(" ")} leads back`);
}
is(parseRoute("#/db/shop/table/t?order=a.desc").search.get("order"), "a.desc", "an order stands in the address");
is(["", "#/", "#/nodes", "#/else", "#/db", "#/db/a/b/c/d/e"].map((h) => parseRoute(h).view),
  ["home", "home", "nodes", "lost", "lost", "lost"], "every address has a view");
is(parseRoute("#/db/%zz").view, "database", "a damaged escape is taken as it stands");

// ---- for people
is([format.count(null), format.count(undefined), format.count(0), format.count(1234567)], ["?", "?", "0", "1,234,567"], "counts");
is([0, 999, 1000, 20480, 1e6, 999_950, 5e9].map(format.bytes), ["0 B", "999 B", "1.0 kB", "20 kB", "1.0 MB", "1.0 MB", "5.0 GB"], "bytes");
is(format.bytes(null), "?", "unknown bytes");
is([0.0712, 9.5, 850, 1500, 14_000, 180_000, 7_200_000, 200_000_000].map(format.duration),
  ["0.07 ms", "9.5 ms", "850 ms", "1.5 s", "14 s", "3 min", "2 h", "2 days"], "times");
is(format.duration(parse("2.0")), "2 ms", "a time that came as 2.0");
is([format.ago(null), format.ago("nonsense"), format.ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:00:05Z"))],
  ["?", "?", "5 s ago"], "ages");

// ---- the nodes: unknown stays unknown
const unknown = listNodes({ epoch: null, master: { name: "n1", url: null }, slaves: [{ name: "n2", state: null,
  pending: { operations: null, bytes: null, oldest_ms: null }, databases: null }] }, null);
is(unknown.map((n) => [n.state, n.since, n.epoch, n.lag, n.pending?.operations ?? null, n.positions]),
  [[null, null, null, null, null, null], [null, null, null, null, null, null]], "nothing known is null, never 0");
const alone = listNodes({ epoch: 1, master: { name: "n1" }, slaves: [{ name: "n2", state: null }, { name: "n3", state: null }] },
  { node: "n3", state: "silent", since: "2026-01-01T00:00:00Z", databases: { a: { epoch: 1, seq: 8 } } });
is(alone.map((n) => [n.state, n.lag, n.epoch]), [[null, null, 1], [null, null, null], ["silent", null, 1]],
  "without a master the answering slave's word about itself counts, and nothing else is known");
const known = listNodes({ epoch: 1, master: { name: "n1" }, slaves: [{ name: "n2", state: "ready",
  pending: { operations: 0, bytes: 0, oldest_ms: null }, databases: { _ddb: { epoch: 1, seq: 9, lag: 0 }, b: { epoch: 1, seq: 2, lag: 0 }, a: { epoch: 1, seq: 5, lag: 3 } } }] },
{ node: "n1", role: "master", state: "master", since: "2026-01-01T00:00:00Z", databases: { a: { epoch: 1, seq: 8 } } });
is(known.map((n) => [n.name, n.state, n.lag]), [["n1", "master", null], ["n2", "ready", 3]], "the largest lag counts");
is(known[1].positions.map((p) => p.db), ["a", "b", "_ddb"], "databases in the order of their names, the system's last");
is(listNodes({ epoch: 1, master: { name: "n1" }, slaves: [] }, { node: "n3", state: "ready" })[0].state, null,
  "another node's own state is not taken for the master's");

// ---- the files themselves
const top = new URL("../../", import.meta.url);
const read = (name) => readFileSync(new URL(name, top), "utf8");
const files = readdirSync(new URL("www", top), { recursive: true, withFileTypes: true }).filter((f) => f.isFile())
  .map((f) => `${f.parentPath ?? f.path}/${f.name}`.replace(/^.*?\/www\//, "www/")).sort();
const makefile = read("Makefile.am");
is(files.filter((f) => !makefile.includes(`  ${f}`)), [], "every file of the page is installed");

const scripts = files.filter((f) => f.endsWith(".js"));
const reached = new Set();
const visit = (name) => {
  if (reached.has(name)) return;
  reached.add(name);
  for (const [, to] of read(name).matchAll(/ from "(\.[^"]+)"/g)) visit(new URL(to, new URL(name, "file:///")).pathname.slice(1));
};
visit("www/js/main.js");
is(scripts.filter((f) => !reached.has(f)), [], "every module is used");
// The policy would stop these in the browser; here it shows where.
const markup = /\b(innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|eval\(|new Function|localhost|https?:\/\/)/;
is(scripts.filter((f) => markup.test(read(f))), [], "no script makes markup from text, or names another origin");
const page = read("www/index2.html");
ok(!/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?:/.test(page), "the page has no inline script or style, and no other origin");

process.exitCode = done();
