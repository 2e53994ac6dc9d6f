// JSON as the API means it: integers of 64 bits and reals as they were typed, which JSON.stringify cannot write.

/** A number in the very digits that the user typed. It goes into a request body as it is. */
export class Literal {
  /** @param {string} text a JSON number; anything else is a TypeError. */
  constructor(text) {
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new TypeError(`not a JSON number: ${text}`);
    this.text = text;
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
