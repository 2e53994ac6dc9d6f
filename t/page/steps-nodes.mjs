// The nodes: a slave killed while the page watches; what is old or unknown looks so.
import { Account, startBrowser } from "./browser.mjs";
import { cluster, until, url } from "./cluster.mjs";
import { is, note, ok, step } from "./tap.mjs";

const cell = async (page, node, name) => (await page.locator(`tr[data-node=${node}] .is-${name}`).textContent()).trim();
const number = (text) => (/^[\d,]+$/.test(text) ? Number(text.replaceAll(",", "")) : null);

/** @param {{open: Function}} browser  one tab watches the nodes, another goes on working meanwhile */
export async function nodeSteps(browser, account, db) {
  const watch = await browser.open(account);
  const work = await browser.open(account);
  await watch.goto(`${url}/index2.html#/nodes`);
  await work.goto(`${url}/index2.html#/db/${db}/sql`);
  await watch.locator("tr[data-node=n2][data-state=ready]").waitFor();
  const box = work.getByRole("textbox", { name: "SQL" });
  let written = 0;
  const write = async () => {
    written += 1;
    await box.fill(`insert into people(name, email) values('while away ${written}', 'm${written}')`);
    await work.getByRole("button", { name: "Run" }).click();
    await work.locator(".summary", { hasText: /^1 row changed/ }).waitFor();
    await box.fill("select count(*) from people where name like 'while away %'");
    await work.getByRole("button", { name: "Run" }).click();
    await work.locator("section[aria-label=Result] td", { hasText: new RegExp(`^${written}$`) }).waitFor();
  };

  await step("a slave killed with -9 is shown down within seconds", async () => {
    const started = performance.now();
    await cluster("kill", "n2");
    await watch.locator("tr[data-node=n2][data-state=down]").waitFor();
    note(`shown down ${Math.round(performance.now() - started)} ms after the kill`);
    await watch.locator("#live", { hasText: "Node n2 is now down." }).waitFor({ state: "attached" });
  });
  is(await watch.locator("tr[data-node]").count(), 3, "all three nodes are still on the page");
  ok(!/^(none|\?)?$/.test(await cell(watch, "n2", "error")), "the last error says why");

  await step("what waits for it grows while writes and reads go on", async () => {
    const seen = [];
    for (let i = 0; i < 3; i += 1) {
      await write();
      const least = seen.at(-1) ?? 0;
      seen.push(await until(`more than ${least} pending`, async () => {
        const n = number(await cell(watch, "n2", "operations"));
        return n !== null && n > least ? n : null;
      }));
    }
    note(`pending operations seen: ${seen.join(", ")}`);
    if (!/^\d/.test(await cell(watch, "n2", "bytes"))) throw new Error("their bytes are not shown");
    if (!/^\d/.test(await cell(watch, "n2", "oldest"))) throw new Error("the age of the oldest is not shown");
    await watch.locator(".pill", { hasText: "n2" }).getByText(/^\d/).waitFor();
  });

  await step("it returns: ready again, and nothing waits", async () => {
    await cluster("start", "n2");
    await watch.locator("tr[data-node=n2][data-state=ready]").waitFor({ timeout: 60_000 });
    await until("an empty queue", async () => number(await cell(watch, "n2", "operations")) === 0);
    await until("no lag", async () => number(await cell(watch, "n2", "lag")) === 0);
    await write();
  });

  await step("the events tell of it", async () => {
    await watch.locator(".events li", { hasText: /n2/ }).first().waitFor();
  });
  await account.leave(watch, () => watch.close());
  await account.leave(work, () => work.close());
}

/** A browser whose clock and whose answers the test holds, with an account of its own: the failures here are made. */
export async function staleSteps() {
  const browser = await startBrowser(process.env.MODULES);
  try {
    await staleStory(browser, new Account());
  } finally {
    await browser.close();
  }
}

async function staleStory(browser, account) {
  const page = await browser.open(account);
  let asked = 0;
  let answer = null;
  await page.clock.install();
  await page.route("**/v1/pool", async (route) => {
    asked += 1;
    if (answer) await route.fulfill(answer);
    else await route.continue();
  });
  const tick = async (ms) => {
    await page.clock.runFor(ms);
  };
  const freshness = page.locator(".freshness");

  await step("fresh data says so, and who told it", async () => {
    await page.goto(`${url}/index2.html#/nodes`);
    await freshness.getByText(/^Live, told by n\d$/).waitFor();
  });

  await step("when answers fail, what was known stays and says its age", async () => {
    answer = { status: 503, contentType: "application/problem+json",
      body: JSON.stringify({ title: "There is no master that can be reached", status: 503, code: "master_unreachable" }) };
    const before = asked;
    await until("a failed answer", async () => {
      await tick(1000);
      return asked > before + 1;
    });
    await tick(14_000);
    await freshness.getByText(/^Updated \d+ s ago by n\d · There is no master that can be reached$/).waitFor();
  });
  is(await page.locator("tr[data-node]").count(), 3, "no node vanished");
  ok(await page.locator("section[data-stale]").count() === 1, "and the table looks stale");

  await step("unknown is shown as ?, never as 0", async () => {
    answer = { status: 200, contentType: "application/json", headers: { "DDB-Node": "n3" }, body: JSON.stringify({ epoch: null,
      master: { name: "n1", url: null }, slaves: [{ name: "n2", url: null, state: null, since: null, last_error: null,
        pending: { operations: null, bytes: null, oldest_ms: null }, databases: null }] }) };
    await until("the unknown node", async () => {
      await tick(1000);
      return await page.locator("tr[data-node=n2][data-state=unknown]").count() === 1;
    });
  });
  const shown = {};
  for (const name of ["lag", "operations", "bytes", "oldest", "since", "error"]) shown[name] = await cell(page, "n2", name);
  is(shown, { lag: "?", operations: "?", bytes: "?", oldest: "?", since: "?", error: "?" }, "in every cell");
  is(await page.locator("tr[data-node]").count(), 2, "a node that left the pool leaves the table");

  await step("a hidden page asks nothing; shown again, it asks at once", async () => {
    const hide = (hidden) => page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await hide(true);
    await tick(2000);
    const before = asked;
    await tick(20_000);
    if (asked !== before) throw new Error(`${asked - before} requests while hidden`);
    await hide(false);
    await until("a request after it is shown again", () => asked > before);
  });
  is([account.violations, account.consoleErrors], [[], []], "all this without a violation or an error of the page");
}
