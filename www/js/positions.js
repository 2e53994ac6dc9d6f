// How far this page has written into each database, so that its reads see its own writes through any slave.

/** "ID.EPOCH.SEQ" in its parts, or null. The sequence number is a bigint: it may grow beyond 2^53. */
function parsePosition(text) {
  const m = /^([^.]+)\.(\d+)\.(\d+)$/.exec(text);
  return m && { id: m[1], epoch: BigInt(m[2]), seq: BigInt(m[3]) };
}

export class Positions {
  #of = new Map();

  /** The newest position written under this name, or null. */
  get(name) {
    return this.#of.get(name) ?? null;
  }

  /** Notes a write's position. Answers may come out of order: an older one of the same database changes nothing. */
  advance(name, text) {
    const fresh = parsePosition(text);
    if (!fresh) return;
    const had = this.#of.has(name) ? parsePosition(this.#of.get(name)) : null;
    const isOlder = had && had.id === fresh.id
      && (had.epoch > fresh.epoch || (had.epoch === fresh.epoch && had.seq > fresh.seq));
    if (!isOlder) this.#of.set(name, text);
  }

  /** The database is gone, or the position was lost in a forced promotion. */
  forget(name) {
    this.#of.delete(name);
  }
}
