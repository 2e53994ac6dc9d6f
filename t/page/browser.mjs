// Debian's Chromium under playwright-core, with an account of everything that may not happen: violations of the
// content security policy, errors on the console, requests that failed or were answered with an error.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";

const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** What went wrong in the pages of one browser, except what a test said it would provoke. */
export class Account {
  violations = [];
  consoleErrors = [];
  failedRequests = [];
  #expected = [];
  #leaving = new WeakSet();

  /** The next answer with this status from an address that ends so is meant to be. */
  expect(status, end) {
    this.#expected.push({ status, end, isSeen: false });
  }

  /** Errors that were announced and never came. */
  missing() {
    return this.#expected.filter((e) => !e.isSeen).map((e) => `${e.status} …${e.end}`);
  }

  /** Reloads or closes a tab: what it was asking at that moment is cut off by the test, not by a failure. */
  async leave(page, action) {
    this.#leaving.add(page);
    await action();
    this.#leaving.delete(page);
  }

  watch(page) {
    page.on("console", (message) => this.#heard(message));
    page.on("pageerror", (error) => this.consoleErrors.push(error.stack ?? String(error)));
    page.on("requestfailed", (r) => {
      const why = r.failure()?.errorText;
      if (why !== "net::ERR_ABORTED" || !this.#leaving.has(page)) this.failedRequests.push(`${r.method()} ${r.url()}: ${why}`);
    });
    page.on("response", (r) => this.#answered(r));
  }

  #answered(response) {
    if (response.status() < 400) return;
    const path = new URL(response.url()).pathname;
    const meant = this.#expected.find((e) => !e.isSeen && e.status === response.status() && path.endsWith(e.end));
    if (meant) meant.isSeen = true;
    else this.failedRequests.push(`${response.status()} ${response.request().method()} ${response.url()}`);
  }

  #heard(message) {
    const text = message.text();
    if (text.startsWith("CSP:") || /Content Security Policy|TrustedHTML|Trusted Type/.test(text)) this.violations.push(text);
    // Chromium itself reports an error answer; whether it was meant to be is decided where answers are seen.
    else if (message.type() === "error" && !/^Failed to load resource: the server responded/.test(text)) {
      this.consoleErrors.push(`${text} (${message.location().url})`);
    }
  }
}

/** Starts a browser with a profile of its own. @returns {Promise<{open: Function, close: Function}>} */
export async function startBrowser(modulesFolder) {
  const { chromium } = createRequire(join(modulesFolder, "package.json"))("playwright-core");
  const profile = mkdtempSync(join(tmpdir(), "ddb-page-"));
  const options = { executablePath: "/usr/bin/chromium", headless: true, args: ARGS, viewport: { width: 1200, height: 850 } };
  const context = await chromium.launchPersistentContext(profile, options);
  context.setDefaultTimeout(15_000);
  await context.addInitScript(() => addEventListener("securitypolicyviolation", (e) =>
    console.error(`CSP: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`)));
  return {
    /** A new tab that is held to the account. */
    async open(account, { colorScheme, width } = {}) {
      const page = await context.newPage();
      account.watch(page);
      if (colorScheme) await page.emulateMedia({ colorScheme });
      if (width) await page.setViewportSize({ width, height: 700 });
      return page;
    },
    /** Pictures of all tabs as they are. */
    async picture(stem) {
      for (const [i, page] of context.pages().entries()) await page.screenshot({ path: `${stem}-${i}.png` }).catch(() => {});
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
