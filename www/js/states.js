// What each state of a node means. One table: the words of the API, their tone on the page, a sentence for people.
// Tones: good, busy (it is on its way), bad, off (meant to be so), unknown.

const states = {
  master: ["good", "Takes the writes."],
  ready: ["good", "In sync; answers reads."],
  starting: ["busy", "Its programs are starting."],
  waiting: ["busy", "Meant to be the master; makes sure first that nobody else is."],
  joining: ["busy", "Looks for its master."],
  connecting: ["busy", "The master is opening a connection to it."],
  snapshot: ["busy", "Is given a full copy of a database."],
  syncing: ["busy", "Catches up with the master; answers no reads yet."],
  lagging: ["busy", "Too far behind to answer reads; catches up."],
  silent: ["bad", "Has not heard from its master for too long."],
  down: ["bad", "The master cannot reach it. Its operations are kept until it returns."],
  diverged: ["bad", "Its content differed from the master's; it is given a new copy."],
  error: ["bad", "Cannot work; its log says why."],
  incompatible: ["bad", "Its version does not fit the master's."],
  paused: ["off", "Replication to it is paused by an administrator."],
};

const signs = { good: "●", busy: "◐", bad: "▲", off: "■", unknown: "?" };

/** @returns {{name: string, tone: string, sign: string, text: string}} for a state of the API, or null for unknown */
export function describeState(name) {
  const [tone, text] = states[name] ?? ["unknown", name ? "A state that this page does not know." : "Nothing was heard of it."];
  return { name: name ?? "unknown", tone, sign: signs[tone], text };
}
