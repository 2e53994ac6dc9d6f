// The cluster under test, by its own script and its own front door.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const { DDB_CLUSTER, DDB_DIR, DDB_URL } = process.env;

export const url = DDB_URL;

/** ./cluster kill n2, ./cluster start n2 … */
export async function cluster(command, ...args) {
  const { stdout, stderr } = await run(DDB_CLUSTER, [command, "--dir", DDB_DIR, ...args]);
  return stdout + stderr;
}

/**
 * A call of the API, beside the page. A write is waited for on both slaves: the page did not make it, so it has no
 * right to see it before. A read here need not see what the page wrote: ask by execute, which the master answers.
 * @returns {Promise<any>} the answer; an error status is thrown
 */
export async function call(method, path, body) {
  const response = await fetch(url + path, { method, headers: { "content-type": "application/json", "ddb-sync": "2" },
    body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Asks again until the answer is true. @param {() => any} question  @returns the first true answer */
export async function until(what, question, seconds = 30) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (performance.now() > end) throw new Error(`within ${seconds} s it did not come to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
