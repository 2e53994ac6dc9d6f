// The form of one row, for insert and for update: one field per column, with the kind of its value beside it.
import { el, newId } from "../dom.js";
import { fromField, isBlob, blobSize, kindOfColumn, toField } from "../value.js";
import { badInput } from "../notice.js";

// A blob beyond this is not put into a text field; it can be replaced, and stays unharmed when it is not touched.
const BLOB_FIELD_MAX = 4096;

const kindNames = { text: "text", number: "number", blob: "blob (hex)", null: "NULL", default: "default" };

function hints(column, foreign) {
  const fk = foreign.find((f) => f.from.includes(column.name));
  return [column.type || "any type", column.pk ? "key" : null, column.notnull ? "not null" : null,
    column.default !== null && column.default !== undefined ? `default ${column.default}` : null,
    fk ? `→ ${fk.table}(${fk.to[fk.from.indexOf(column.name)] ?? "key"})` : null].filter(Boolean).join(" · ");
}

/** The first kind of a field: what is there, or for a new row the default where leaving out is allowed. */
function startOf(column, value, isNew) {
  if (isNew) {
    const mustGive = column.notnull && (column.default ?? null) === null && !(column.pk && /^integer$/i.test(column.type));
    return { kind: mustGive ? kindOfColumn(column.type) : "default", text: "" };
  }
  if (isBlob(value) && blobSize(value.blob) > BLOB_FIELD_MAX) return { kind: "blob", text: "", kept: blobSize(value.blob) };
  return toField(value);
}

function field(column, value, isNew, foreign) {
  const id = newId("field");
  const start = startOf(column, value, isNew);
  const hint = hints(column, foreign);
  const input = el("textarea", { id, rows: "1", spellcheck: "false", "aria-describedby": `${id}-hint`, value: start.text });
  const kind = el("select", { "aria-label": `Kind of ${column.name}` },
    Object.keys(kindNames).filter((k) => k !== "default" || isNew)
      .map((k) => el("option", { value: k, selected: k === start.kind }, kindNames[k])));
  const placeholder = () => {
    input.placeholder = { null: "NULL", default: "left to the default", blob: start.kept ? `${start.kept} bytes, unchanged` : "" }[kind.value] ?? "";
  };
  kind.addEventListener("change", () => {
    if (kind.value === "null" || kind.value === "default") input.value = "";
    placeholder();
  });
  input.addEventListener("input", () => {
    if (kind.value === "null" || kind.value === "default") kind.value = kindOfColumn(column.type);
  });
  placeholder();
  const isTouched = () => kind.value !== start.kind || input.value !== start.shown;
  // A text field turns line ends into \n; what it shows untouched is what "unchanged" is measured against.
  start.shown = input.value;
  return {
    column, isTouched,
    isGiven: () => kind.value !== "default",
    read: () => readField(column, kind.value, input),
    element: el("div", { class: "row-field" },
      el("label", { for: id }, column.name), input, kind, el("p", { class: "hint", id: `${id}-hint` }, hint)),
  };
}

function readField(column, kind, input) {
  try {
    return fromField({ kind, text: input.value });
  } catch (error) {
    input.focus();
    throw badInput(`${column.name}: ${error.message}`);
  }
}

/**
 * Fields for the columns of a table that can be written.
 * @param {Object} table its description  @param {Object|null} row column -> value; null for a new row
 * @returns {{elements: Node[], values: () => Object}} `values`: of a new row what was given, of an existing one what
 *   was changed; it throws an input error that names the field
 */
export function rowFields(table, row) {
  const fields = table.columns.filter((c) => !c.generated && !c.hidden)
    .map((c) => field(c, row?.[c.name], row === null, table.foreign_keys ?? []));
  const wanted = (f) => (row === null ? f.isGiven() : f.isTouched());
  return {
    elements: fields.map((f) => f.element),
    values: () => Object.fromEntries(fields.filter(wanted).map((f) => [f.column.name, f.read()])),
  };
}
