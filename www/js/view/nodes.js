// The nodes: a table for the views, a strip for the header. Refreshed in place, so that nothing flickers and a reader's
// selection and focus stay.
import { el, fill, setAttr, setText } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import { Live } from "../live.js";
import { listNodes } from "../nodelist.js";
import { describeState } from "../states.js";
import { announce } from "../notice.js";

const EVERY_MS = 1000;
const STALE_AFTER_MS = 3000;

/** The two sources, shared by all views. Created on first use, so that the modules can be loaded without a page. */
let sources = null;
function live() {
  sources ??= { pool: new Live(api.pool, EVERY_MS), status: new Live(api.status, EVERY_MS) };
  return sources;
}

const current = () => listNodes(live().pool.state.data, live().status.state.data);

/** Calls back now, on every answer and every second (ages grow without answers), until the element leaves the page. */
function follow(element, update) {
  const stop = new AbortController();
  let wasShown = false;
  const tick = () => {
    wasShown ||= element.isConnected;
    if (wasShown && !element.isConnected) stop.abort();
    else if (!document.hidden) update();
  };
  for (const source of Object.values(live())) source.addEventListener("change", tick, { signal: stop.signal });
  const timer = setInterval(tick, EVERY_MS);
  stop.signal.addEventListener("abort", () => clearInterval(timer));
  update();
}

/** How fresh the pool's data is: {stale, text}. */
function freshness() {
  const { state } = live().pool;
  const sinceAnswer = live().pool.age();
  if (sinceAnswer === null) {
    return state.error ? { stale: true, text: `No answer yet: ${state.error.title}` } : { stale: false, text: "Asking …" };
  }
  const by = state.node ? ` by ${state.node}` : "";
  // A master that hangs is asked in vain: its status program answers with what it last said, and how old that is.
  const age = sinceAnswer + Math.max(state.data.age_ms ?? 0, 0);
  if (age > STALE_AFTER_MS) {
    const why = state.error ? ` · ${state.error.title}` : "";
    return { stale: true, text: `Updated ${format.duration(Math.floor(age / 1000) * 1000)} ago${by}${why}` };
  }
  if (state.data.known_by) return { stale: true, text: `The master does not answer; told by ${state.data.known_by}` };
  return { stale: false, text: `Live, told${by}` };
}

function badge() {
  const sign = el("span", { class: "sign", "aria-hidden": "true" });
  const name = el("span", {});
  return { element: el("span", { class: "badge" }, sign, name), sign, name };
}

function setBadge({ element, sign, name }, state) {
  const known = describeState(state);
  setAttr(element, "data-tone", known.tone);
  setAttr(element, "title", known.text);
  setText(sign, known.sign);
  setText(name, known.name);
}

const columns = ["node", "state", "lag", "operations", "bytes", "oldest", "since", "error"];
const labels = { node: "Node", state: "State", lag: "Lag", operations: "Pending operations", bytes: "Pending bytes",
  oldest: "Oldest pending", since: "Since", error: "Last error" };

class Row {
  constructor(name) {
    this.badge = badge();
    this.cells = Object.fromEntries(columns.map((c) => [c,
      el(c === "node" ? "th" : "td", { role: c === "node" ? "rowheader" : "cell", scope: c === "node" ? "row" : null,
        "data-label": labels[c], class: `is-${c}` })]));
    this.role = el("span", { class: "role" });
    this.positions = el("ul", { class: "positions", "aria-label": "Position per database" });
    this.cells.node.append(el("span", { class: "node-name" }, name), this.role, this.positions);
    this.cells.state.append(this.badge.element);
    this.since = el("time", {});
    this.cells.since.append(this.since);
    this.element = el("tr", { role: "row", "data-node": name }, columns.map((c) => this.cells[c]));
  }

  update(node) {
    const { cells } = this;
    const pending = node.pending;
    setAttr(this.element, "data-state", node.state ?? "unknown");
    setText(this.role, node.role);
    setBadge(this.badge, node.state);
    setText(cells.lag, node.role === "master" ? "–" : format.count(node.lag));
    setText(cells.operations, pending ? format.count(pending.operations) : "–");
    setText(cells.bytes, pending ? format.bytes(pending.bytes) : "–");
    setText(cells.oldest, pending ? oldest(pending) : "–");
    setText(this.since, format.ago(node.since));
    setAttr(this.since, "datetime", node.since);
    setAttr(this.since, "title", node.since ? format.moment(node.since) : "Not known");
    // Of a node that nothing is known of, it is not known either that it had no error.
    setText(cells.error, node.lastError ?? (node.state === null ? format.unknown : "none"));
    setAttr(cells.error, "data-none", node.lastError ? null : "");
    this.#showPositions(node);
  }

  #showPositions({ epoch, positions }) {
    const lines = [`epoch ${epoch ?? format.unknown}`];
    for (const p of positions ?? []) {
      lines.push(`${p.db} ${p.seq === null ? format.unknown : format.count(p.seq)}`);
    }
    if (!positions) lines.push(`seq ${format.unknown}`);
    if (this.shown === lines.join("\n")) return;
    this.shown = lines.join("\n");
    fill(this.positions, lines.map((line) => el("li", {}, line)));
  }
}

// Nothing pending has no oldest; an unknown queue has an unknown one.
function oldest(pending) {
  if (pending.oldestMs !== null) return format.duration(pending.oldestMs);
  return pending.operations === 0 ? "–" : format.unknown;
}

/** A section with the table of all nodes. */
export function nodesSection() {
  const rows = new Map();
  const body = el("tbody", { role: "rowgroup" });
  const state = el("p", { class: "freshness" });
  const table = el("table", { class: "nodes", role: "table" },
    el("caption", { class: "unseen" }, "Nodes: role, state, position, pending operations"),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      columns.map((c) => el("th", { scope: "col", role: "columnheader", class: `is-${c}` }, labels[c])))),
    body);
  const section = el("section", { class: "card", "aria-labelledby": "nodes-title" },
    el("div", { class: "card-head" }, el("h2", { id: "nodes-title" }, "Nodes"), state), table);

  follow(section, () => {
    const { stale, text } = freshness();
    const nodes = current();
    setText(state, text);
    setAttr(section, "data-stale", stale ? "" : null);
    table.hidden = nodes.length === 0;
    for (const name of rows.keys()) if (!nodes.some((n) => n.name === name)) rows.delete(name);
    nodes.forEach((node) => {
      if (!rows.has(node.name)) rows.set(node.name, new Row(node.name));
      rows.get(node.name).update(node);
    });
    const wanted = nodes.map((n) => rows.get(n.name).element);
    if (wanted.length !== body.children.length || wanted.some((r, i) => body.children[i] !== r)) fill(body, wanted);
  });
  return section;
}

/** Fills the header's strip: one link per node with its state, and what waits for it. */
export function nodesStrip(strip) {
  const pills = new Map();
  const before = new Map();
  follow(strip, () => {
    const nodes = current();
    setAttr(strip, "data-stale", freshness().stale ? "" : null);
    for (const name of pills.keys()) if (!nodes.some((n) => n.name === name)) pills.delete(name);
    for (const node of nodes) {
      if (!pills.has(node.name)) pills.set(node.name, pill(node.name));
      updatePill(pills.get(node.name), node);
      tellChange(before, node);
    }
    const wanted = nodes.map((n) => pills.get(n.name).element);
    if (wanted.length !== strip.children.length || wanted.some((p, i) => strip.children[i] !== p)) fill(strip, wanted);
  });
}

function pill(name) {
  const sign = el("span", { class: "sign", "aria-hidden": "true" });
  const state = el("span", { class: "unseen" });
  const pending = el("span", { class: "pill-pending" });
  return { sign, state, pending, element: el("a", { class: "pill", href: "#/nodes" }, sign, name, state, pending) };
}

function updatePill({ element, sign, state, pending }, node) {
  const known = describeState(node.state);
  const waiting = node.pending?.operations;
  setAttr(element, "data-tone", known.tone);
  setAttr(element, "title", `${node.name}, ${node.role}: ${known.name}. ${known.text}`);
  setText(sign, node.role === "master" && known.tone === "good" ? "◆" : known.sign);
  setText(state, ` ${known.name} `);
  setText(pending, waiting ? format.count(waiting) : "");
}

function tellChange(before, { name, state }) {
  if (before.has(name) && before.get(name) !== state) announce(`Node ${name} is now ${describeState(state).name}.`);
  before.set(name, state);
}
