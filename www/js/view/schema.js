// What a table is made of.
import { el, fill } from "../dom.js";
import * as api from "../api.js";
import { attempt, NoticeSlot } from "../notice.js";
import { crumbs, heading, tableTabs } from "./frame.js";
import { askDropTable } from "./rows.js";

const yes = (flag) => (flag ? "yes" : "");

/** A titled table, or nothing when there are no rows. */
function part(title, heads, rows) {
  if (rows.length === 0) return null;
  return el("section", { class: "card", "aria-label": title },
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title },
      el("table", { class: "list" },
        el("caption", {}, title),
        el("thead", {}, el("tr", {}, heads.map((h) => el("th", { scope: "col" }, h)))),
        el("tbody", {}, rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), rest.map((c) => el("td", {}, c))))))));
}

function columnsPart(table) {
  return part("Columns", ["Column", "Type", "Not null", "Default", "Key", "Generated"], table.columns.map((c) => [
    c.name, c.type || el("span", { class: "muted" }, "any"), yes(c.notnull),
    c.default === null || c.default === undefined ? "" : el("code", {}, String(c.default)),
    c.pk ? String(c.pk) : "", c.generated ? (c.generated === true ? "yes" : String(c.generated)) : c.hidden ? "hidden" : ""]));
}

function indexesPart(table) {
  return part("Indexes", ["Index", "Columns", "Unique", "Partial"], (table.indexes ?? []).map((i) => [
    i.name, i.columns.map((c) => c ?? "(expression)").join(", "), yes(i.unique), yes(i.partial)]));
}

function foreignPart(table) {
  return part("Foreign keys", ["Columns", "Refer to", "On delete", "On update"], (table.foreign_keys ?? []).map((f) => [
    f.from.join(", "), `${f.table}(${(f.to ?? []).filter(Boolean).join(", ") || "key"})`, f.on_delete, f.on_update]));
}

function textPart(table) {
  const texts = [table.sql, ...(table.indexes ?? []).map((i) => i.sql), ...(table.triggers ?? []).map((t) => t.sql)].filter(Boolean);
  return el("section", { class: "card", "aria-labelledby": "ddl-title" },
    el("div", { class: "card-head" }, el("h2", { id: "ddl-title" }, "SQL")),
    el("pre", { class: "sql", tabindex: "0" }, texts.map((t) => `${t};`).join("\n\n")));
}

export function schemaView({ db, table }) {
  const slot = new NoticeSlot();
  const content = el("div", { class: "view" }, el("p", { class: "muted" }, "Asking …"));
  const actions = el("span", {});
  attempt(slot, null, async () => {
    const found = await api.describeTable(db, table);
    fill(content, columnsPart(found), indexesPart(found), foreignPart(found), textPart(found));
    fill(actions, el("button", { type: "button", class: "quiet", onclick: () => askDropTable(db, found) },
      found.type === "view" ? "Drop view" : "Drop table"));
  });
  return el("div", { class: "view" }, heading(crumbs(db, table), actions), tableTabs(db, table, "Schema"), slot.element, content);
}
