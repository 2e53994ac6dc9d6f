// The page, driven in a browser against a running cluster: every button once, then a slave is killed while it watches.
// From the environment: DDB_URL, DDB_DIR, DDB_CLUSTER (the script), MODULES (where playwright-core is installed),
// SHOTS (a folder for pictures). t/75-page.t sets all of it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Account, startBrowser } from "./browser.mjs";
import { call, until, url } from "./cluster.mjs";
import { databaseSteps } from "./steps-database.mjs";
import { rowSteps } from "./steps-rows.mjs";
import { sqlSteps } from "./steps-sql.mjs";
import { nodeSteps, staleSteps } from "./steps-nodes.mjs";
import { done, is, note, ok, step, StepFailed } from "./tap.mjs";

const account = new Account();
const shots = process.env.SHOTS;
mkdirSync(shots, { recursive: true });

/** Each view in each dress: nothing may be wider than the window; the pictures are for people. */
async function dressSteps(browser, db) {
  const views = { home: "#/", nodes: "#/nodes", tables: `#/db/${db}`, "new-table": `#/db/${db}/new-table`,
    rows: `#/db/${db}/table/people`, schema: `#/db/${db}/table/people/schema`, sql: `#/db/${db}/sql` };
  for (const [dress, options] of Object.entries({ light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, narrow: { width: 320 } })) {
    const page = await browser.open(account, options);
    for (const [name, fragment] of Object.entries(views)) {
      await step(`${name}, ${dress}: nothing is wider than the window`, async () => {
        await page.goto(`${url}/index2.html${fragment}`);
        await page.locator("#strip .pill").first().waitFor();
        await page.waitForFunction(() => !document.querySelector("main .muted")?.textContent.startsWith("Asking"));
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        await page.screenshot({ path: join(shots, `${dress}-${name}.png`), fullPage: true });
        if (over > 0) throw new Error(`${over} pixels too wide`);
      });
    }
    await account.leave(page, () => page.close());
  }
}

async function main() {
  const browser = await startBrowser(process.env.MODULES);
  const db = `page${Date.now().toString(36)}`;
  try {
    const page = await browser.open(account);
    await step("the root leads to the page", async () => {
      const response = await page.goto(`${url}/`);
      const policy = response.headers()["content-security-policy"] ?? "";
      if (!page.url().includes("/index2.html")) throw new Error(`it leads to ${page.url()}`);
      if (!/default-src 'none'.*require-trusted-types-for 'script'/.test(policy)) throw new Error(`policy: ${policy}`);
    });
    await databaseSteps(page, account, db);
    await rowSteps(page, account, db);
    await sqlSteps(page, account, db);
    await dressSteps(browser, db);
    await staleSteps();
    await nodeSteps(browser, account, db);
    await step("dropping the database asks for its name", async () => {
      await page.goto(`${url}/index2.html#/db/${db}`);
      await page.getByRole("button", { name: "Drop database" }).click();
      const dialog = page.getByRole("dialog");
      const drop = dialog.getByRole("button", { name: "Drop database" });
      await dialog.getByRole("textbox").fill(`${db}x`);
      if (!await drop.isDisabled()) throw new Error("a wrong name is taken");
      await dialog.getByRole("textbox").fill(db);
      await drop.click();
      await page.getByText(`Database ${db} dropped.`).first().waitFor();
      await page.getByRole("region", { name: "Databases" }).first().waitFor();
      await until("it is gone from the list", async () =>
        !(await call("GET", "/v1/db")).databases.some((d) => d.name === db));
    });
  } catch (error) {
    if (!(error instanceof StepFailed)) ok(false, "the test came to its end", error.stack);
    await browser.picture(join(shots, "failed"));
  } finally {
    await browser.close();
  }
  is(account.violations, [], "no violation of the content security policy");
  is(account.consoleErrors, [], "no error on the console");
  is(account.failedRequests, [], "no request failed but those that were meant to");
  is(account.missing(), [], "and those all came");
  note(`pictures in ${shots}`);
  process.exitCode = done();
}

await main();
