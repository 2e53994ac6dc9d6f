// A result as a table. Values are shown as what they are: NULL, text, number, blob.
import { el } from "../dom.js";
import { affinity, blobSize, isBlob, isNumber, numberText } from "../value.js";
import * as format from "../format.js";

const FOLD_AT = 160;

/** What stands in a cell. */
export function cellContent(value) {
  if (value === null) return el("span", { class: "v-null" }, "NULL");
  if (isBlob(value)) return el("span", { class: "v-blob" }, `BLOB · ${format.plural(blobSize(value.blob), "byte")}`);
  if (typeof value === "string") return text(value);
  return numberText(value);
}

function text(value) {
  if (value === "") return el("span", { class: "v-null" }, "empty text");
  // NUL and its neighbours have no picture of their own: show Unicode's control pictures.
  const shown = value.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)));
  if (shown.length <= FOLD_AT) return el("span", { class: "v-text" }, shown);
  return el("details", { class: "fold" },
    el("summary", {}, `${shown.slice(0, FOLD_AT)}…`, el("span", { class: "muted" }, ` ${format.count(value.length)} characters`)),
    el("div", { class: "v-text" }, shown));
}

// A column is set as numbers by its type, or, when it has none, by what it holds.
function isNumeric(type, values) {
  if (type) return !["text", "blob"].includes(affinity(type));
  return values.some(isNumber) && values.every((v) => v === null || isNumber(v));
}

/**
 * @param {{caption: string, columns: string[], types: (string|null)[], rows: any[][],
 *   header?: (column: string, index: number) => Node|string, sortOf?: (column: string) => string|null,
 *   actions?: (row: any[]) => Node[]}} result  `header` makes what stands in a column's head; `actions` a last column
 */
export function grid({ caption, columns, types, rows, header, sortOf, actions }) {
  const isRight = columns.map((_, i) => isNumeric(types?.[i], rows.map((row) => row[i])));
  return el("table", { class: "grid" },
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {},
      columns.map((c, i) => el("th", { scope: "col", class: isRight[i] ? "num" : null, "aria-sort": sortOf?.(c) ?? null },
        header ? header(c, i) : c)),
      actions && el("th", { scope: "col" }, el("span", { class: "unseen" }, "Actions")))),
    el("tbody", {}, rows.map((values) => el("tr", {},
      values.map((v, i) => el("td", { class: isRight[i] ? "num" : null }, cellContent(v))),
      actions && el("td", { class: "row-actions" }, actions(values))))));
}
