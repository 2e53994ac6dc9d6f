// SQL as text: made from what the forms hold, and looked at only as far as needed to send it the right way.

/** A name as an SQL identifier, whatever is in it. */
export const quote = (name) => `"${String(name).replaceAll('"', '""')}"`;

/** Readable identifier: quoted only where it must be. */
export const identifier = (name) => (/^[a-z_][a-z0-9_]*$/i.test(name) && !reserved.has(name.toUpperCase()) ? name : quote(name));

// The words that SQLite does not take as bare names of tables or columns.
const reserved = new Set((
  "ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT " +
  "DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN FROM GROUP HAVING IF IN INDEX INSERT " +
  "INTERSECT INTO IS ISNULL JOIN LIMIT NOT NOTHING NOTNULL NULL ON OR ORDER PRIMARY REFERENCES RETURNING " +
  "SELECT SET TABLE THEN TO TRANSACTION UNION UNIQUE UPDATE USING VALUES WHEN WHERE"
).split(" "));

/** The first word of a statement, upper case, comments and opening brackets skipped; "" when there is none. */
export function firstWord(sql) {
  const rest = sql.replace(/^(?:\s|;|\(|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))+/, "");
  return (/^[a-z]+/i.exec(rest)?.[0] ?? "").toUpperCase();
}

/** Whether a text looks like a read. Only a guess to choose the endpoint by: the server decides. */
export function looksLikeRead(sql) {
  const word = firstWord(sql);
  // WITH begins reads and writes alike. Taking a read for a write does no harm: execute runs it, on the master.
  if (word === "WITH") return !/\b(insert\s+(into|or)|replace\s+into|update|delete\s+from)\b/i.test(sql);
  return ["SELECT", "VALUES", "EXPLAIN", "PRAGMA"].includes(word);
}

/**
 * CREATE TABLE for the form.
 * @param {{name: string, strict: boolean, columns: {name: string, type: string, pk: boolean, notnull: boolean,
 *          unique: boolean, fallback: string}[]}} table  `fallback` is the DEFAULT expression as typed, "" for none.
 *   A column that has no name yet shows as "…".
 */
export function createTable({ name, strict, columns }) {
  const keys = columns.filter((c) => c.pk);
  const lines = columns.map((c) => [
    c.name === "" ? "…" : identifier(c.name),
    c.type,
    c.pk && keys.length === 1 ? "primary key" : "",
    c.notnull ? "not null" : "",
    c.unique && !(c.pk && keys.length === 1) ? "unique" : "",
    c.fallback ? `default ${defaultClause(c.fallback)}` : "",
  ].filter(Boolean).join(" "));
  if (keys.length > 1) lines.push(`primary key (${keys.map((c) => identifier(c.name)).join(", ")})`);
  return `create table ${identifier(name)} (\n  ${lines.join(",\n  ")}\n)${strict ? " strict" : ""}`;
}

// Literals and the CURRENT_ words stand as they are; any other expression needs brackets in SQLite's grammar.
function defaultClause(text) {
  const bare = /^([+-]?[\d.][\w.+-]*|'(?:[^']|'')*'|x'[0-9a-f]*'|null|true|false|current_(?:time|date|timestamp)|\(.*\))$/is;
  return bare.test(text.trim()) ? text.trim() : `(${text.trim()})`;
}

/** `where` for one row by its key columns. IS finds NULL too. @returns {{sql: string, params: any[]}} */
function whereKey(key) {
  return { sql: Object.keys(key).map((c) => `${quote(c)} is ?`).join(" and "), params: Object.values(key) };
}

/** UPDATE of one row. @param {Object} changes column -> value, at least one. @param {Object} key column -> value */
export function updateRow(table, changes, key) {
  const where = whereKey(key);
  const set = Object.keys(changes).map((c) => `${quote(c)} = ?`).join(", ");
  return { sql: `update ${quote(table)} set ${set} where ${where.sql}`, params: [...Object.values(changes), ...where.params] };
}

/** DELETE of one row. */
export function deleteRow(table, key) {
  const where = whereKey(key);
  return { sql: `delete from ${quote(table)} where ${where.sql}`, params: where.params };
}
