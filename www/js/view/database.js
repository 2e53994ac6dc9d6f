// One database: its tables.
import { el, fill } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import { href, go } from "../route.js";
import { attempt, NoticeSlot } from "../notice.js";
import { askDropDatabase } from "./home.js";
import { crumbs, databaseTabs, heading } from "./frame.js";

function tableRow(db, table) {
  return el("tr", {},
    el("th", { scope: "row" }, el("a", { href: href(["db", db, "table", table.name]) }, table.name)),
    el("td", {}, el("span", { class: "tag" }, table.type)),
    el("td", { class: "num" }, format.count(table.columns)),
    el("td", {}, el("a", { href: href(["db", db, "table", table.name, "schema"]), "aria-label": `Schema of ${table.name}` },
      "Schema")));
}

export function databaseView({ db }) {
  const slot = new NoticeSlot();
  const content = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Tables of ${db}` },
    el("p", { class: "muted" }, "Asking …"));
  const load = () => attempt(slot, null, async () => {
    const { tables } = await api.listTables(db);
    fill(content, tables.length === 0
      ? el("p", { class: "empty-state" }, "No table yet. ", el("a", { href: href(["db", db, "new-table"]) }, "Create one"),
        " with a form, or with ", el("a", { href: href(["db", db, "sql"]) }, "SQL"), ".")
      : el("table", { class: "list" },
        el("caption", { class: "unseen" }, `Tables of ${db}`),
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Table"), el("th", { scope: "col" }, "Type"),
          el("th", { scope: "col", class: "num" }, "Columns"), el("th", { scope: "col" }, el("span", { class: "unseen" }, "Schema")))),
        el("tbody", {}, tables.map((t) => tableRow(db, t)))));
  });
  load();
  return el("div", { class: "view" },
    heading(crumbs(db), el("button", { type: "button", class: "quiet", onclick: () => askDropDatabase(db, () => go("#/")) },
      "Drop database")),
    databaseTabs(db, "Tables"),
    el("section", { class: "card", "aria-labelledby": "tables-title" },
      el("div", { class: "card-head" }, el("h2", { id: "tables-title" }, "Tables"),
        el("button", { type: "button", class: "quiet", onclick: load }, "Refresh")),
      slot.element, content));
}
