// JSON as the API means it: integers have 64 bits, and 1.0 is a real while 1 is none. JSON.parse and JSON.stringify
// know neither.

/** A number by its digits: a whole real ("1.0"), or what a user typed. It goes into a request body as it is. */
export class Literal {
  /** @param {string} text a JSON number; anything else is a TypeError. */
  constructor(text) {
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new TypeError(`not a JSON number: ${text}`);
    this.text = text;
  }

  /** So that figures which are no database values (milliseconds, say) count like any number. */
  valueOf() {
    return Number(this.text);
  }
}

/** JSON text of a value made of null, booleans, numbers, bigints, strings, Literals, arrays and plain objects. */
export function write(value) {
  if (value instanceof Literal) return value.text;
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.entries(value).filter(([, v]) => v !== undefined)
      .map(([k, v]) => `${JSON.stringify(k)}:${write(v)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;

/**
 * The value of a JSON text. Integers beyond 2^53 become bigints, whole reals ("1.0", "1e+300") Literals; so a plain
 * number without a fraction is an integer, and exact. SyntaxError when it is not JSON.
 */
export function parse(text) {
  let marked = "";
  let kept = 0;
  for (let at = 0; at < text.length;) {
    const c = text.charCodeAt(at);
    if (c === 0x22) {
      at = endOfString(text, at);
    } else if (c === 0x2d || (c >= 0x30 && c <= 0x39)) {
      NUMBER.lastIndex = at;
      const [digits] = NUMBER.exec(text) ?? [text[at]];
      if (isHarmed(digits)) {
        marked += `${text.slice(kept, at)}{"${MARK}":"${digits}"}`;
        kept = at + digits.length;
      }
      at += digits.length;
    } else {
      at += 1;
    }
  }
  if (kept === 0) return JSON.parse(text);
  return JSON.parse(marked + text.slice(kept), (_, value) => (value !== null && typeof value === "object" && MARK in value
    ? numberOf(value[MARK]) : value));
}

// Stands for a number while JSON.parse runs. No member of an answer is called so: values are never objects of this form.
const MARK = "number in its own digits";

// The place behind a string that begins at `at`; of a string without an end, the end of the text.
function endOfString(text, at) {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === 0x5c) escapes += 1;
    if (escapes % 2 === 0) return end + 1;
  }
  return text.length;
}

// Whether a plain number would lose something of it.
function isHarmed(digits) {
  const isWhole = Number.isInteger(Number(digits));
  return /[.eE]/.test(digits) ? isWhole : !Number.isSafeInteger(Number(digits));
}

function numberOf(digits) {
  if (!/[.eE]/.test(digits)) return BigInt(digits);
  const value = Number(digits);
  const short = Object.is(value, -0) ? "-0" : String(value);
  return new Literal(/[.e]/.test(short) ? short : `${short}.0`);
}
