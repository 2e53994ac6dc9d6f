// The first view: the databases and the nodes.
import { el, fill } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import { href, go } from "../route.js";
import { attempt, NoticeSlot, success } from "../notice.js";
import { confirmTyped } from "../dialog.js";
import { nodesSection } from "./nodes.js";

/** Asks for the name before a database goes. @param {() => void} done called when it is gone */
export function askDropDatabase(name, done) {
  confirmTyped({
    title: `Drop the database ${name}?`, name, action: "Drop database",
    text: "All its tables go, on all nodes. The file is kept on each node in the folder “dropped”.",
    run: async () => {
      await api.dropDatabase(name);
      success(`Database ${name} dropped.`);
      done();
    },
  });
}

function databaseRow(db, reload) {
  return el("tr", {},
    el("th", { scope: "row" }, el("a", { href: href(["db", db.name]) }, db.name)),
    el("td", { class: "num" }, `${format.count(db.epoch)} · ${format.count(db.seq)}`),
    el("td", { class: "num" }, format.bytes(db.bytes)),
    el("td", { class: "is-created" }, el("time", { datetime: db.created, title: format.moment(db.created) }, format.ago(db.created))),
    el("td", { class: "row-actions" }, el("button", { type: "button", class: "quiet", "aria-label": `Drop ${db.name}`,
      onclick: () => askDropDatabase(db.name, reload) }, "Drop")));
}

const head = (label, attrs) => el("th", { scope: "col", ...attrs }, label);

function databasesSection() {
  const slot = new NoticeSlot();
  const content = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-labelledby": "databases-title" },
    el("p", { class: "muted" }, "Asking …"));
  const load = () => attempt(slot, null, async () => {
    const { databases } = await api.listDatabases();
    fill(content, databases.length === 0
      ? el("p", { class: "empty-state" }, "No database yet. Create the first one below.")
      : el("table", { class: "list" },
        el("caption", { class: "unseen" }, "Databases"),
        el("thead", {}, el("tr", {}, head("Name"), head("Epoch · seq", { class: "num" }), head("Size", { class: "num" }),
          head("Created", { class: "is-created" }), head(el("span", { class: "unseen" }, "Actions")))),
        el("tbody", {}, databases.map((db) => databaseRow(db, load)))));
  });
  load();
  return el("section", { class: "card", "aria-labelledby": "databases-title" },
    el("div", { class: "card-head" }, el("h2", { id: "databases-title" }, "Databases"),
      el("button", { type: "button", class: "quiet", onclick: load }, "Refresh")),
    slot.element, content, createForm());
}

function createForm() {
  const slot = new NoticeSlot();
  const name = el("input", { id: "new-database", required: true, pattern: "[A-Za-z][A-Za-z0-9_\\-]{0,62}", maxlength: "63",
    autocomplete: "off", spellcheck: "false", placeholder: "shop", "aria-describedby": "new-database-hint" });
  const button = el("button", { type: "submit", class: "primary" }, "Create database");
  const submit = (event) => {
    event.preventDefault();
    attempt(slot, button, async () => {
      const created = await api.createDatabase(name.value);
      success(`Database ${created.name ?? name.value} created.`);
      go(href(["db", name.value]));
    });
  };
  return el("form", { class: "inline-form", onsubmit: submit },
    el("label", { class: "field", for: "new-database" }, el("span", {}, "New database"), name), button,
    el("p", { class: "hint", id: "new-database-hint" }, "A letter first, then letters, digits, “_” and “-”."),
    slot.element);
}

export function homeView() {
  return el("div", { class: "view" },
    el("h1", { tabindex: "-1", class: "unseen" }, "Databases and nodes"),
    databasesSection(), nodesSection());
}
