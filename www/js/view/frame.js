// What the views of one database share: where am I, and where can I go.
import { el } from "../dom.js";
import { href } from "../route.js";

/** Breadcrumb and heading. @param {[string, string|null][]} path label and fragment; the last one has no fragment */
export function heading(path, ...actions) {
  return el("div", { class: "page-head" },
    path.length > 1 && el("nav", { "aria-label": "You are here", class: "crumbs" },
      el("ol", {}, path.slice(0, -1).map(([label, to]) => el("li", {}, el("a", { href: to }, label))))),
    el("div", { class: "title-line" }, el("h1", { tabindex: "-1" }, path.at(-1)[0]), actions));
}

/** Links to the sibling views; `here` is the label of the one shown. */
export function tabs(label, links, here) {
  return el("nav", { "aria-label": label, class: "tabs" },
    links.map(([name, to]) => el("a", { href: to, "aria-current": name === here ? "page" : null }, name)));
}

export const databaseTabs = (db, here) => tabs(`Views of ${db}`, [
  ["Tables", href(["db", db])], ["SQL", href(["db", db, "sql"])], ["New table", href(["db", db, "new-table"])]], here);

export const tableTabs = (db, table, here) => tabs(`Views of ${table}`, [
  ["Rows", href(["db", db, "table", table])], ["Schema", href(["db", db, "table", table, "schema"])]], here);

export const crumbs = (db, table) => [["Databases", "#/"], [db, href(["db", db])], ...(table ? [[table, null]] : [])];
