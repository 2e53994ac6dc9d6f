// Free SQL. Reads go to the slaves (query), everything else to the master (execute); which one is said before it runs.
import { el, fill, setText } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import { looksLikeRead } from "../sqltext.js";
import { attempt, badInput, NoticeSlot, announce } from "../notice.js";
import { crumbs, databaseTabs, heading } from "./frame.js";
import { grid } from "./grid.js";

// More rows than this make a page slow and nobody reads them.
const SHOWN_ROWS = 1000;

// What stood in the box of each database, kept while one walks about.
const drafts = new Map();

/** Puts a text into the SQL box of a database, to be seen when its view is opened next. */
export function handOver(db, sql) {
  drafts.set(db, sql);
}

const modes = [["auto", "Auto"], ["read", "Read only"], ["write", "Write"]];

function modeChoice(onchange) {
  const inputs = modes.map(([value], i) => el("input", { type: "radio", name: "mode", value, checked: i === 0, onchange }));
  const element = el("fieldset", { class: "segments" }, el("legend", { class: "unseen" }, "How to run it"),
    modes.map(([, label], i) => el("label", {}, inputs[i], el("span", {}, label))));
  return { element, value: () => inputs.find((i) => i.checked).value };
}

function resultTable(result, number, total) {
  const { columns, types, rows } = result;
  if (!columns?.length) {
    return el("p", { class: "result-line" }, total > 1 && `Statement ${number}: `, `${format.plural(result.changes ?? 0, "row")} changed`);
  }
  const shown = rows.slice(0, SHOWN_ROWS);
  return el("div", {},
    rows.length > shown.length && el("p", { class: "muted" }, `The first ${format.count(shown.length)} of ${format.count(rows.length)} rows.`),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Result ${number}` },
      grid({ caption: `Result ${number}`, columns, types, rows: shown })),
    rows.length === 0 && el("p", { class: "muted" }, "No rows."));
}

function readSummary({ rows, ms, node, epoch, seq }) {
  return `${format.plural(rows.length, "row")} · ${format.duration(ms)} · read on ${node ?? format.unknown} at ${epoch ?? format.unknown}.${seq ?? format.unknown}`;
}

function writeSummary({ results, ms, epoch, seq }) {
  const changes = results.reduce((sum, r) => sum + (r.changes ?? 0), 0);
  return `${format.plural(changes, "row")} changed · ${format.duration(ms)} · written by the master at ${epoch ?? format.unknown}.${seq ?? format.unknown}`;
}

/** Runs a text. @returns {Promise<{summary: string, results: Object[]}>} */
async function run(db, sql, mode) {
  if (mode === "write" || (mode === "auto" && !looksLikeRead(sql))) return write(db, sql);
  try {
    const answer = await api.query(db, { sql });
    return { summary: readSummary(answer), results: [answer] };
  } catch (error) {
    // It began like a read and is none. The server refused it without doing anything: send it as a write.
    if (mode === "auto" && error.code === "not_read_only") return write(db, sql);
    throw error;
  }
}

async function write(db, sql) {
  const answer = await api.execute(db, { sql });
  return { summary: writeSummary(answer), results: answer.results };
}

export function sqlView({ db }) {
  const slot = new NoticeSlot();
  const box = el("textarea", { id: "sql", rows: "8", spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    value: drafts.get(db) ?? "", placeholder: "select * from …", "aria-describedby": "sql-plan" });
  const plan = el("p", { class: "hint", id: "sql-plan" });
  const button = el("button", { type: "submit", class: "primary", "aria-keyshortcuts": "Control+Enter Meta+Enter" }, "Run");
  const output = el("section", { class: "card", "aria-label": "Result", hidden: true });
  const mode = modeChoice(() => refresh());
  const refresh = () => {
    drafts.set(db, box.value);
    const isRead = mode.value() === "read" || (mode.value() === "auto" && looksLikeRead(box.value));
    setText(plan, box.value.trim() === "" ? "" : isRead ? "Runs as a read, on any slave in sync." : "Runs as a write, on the master.");
  };
  const start = () => {
    const sql = box.value;
    const attempted = attempt(slot, button, async () => {
      if (sql.trim() === "") throw badInput("There is no SQL to run.");
      setText(button, "Running …");
      const { summary, results } = await run(db, sql, mode.value());
      fill(output, el("p", { class: "summary" }, summary), results.map((r, i) => resultTable(r, i + 1, results.length)));
      output.hidden = false;
      announce(summary);
    }, sql);
    attempted.then((isGood) => {
      setText(button, "Run");
      // An older result below an error would look like this text's own.
      if (!isGood) output.hidden = true;
    });
  };
  box.addEventListener("input", refresh);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!button.disabled) start();
  });
  refresh();
  return el("div", { class: "view" },
    heading(crumbs(db)),
    databaseTabs(db, "SQL"),
    el("section", { class: "card", "aria-label": "Run SQL" },
      el("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); start(); } },
        el("label", { class: "field", for: "sql" }, el("span", {}, "SQL"), box),
        el("div", { class: "run-line" }, mode.element, plan, button),
        slot.element)),
    output);
}
