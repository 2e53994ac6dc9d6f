// How one row is addressed: by its key in the URL where that is safe, else by SQL over the key's columns.

// Keys that come through every URL parser and every server in front unharmed, and that the API cannot mistake for a
// number when they are text. "." and ".." would be eaten by the browser itself.
const isPlain = (value) => typeof value === "bigint" || Number.isSafeInteger(value)
  || (typeof value === "string" && /^[A-Za-z][A-Za-z0-9_-]*$/.test(value));

/**
 * @param {{key: string[], key_kind: string, type: string}} table  its description
 * @param {string[]} columns  of the answer
 * @param {any[]} values  the row
 * @returns {{key: string}|{where: Object}|null} null: this row cannot be told from others
 */
export function addressOf(table, columns, values) {
  if (table.type === "view" || table.type === "shadow") return null;
  const names = table.key?.length ? table.key : ["rowid"];
  const places = names.map((name) => columns.indexOf(name));
  if (places.includes(-1)) return null;
  const parts = places.map((i) => values[i]);
  // SQLite lets NULL stand in most keys, and then more than once.
  if (parts.includes(null)) return null;
  if (parts.length === 1 && isPlain(parts[0])) return { key: String(parts[0]) };
  return { where: Object.fromEntries(names.map((name, i) => [name, parts[i]])) };
}
