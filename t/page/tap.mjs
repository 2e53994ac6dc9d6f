// TAP for the tests of the page: numbered results on stdout, what is known of a failure as comments.
let number = 0;
let failures = 0;

const comment = (text) => String(text).split("\n").map((line) => `# ${line}\n`).join("");

/** One result. `why` is printed when it fails. */
export function ok(isGood, name, why = "") {
  number += 1;
  if (!isGood) failures += 1;
  process.stdout.write(`${isGood ? "ok" : "not ok"} ${number} - ${name.replaceAll("#", "")}\n`);
  if (!isGood && why !== "") process.stdout.write(comment(why));
  return isGood;
}

/** Equal as JSON (bigints as text). */
export function is(got, wanted, name) {
  const text = (v) => JSON.stringify(v, (_, x) => (typeof x === "bigint" ? `${x}n` : x));
  return ok(text(got) === text(wanted), name, `got    ${text(got)}\nwanted ${text(wanted)}`);
}

export function note(text) {
  process.stdout.write(comment(text));
}

/** Thrown after a step that failed: what follows builds on it and would only fail as well. */
export class StepFailed extends Error {}

/** One result for a whole step: it is good when nothing was thrown. */
export async function step(name, action) {
  try {
    await action();
  } catch (error) {
    ok(false, name, error.stack ?? error);
    throw new StepFailed(name);
  }
  ok(true, name);
}

/** Prints the plan. @returns {number} the exit status */
export function done() {
  process.stdout.write(`1..${number}\n`);
  return failures === 0 ? 0 : 1;
}
