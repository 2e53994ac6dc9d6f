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

/**
 * A value of an answer that was asked for with big=string. Integers beyond 2^53 come as strings; in a column of
 * integer or numeric affinity such a string cannot be text (SQLite would have made it an integer), so it becomes a
 * bigint here. In a column without a type it stays a string: its digits are right, its kind is not known.
 * @returns {null|number|bigint|string|{blob: string}|{real: string}}
 */
export function decode(value, type) {
  if (typeof value === "string" && /^-?\d{16,19}$/.test(value) && type != null) {
    const a = affinity(type);
    if (a === "integer" || a === "numeric") return BigInt(value);
  }
  return value;
}

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

/** The number as text: a whole real keeps its ".0", so that 1.0 does not look like an integer. */
export function numberText(value, type) {
  if (isReal(value)) return value.real;
  if (typeof value === "number" && Number.isInteger(value) && affinity(type) === "real") {
    const text = String(value);
    return text.includes("e") ? text : `${text}.0`;
  }
  return String(value);
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
export function toField(value, type) {
  if (value === null || value === undefined) return { kind: "null", text: "" };
  if (isBlob(value)) return { kind: "blob", text: base64ToHex(value.blob) };
  if (typeof value === "string") return { kind: "text", text: value };
  return { kind: "number", text: numberText(value, type) };
}

/** The value for a request body. TypeError, with a sentence for the user, when the text does not fit the kind. */
export function fromField({ kind, text }) {
  if (kind === "null") return null;
  if (kind === "number") return typedNumber(text);
  if (kind === "blob") return { blob: hexToBase64(text) };
  return text;
}
