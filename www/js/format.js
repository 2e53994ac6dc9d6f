// Numbers and times for people. Everything takes null or undefined as "not known" and says "?", never 0.

export const unknown = "?";

/** 1234567 -> "1,234,567" */
export function count(n) {
  return n === null || n === undefined ? unknown : Number(n).toLocaleString("en");
}

/** Bytes in the unit that keeps three digits. */
export function bytes(n) {
  if (n === null || n === undefined) return unknown;
  if (n < 1000) return `${n} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = n;
  let unit = "B";
  for (const next of units) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 9.995 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** A length of time in milliseconds: "0.3 ms", "850 ms", "14 s", "3 min", "2 h", "5 days". */
export function duration(given) {
  if (given === null || given === undefined) return unknown;
  const ms = Number(given);
  if (ms < 10) return `${Number(ms.toFixed(2))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} days`;
}

/** How long ago a moment (ISO text) is, for people who look at it now. */
export function ago(iso, now = Date.now()) {
  const at = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(at)) return unknown;
  const ms = now - at;
  return ms < 1000 ? "just now" : `${duration(Math.floor(ms / 1000) * 1000).replace(/\.0 s$/, " s")} ago`;
}

/** The moment itself, in the reader's own time zone: "2026-03-01 14:05:09". */
export function moment(iso) {
  const at = new Date(iso ?? NaN);
  if (Number.isNaN(at.getTime())) return unknown;
  const two = (n) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** "1 row", "2 rows" */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
