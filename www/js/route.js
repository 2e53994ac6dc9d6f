// Every view has a URL, kept in the fragment: the page is one static file on every node.

const decode = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/**
 * The view that a fragment names.
 * @param {string} hash "#/db/shop/table/people?order=name"
 * @returns {{view: string, db?: string, table?: string, search: URLSearchParams}} view "lost" when it names none
 */
export function parseRoute(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decode);
  const found = match(parts);
  return { ...(found ?? { view: "lost" }), search: new URLSearchParams(search) };
}

function match([first, db, kind, table, sub, ...rest]) {
  if (rest.length) return null;
  if (first === undefined) return { view: "home" };
  if (first === "nodes" && db === undefined) return { view: "nodes" };
  if (first !== "db" || db === undefined) return null;
  if (kind === undefined) return { view: "database", db };
  if (kind === "sql" && table === undefined) return { view: "sql", db };
  if (kind === "new-table" && table === undefined) return { view: "newTable", db };
  if (kind === "table" && table !== undefined && sub === undefined) return { view: "rows", db, table };
  if (kind === "table" && table !== undefined && sub === "schema") return { view: "schema", db, table };
  return null;
}

/** A fragment from its parts; search members that are null or "" are left out. */
export function href(parts, search = {}) {
  const given = Object.entries(search).filter(([, v]) => v !== null && v !== undefined && v !== "");
  const query = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** Goes to a fragment, as a link would. */
export function go(fragment) {
  location.hash = fragment;
}
