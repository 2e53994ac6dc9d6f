// The rows of a table: browse by key, sort, insert, change, delete.
import { el, fill } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import { href, go } from "../route.js";
import { addressOf } from "../rowkey.js";
import * as sqltext from "../sqltext.js";
import { valueText } from "../value.js";
import { attempt, badInput, NoticeSlot, success } from "../notice.js";
import { confirm, confirmTyped, openForm } from "../dialog.js";
import { crumbs, heading, tableTabs } from "./frame.js";
import { cellContent, grid } from "./grid.js";
import { rowFields } from "./rowform.js";

const PAGE = 50;

// The way back: keyset paging only goes forward, so each page remembers the fragment it was reached from.
const cameFrom = new Map();

class TableView {
  constructor({ db, table, search }) {
    Object.assign(this, { db, table, order: search.get("order") ?? "", after: search.get("after") ?? "" });
    this.slot = new NoticeSlot();
    this.content = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Rows of ${table}` },
      el("p", { class: "muted" }, "Asking …"));
    this.pager = el("div", { class: "pager" });
    this.insert = el("button", { type: "button", class: "primary", disabled: true, onclick: () => this.askInsert() }, "Insert row");
    this.element = el("div", { class: "view" },
      heading(crumbs(db, table)),
      tableTabs(db, table, "Rows"),
      el("section", { class: "card", "aria-label": `Rows of ${table}` },
        el("div", { class: "card-head" }, this.insert,
          el("button", { type: "button", class: "quiet", onclick: () => this.load() }, "Refresh")),
        this.slot.element, this.content, this.pager));
    this.load();
  }

  link(search) {
    return href(["db", this.db, "table", this.table], { order: this.order, ...search });
  }

  load() {
    return attempt(this.slot, null, async () => {
      const search = { limit: PAGE, ...(this.order && { order: this.order }), ...(this.after && { after: this.after }) };
      const [description, page] = await Promise.all([
        api.describeTable(this.db, this.table), api.listRows(this.db, this.table, search)]);
      this.description = description;
      this.page = page;
      this.insert.disabled = description.type === "view";
      this.show();
    });
  }

  show() {
    const { columns, types, rows, next } = this.page;
    const canChange = !["view", "shadow"].includes(this.description.type);
    fill(this.content, grid({
      caption: `Rows of ${this.table}`, columns, types, rows,
      header: (column) => this.sortButton(column),
      sortOf: (column) => ({ [`${column}.asc`]: "ascending", [`${column}.desc`]: "descending" })[this.order] ?? null,
      actions: canChange ? (values) => this.rowActions(values) : undefined,
    }), rows.length === 0 && el("p", { class: "empty-state" }, this.after ? "No more rows." : "No row yet."));
    const here = this.link({ after: this.after });
    const onward = next ? this.link({ after: next }) : null;
    if (onward) cameFrom.set(onward, here);
    const back = this.after ? cameFrom.get(here) : null;
    fill(this.pager,
      el("span", { class: "muted" }, `${format.plural(rows.length, "row")} here${next ? ", more follow" : ""}`),
      this.after && el("a", { class: "button", href: this.link({}) }, "First page"),
      back && el("a", { class: "button", href: back, rel: "prev" }, "Previous"),
      onward && el("a", { class: "button", href: onward, rel: "next" }, "Next"));
  }

  sortButton(column) {
    const isUp = this.order === `${column}.asc`;
    const isDown = this.order === `${column}.desc`;
    const next = isUp ? `${column}.desc` : isDown ? "" : `${column}.asc`;
    return el("button", { type: "button", class: "sort", onclick: () => go(href(["db", this.db, "table", this.table], { order: next })) },
      column, el("span", { "aria-hidden": "true" }, isUp ? " ↑" : isDown ? " ↓" : ""));
  }

  rowActions(values) {
    const address = addressOf(this.description, this.page.columns, values);
    if (!address) return [el("span", { class: "muted", title: "Its key is NULL or not shown: change it by SQL" }, "no key")];
    const name = address.key ?? Object.values(address.where).map(valueText).join(", ");
    return [
      el("button", { type: "button", class: "quiet", "aria-label": `Edit row ${name}`,
        onclick: () => this.askUpdate(address, values) }, "Edit"),
      el("button", { type: "button", class: "quiet", "aria-label": `Delete row ${name}`,
        onclick: () => this.askDelete(address, values) }, "Delete")];
  }

  askInsert() {
    const fields = rowFields(this.description, null);
    openForm({
      title: `Insert into ${this.table}`, body: fields.elements, action: "Insert",
      run: async () => {
        const { inserted, seq } = await api.insertRow(this.db, this.table, fields.values());
        success(`${format.plural(inserted ?? 1, "row")} inserted, seq ${format.count(seq)}.`);
        await this.load();
      },
    });
  }

  askUpdate(address, values) {
    const row = Object.fromEntries(this.page.columns.map((c, i) => [c, values[i]]));
    const fields = rowFields(this.description, row);
    openForm({
      title: `Edit a row of ${this.table}`, body: fields.elements, action: "Save",
      run: async () => {
        const changes = fields.values();
        if (Object.keys(changes).length === 0) throw badInput("Nothing was changed.");
        await this.change(address.key !== undefined
          ? api.patchRow(this.db, this.table, address.key, changes)
          : api.execute(this.db, sqltext.updateRow(this.table, changes, address.where)), "saved");
      },
    });
  }

  askDelete(address, values) {
    confirm({
      title: `Delete this row of ${this.table}?`, action: "Delete",
      body: [el("dl", { class: "row-preview" }, this.page.columns.map((c, i) =>
        el("div", {}, el("dt", {}, c), el("dd", {}, cellContent(values[i])))))],
      run: () => this.change(address.key !== undefined
        ? api.deleteRow(this.db, this.table, address.key)
        : api.execute(this.db, sqltext.deleteRow(this.table, address.where)), "deleted"),
    });
  }

  /** Waits for a change of one row and tells what came of it. */
  async change(call, verb) {
    const answer = await call;
    const changes = answer.changes ?? answer.results?.[0]?.changes ?? 0;
    if (changes === 0) throw badInput("The row is no longer there: somebody changed or deleted it.");
    success(`Row ${verb}, seq ${format.count(answer.seq)}.`);
    await this.load();
  }
}

/** Asks for the name before a table goes. */
export function askDropTable(db, { name, type }) {
  const what = type === "view" ? "view" : "table";
  confirmTyped({
    title: `Drop the ${what} ${name}?`, name, action: `Drop ${what}`,
    text: what === "view" ? "The view goes; the rows of its tables stay." : "The table and all its rows go, on all nodes.",
    run: async () => {
      await api.execute(db, { sql: `drop ${what} ${sqltext.quote(name)}` });
      success(`${what === "view" ? "View" : "Table"} ${name} dropped.`);
      go(href(["db", db]));
    },
  });
}

export const rowsView = (route) => new TableView(route).element;
