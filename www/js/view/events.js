// What happened in the cluster last, newest first.
import { el, fill, setText } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import { Live } from "../live.js";

const EVERY_MS = 2000;
const LIMIT = 50;

function line(event) {
  return el("li", { "data-level": event.level },
    el("time", { datetime: event.at, title: format.moment(event.at) }, format.moment(event.at)),
    el("code", {}, event.kind), el("span", {}, event.text));
}

/** A section with the list. It asks until it leaves the page. */
export function eventsSection() {
  const note = el("p", { class: "muted" }, "Asking …");
  const list = el("ol", { class: "events", reversed: true, tabindex: "0", "aria-labelledby": "events-title" });
  const section = el("section", { class: "card", "aria-labelledby": "events-title" },
    el("div", { class: "card-head" }, el("h2", { id: "events-title" }, "Events")), note, list);
  const source = new Live(() => api.events(LIMIT), EVERY_MS);
  let newest = null;
  source.addEventListener("change", () => {
    if (!section.isConnected) return source.stop();
    const { data, error } = source.state;
    const all = data?.events ?? [];
    setText(note, all.length ? (error ? `Not up to date: ${error.title}` : "") : error ? `Not known: ${error.title}` : "None yet.");
    note.hidden = note.textContent === "";
    if (all.length && all.at(-1).id !== newest) {
      newest = all.at(-1).id;
      fill(list, [...all].reverse().map(line));
    }
  });
  return section;
}
