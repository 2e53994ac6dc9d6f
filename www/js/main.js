// The shell: shows the view that the URL names, and what is the same on all of them.
import { el, fill, setAttr, setText } from "./dom.js";
import { traffic } from "./api.js";
import * as format from "./format.js";
import { parseRoute } from "./route.js";
import { nodesSection, nodesStrip } from "./view/nodes.js";
import { eventsSection } from "./view/events.js";
import { homeView } from "./view/home.js";
import { databaseView } from "./view/database.js";
import { newTableView } from "./view/newtable.js";
import { rowsView } from "./view/rows.js";
import { schemaView } from "./view/schema.js";
import { sqlView } from "./view/sql.js";

const views = {
  home: homeView,
  nodes: () => el("div", { class: "view" }, el("h1", { tabindex: "-1", class: "unseen" }, "Nodes"), nodesSection(), eventsSection()),
  database: databaseView,
  newTable: newTableView,
  rows: rowsView,
  schema: schemaView,
  sql: sqlView,
  lost: () => el("div", { class: "view" }, el("h1", { tabindex: "-1" }, "Nothing here"),
    el("p", {}, "This address names no view. ", el("a", { href: "#/" }, "To the databases"))),
};

const main = document.getElementById("main");

function titleOf({ view, db, table }) {
  return [table, db, view === "nodes" ? "Nodes" : null, "DDB"].filter(Boolean).join(" · ");
}

function showRoute(isFirst) {
  const route = parseRoute(location.hash);
  fill(main, views[route.view](route));
  document.title = titleOf(route);
  setAttr(document.getElementById("nav-home"), "aria-current", route.view === "nodes" ? null : "page");
  setAttr(document.getElementById("nav-nodes"), "aria-current", route.view === "nodes" ? "page" : null);
  if (isFirst) return;
  // A new view begins at its heading, for eyes and for screen readers.
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

traffic.addEventListener("read", ({ detail: { node, db, epoch, seq, ms } }) => {
  const where = epoch === null || db === null ? "" : ` · ${db} at ${epoch}.${format.count(seq)}`;
  setText(document.getElementById("last-read"), `Last read: ${node ?? format.unknown}${where} · ${format.duration(ms)}`);
});

// The fragment names the view, so the skip link cannot use one.
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

addEventListener("hashchange", () => showRoute(false));
nodesStrip(document.getElementById("strip"));
showRoute(true);
