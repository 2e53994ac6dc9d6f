// The nodes of the cluster as one list, from what /v1/pool and /status said. Not known is null throughout.

/**
 * @typedef {{name: string, role: "master"|"slave", url: string|null, state: string|null, since: string|null,
 *   epoch: number|null, positions: {db: string, epoch: number|null, seq: number|null, lag: number|null}[]|null,
 *   lag: number|null, pending: {operations: number|null, bytes: number|null, oldestMs: number|null}|null,
 *   lastError: string|null}} Node  pending is null for a master: nothing is ever sent to it
 */

/**
 * @param {Object|null} pool answer of /v1/pool
 * @param {Object|null} status answer of /status, which speaks of the answering node only
 * @returns {Node[]} the master first, then the slaves as the pool lists them
 */
export function listNodes(pool, status) {
  if (!pool) return status?.node ? [fromStatus(status)] : [];
  const nodes = [];
  if (pool.master?.name) nodes.push(master(pool, status));
  for (const slave of pool.slaves ?? []) nodes.push(fromPool(slave, status));
  return nodes;
}

function master(pool, status) {
  const own = status?.node === pool.master.name ? status : null;
  const positions = positionsOf(pool.master.databases ?? own?.databases, { isMaster: true });
  return {
    name: pool.master.name, role: "master", url: pool.master.url ?? null,
    state: pool.master.state ?? own?.state ?? null,
    since: pool.master.since ?? own?.since ?? null,
    epoch: pool.epoch ?? null,
    positions, lag: null, pending: null, lastError: pool.master.last_error ?? null,
  };
}

// Without a master nobody judges a slave from outside; what the answering one says of itself is still known.
function fromPool(slave, status) {
  const own = slave.state === null && status?.node === slave.name ? status : null;
  const positions = positionsOf(slave.databases ?? own?.databases, { isMaster: false });
  const epochs = (positions ?? []).map((p) => p.epoch);
  const lags = (positions ?? []).map((p) => p.lag);
  return {
    name: slave.name, role: "slave", url: slave.url ?? null, state: slave.state ?? own?.state ?? null,
    since: slave.since ?? own?.since ?? null, epoch: highest(epochs), positions, lag: highest(lags),
    pending: {
      operations: slave.pending?.operations ?? null,
      bytes: slave.pending?.bytes ?? null,
      oldestMs: slave.pending?.oldest_ms ?? null,
    },
    lastError: slave.last_error ?? null,
  };
}

// No pool is known yet (a node on its own): what it says of itself.
function fromStatus(status) {
  return {
    name: status.node, role: status.role === "master" ? "master" : "slave", url: null, state: status.state ?? null,
    since: status.since ?? null, epoch: status.epoch ?? null,
    positions: positionsOf(status.databases, { isMaster: status.role === "master" }), lag: null,
    pending: status.role === "master" ? null : { operations: null, bytes: null, oldestMs: null }, lastError: null,
  };
}

function positionsOf(databases, { isMaster }) {
  if (!databases) return null;
  return Object.entries(databases).map(([db, p]) => ({
    db, epoch: p?.epoch ?? null, seq: p?.seq ?? null, lag: isMaster ? 0 : p?.lag ?? null,
  })).sort(byName);
}

// The system database (_ddb) after those that people made.
function byName(a, b) {
  const [systemA, systemB] = [a.db.startsWith("_"), b.db.startsWith("_")];
  if (systemA !== systemB) return systemA ? 1 : -1;
  return a.db < b.db ? -1 : 1;
}

// One unknown makes the highest unknown: it could be the higher one.
function highest(values) {
  if (values.length === 0 || values.includes(null)) return null;
  return Math.max(...values);
}
