// SQLite values between the API and people: what a column's declared type means, what a value is called, and how
// what was typed into a field becomes a value.
import { Literal } from "./json.js";

/** The affinity of a declared type, by SQLite's own rules: "integer", "text", "blob", "real" or "numeric". */
export function affinity(type) {
  const t = (type ?? "").toUpperCase();
  if (t.includes("INT")) return "integer";
  if (/CHAR|CLOB|TEXT/.test(t)) return "text";
  if (t === "" || t.includes("BLOB")) return "blob";
  if (/REAL|FLOA|DOUB/.test(t)) return "real";
  return "numeric";
}

// A value of an answer is null, a number, a bigint, a Literal (a whole real), a string, {blob} or {real}: see json.js.

export const isBlob = (v) => v !== null && typeof v === "object" && "blob" in v;
export const isReal = (v) => v !== null && typeof v === "object" && "real" in v;

/** How many bytes a base64 text stands for. */
export function blobSize(base64) {
  return Math.floor(base64.length / 4) * 3 - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
}

export function base64ToHex(base64) {
  return Array.from(atob(base64), (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

export function hexToBase64(hex) {
  const digits = hex.replace(/^(0x|x')/i, "").replace(/'$/, "").replace(/\s/g, "");
  if (digits.length % 2 || /[^0-9a-f]/i.test(digits)) throw new TypeError("A blob is written as pairs of hex digits.");
  return btoa((digits.match(/../g) ?? []).map((d) => String.fromCharCode(parseInt(d, 16))).join(""));
}

export const isNumber = (v) => typeof v === "number" || typeof v === "bigint" || v instanceof Literal || isReal(v);

/** A number as text. A whole real keeps its ".0", so that it does not look like an integer. */
export function numberText(value) {
  if (value instanceof Literal) return value.text;
  return isReal(value) ? value.real : String(value);
}

/** Any value in one line, to call its row by. */
export function valueText(value) {
  if (value === null) return "NULL";
  if (isBlob(value)) return `x'${base64ToHex(value.blob)}'`;
  return isNumber(value) ? numberText(value) : value;
}

/** The JSON number for what a person typed ("+5", ".5", "1.", "007"); TypeError when it is none. */
export function typedNumber(text) {
  const m = /^([+-]?)0*(\d*)(\.(\d*))?([eE][+-]?\d+)?$/.exec(text.trim());
  if (!m || !/\d/.test(text.replace(/[eE].*/, ""))) {
    const inf = /^([+-]?)(inf|infinity)$/i.exec(text.trim());
    if (inf) return { real: inf[1] === "-" ? "-Infinity" : "Infinity" };
    throw new TypeError("This is not a number.");
  }
  const fraction = m[3] === undefined ? "" : `.${m[4] || "0"}`;
  return new Literal(`${m[1] === "-" ? "-" : ""}${m[2] || "0"}${fraction}${m[5] ?? ""}`);
}

/** The kinds that a field can have, in the order of the choice list. */
export const kinds = ["text", "number", "blob", "null", "default"];

/** The kind that a newly typed value of a column gets. */
export function kindOfColumn(type) {
  const a = affinity(type);
  return a === "integer" || a === "real" || a === "numeric" ? "number" : "text";
}

/** {kind, text} that show an existing value in a field. */
export function toField(value) {
  if (value === null || value === undefined) return { kind: "null", text: "" };
  if (isBlob(value)) return { kind: "blob", text: base64ToHex(value.blob) };
  if (typeof value === "string") return { kind: "text", text: value };
  return { kind: "number", text: numberText(value) };
}

/** The value for a request body. TypeError, with a sentence for the user, when the text does not fit the kind. */
export function fromField({ kind, text }) {
  if (kind === "null") return null;
  if (kind === "number") return typedNumber(text);
  if (kind === "blob") return { blob: hexToBase64(text) };
  return text;
}
