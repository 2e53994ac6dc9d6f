// CREATE TABLE by a form; its SQL is shown while it grows, and can be taken to the SQL view to go on there.
import { el, fill, newId, setText } from "../dom.js";
import * as api from "../api.js";
import { createTable } from "../sqltext.js";
import { href, go } from "../route.js";
import { attempt, badInput, NoticeSlot, success } from "../notice.js";
import { crumbs, databaseTabs, heading } from "./frame.js";
import { handOver } from "./sql.js";

const types = ["INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", "ANY"];

function check(label, attrs) {
  return el("label", { class: "check" }, el("input", { type: "checkbox", ...attrs }), label);
}

/** One column's fields. @returns {{element: Node, read: () => Object, name: HTMLInputElement}} */
function columnFields({ name = "", type = "TEXT", pk = false }, number, remove) {
  const id = newId("column");
  const nameInput = el("input", { id, value: name, autocomplete: "off", spellcheck: "false", required: true });
  const typeSelect = el("select", { id: `${id}-type` }, types.map((t) => el("option", { selected: t === type }, t)));
  const fallback = el("input", { id: `${id}-default`, autocomplete: "off", spellcheck: "false", placeholder: "none" });
  const flags = { pk: el("input", { type: "checkbox", checked: pk }), notnull: el("input", { type: "checkbox" }),
    unique: el("input", { type: "checkbox" }) };
  const element = el("fieldset", { class: "column" },
    el("legend", { class: "unseen" }, `Column ${number}`),
    el("label", { class: "field", for: id }, el("span", {}, "Column"), nameInput),
    el("label", { class: "field", for: `${id}-type` }, el("span", {}, "Type"), typeSelect),
    el("label", { class: "field", for: `${id}-default` }, el("span", {}, "Default"), fallback),
    el("div", { class: "checks" },
      el("label", { class: "check" }, flags.pk, "Key"),
      el("label", { class: "check" }, flags.notnull, "Not null"),
      el("label", { class: "check" }, flags.unique, "Unique")),
    el("button", { type: "button", class: "quiet", "aria-label": `Remove column ${number}`, onclick: () => remove(element) }, "✕"));
  const read = () => ({ name: nameInput.value, type: typeSelect.value, pk: flags.pk.checked, notnull: flags.notnull.checked,
    unique: flags.unique.checked, fallback: fallback.value.trim() });
  return { element, read, name: nameInput };
}

export function newTableView({ db }) {
  const slot = new NoticeSlot();
  const list = el("div", { class: "columns" });
  const preview = el("pre", { class: "sql", id: "new-table-sql" });
  const name = el("input", { id: "new-table", required: true, autocomplete: "off", spellcheck: "false" });
  const strict = check("Strict: refuse values that do not fit the type", { id: "new-table-strict" });
  const button = el("button", { type: "submit", class: "primary" }, "Create table");
  let fields = [];
  let made = 0;

  const sql = () => createTable({ name: name.value || "…", strict: strict.firstChild.checked, columns: fields.map((f) => f.read()) });
  const refresh = () => setText(preview, sql());
  const remove = (element) => {
    if (fields.length === 1) return;
    fields = fields.filter((f) => f.element !== element);
    fill(list, fields.map((f) => f.element));
    refresh();
    fields.at(-1).name.focus();
  };
  const add = (column) => {
    fields.push(columnFields(column, ++made, remove));
    list.append(fields.at(-1).element);
    refresh();
  };
  const submit = (event) => {
    event.preventDefault();
    const text = sql();
    attempt(slot, button, async () => {
      if (fields.some((f) => f.read().name.trim() === "")) throw badInput("Every column needs a name.");
      await api.execute(db, { sql: text });
      success(`Table ${name.value} created.`);
      go(href(["db", db, "table", name.value]));
    }, text);
  };
  add({ name: "id", type: "INTEGER", pk: true });
  add({});
  return el("div", { class: "view" },
    heading(crumbs(db)),
    databaseTabs(db, "New table"),
    el("section", { class: "card", "aria-labelledby": "new-table-title" },
      el("div", { class: "card-head" }, el("h2", { id: "new-table-title" }, "New table")),
      el("form", { class: "stack", onsubmit: submit, oninput: refresh },
        el("label", { class: "field", for: "new-table" }, el("span", {}, "Table"), name),
        list,
        el("div", {}, el("button", { type: "button", onclick: () => { add({}); fields.at(-1).name.focus(); } }, "Add column")),
        strict,
        el("div", { class: "field" }, el("span", {}, "This will run"), preview),
        slot.element,
        el("div", { class: "actions" },
          el("button", { type: "button", onclick: () => { handOver(db, sql()); go(href(["db", db, "sql"])); } }, "Edit as SQL"),
          button))));
}
