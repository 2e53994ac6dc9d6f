// Rows: insert, browse, change, delete; with a key, without one, with one of two columns.
import { call, url } from "./cluster.mjs";
import { is, step } from "./tap.mjs";

const LONG = "9223372036854775807";

/** The texts of a grid's cells, without the buttons. */
const cells = (page) => page.locator("table.grid tbody tr").evaluateAll((rows) =>
  rows.map((row) => [...row.querySelectorAll("td:not(.row-actions)")].map((td) => td.textContent)));

const dialogOf = (page) => page.getByRole("dialog");

/** Fills one field of the row form; `kind` chooses what the value is. */
async function fill(page, column, text, kind) {
  const dialog = dialogOf(page);
  if (kind) await dialog.getByLabel(`Kind of ${column}`).selectOption(kind);
  if (text !== null) await dialog.getByLabel(column, { exact: true }).fill(text);
}

async function submit(page, button) {
  await dialogOf(page).getByRole("button", { name: button }).click();
  await dialogOf(page).waitFor({ state: "detached" });
}

export async function rowSteps(page, account, db) {
  const table = (name, search = "") => page.goto(`${url}/index2.html#/db/${db}/table/${name}${search}`);
  await insertSteps(page, account, db, table);
  await changeSteps(page, account, db, table);
  await keylessSteps(page, db, table);
  await pagingSteps(page, account, db, table);
}

async function insertSteps(page, account, db, table) {
  await step("a row that breaks a constraint stays in its form, with the reason", async () => {
    await table("people");
    await page.getByRole("button", { name: "Insert row" }).click();
    await fill(page, "name", null, "null");
    await fill(page, "age", "30");
    account.expect(409, "/rows");
    await dialogOf(page).getByRole("button", { name: "Insert" }).click();
    await dialogOf(page).getByRole("alert").getByText(/NOT NULL/).waitFor();
    if (await dialogOf(page).getByLabel("age", { exact: true }).inputValue() !== "30") throw new Error("the input is lost");
  });

  await step("what is no number is said so, at once", async () => {
    await fill(page, "age", "thirty", "number");
    await dialogOf(page).getByRole("button", { name: "Insert" }).click();
    await dialogOf(page).getByText("age: This is not a number.").waitFor();
  });

  await step("with its input mended the row is inserted", async () => {
    await fill(page, "name", "Ada “Countess” Lovelace\nsecond line", "text");
    await fill(page, "age", LONG, "number");
    await fill(page, "score", "1.0");
    await fill(page, "photo", "00 ff 10", "blob");
    await submit(page, "Insert");
    await page.locator(".toast", { hasText: /1 row inserted, seq \d+/ }).waitFor();
    await page.locator("table.grid tbody tr").first().waitFor();
  });
  is(await cells(page), [["1", "Ada “Countess” Lovelace\nsecond line", LONG, "1.0", "BLOB · 3 bytes", "NULL"]],
    "and is shown as it is, the long integer to its last digit");

  await step("a row of defaults", async () => {
    await page.getByRole("button", { name: "Insert row" }).click();
    await fill(page, "name", "");
    await fill(page, "name", "", "text");
    await submit(page, "Insert");
    await page.getByRole("button", { name: "Edit row 2" }).waitFor();
  });
  is((await cells(page))[1], ["2", "empty text", "18", "NULL", "NULL", "NULL"], "NULL, the default and empty text can be told apart");
  const { results: [{ rows }] } = await call("POST", `/v1/db/${db}/execute`,
    { sql: "select typeof(age), age = 9223372036854775807, typeof(score), hex(photo), typeof(email) from people where id = 1" });
  is(rows, [["integer", 1, "real", "00FF10", "null"]], "the database holds the same");
}

async function changeSteps(page, account, db, table) {
  await step("an edit that changes nothing is not sent", async () => {
    await table("people");
    await page.getByRole("button", { name: "Edit row 1" }).click();
    await dialogOf(page).getByRole("button", { name: "Save" }).click();
    await dialogOf(page).getByText("Nothing was changed.").waitFor();
    await dialogOf(page).getByRole("button", { name: "Cancel" }).click();
    await dialogOf(page).waitFor({ state: "detached" });
  });

  await step("an edit changes what was changed alone", async () => {
    await page.getByRole("button", { name: "Edit row 1" }).click();
    await fill(page, "score", null, "null");
    await fill(page, "email", "ada@example.org");
    await submit(page, "Save");
    await page.getByText("ada@example.org").waitFor();
  });
  is((await cells(page))[0], ["1", "Ada “Countess” Lovelace\nsecond line", LONG, "NULL", "BLOB · 3 bytes", "ada@example.org"],
    "the rest is as it was, the long integer too");

  await step("a row that somebody else deleted is said to be gone, and the edit is kept", async () => {
    await page.getByRole("button", { name: "Edit row 2" }).click();
    await fill(page, "name", "late");
    await call("DELETE", `/v1/db/${db}/tables/people/rows/2`);
    account.expect(404, "/rows/2");
    await dialogOf(page).getByRole("button", { name: "Save" }).click();
    await dialogOf(page).getByRole("alert").getByText(/row_not_found/).waitFor();
    if (await dialogOf(page).getByLabel("name", { exact: true }).inputValue() !== "late") throw new Error("the input is lost");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByRole("button", { name: "Edit row 2" }).waitFor({ state: "detached" });
  });

  await step("deleting asks first; Cancel leaves the row", async () => {
    await page.getByRole("button", { name: "Delete row 1" }).click();
    await dialogOf(page).getByText("ada@example.org").waitFor();
    await dialogOf(page).getByRole("button", { name: "Cancel" }).click();
    await dialogOf(page).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Delete row 1" }).click();
    await submit(page, "Delete");
    await page.getByText("No row yet.").waitFor();
  });
}

async function keylessSteps(page, db, table) {
  await step("a table without a key: rows go by rowid", async () => {
    await table("notes");
    for (const body of ["first", "second"]) {
      await page.getByRole("button", { name: "Insert row" }).click();
      await fill(page, "body", body);
      await submit(page, "Insert");
      await page.getByText(body).waitFor();
    }
    await page.getByRole("button", { name: "Edit row 2" }).click();
    await fill(page, "body", "changed");
    await submit(page, "Save");
    await page.getByText("changed").waitFor();
    await page.getByRole("button", { name: "Delete row 1" }).click();
    await submit(page, "Delete");
    await page.getByText("first").waitFor({ state: "detached" });
  });
  is(await cells(page), [["2", "changed"]], "the right row was changed, the right one deleted");

  await step("a key of two columns, one of them text that is no plain word", async () => {
    await call("POST", `/v1/db/${db}/execute`, { statements: ["create table pairs(a integer, b text, n integer, primary key(a, b)) without rowid",
      "insert into pairs values(1, '..', 10), (1, 'x/y ?', 20), (2, 'x/y ?', 30)"] });
    await table("pairs");
    await page.getByRole("button", { name: "Edit row 1, x/y ?" }).click();
    await fill(page, "n", "21");
    await submit(page, "Save");
    await page.getByText("21", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Delete row 1, .." }).click();
    await submit(page, "Delete");
    await page.getByRole("button", { name: "Edit row 1, .." }).waitFor({ state: "detached" });
  });
  is(await cells(page), [["1", "x/y ?", "21"], ["2", "x/y ?", "30"]], "the right row was changed, the right one deleted");
}

async function pagingSteps(page, account, db, table) {
  await call("POST", `/v1/db/${db}/execute`, { sql: `insert into people(id, name, age)
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 120) select i, 'name ' || i, 200 - i from n` });
  const at = (id) => page.locator("table.grid tbody tr:first-child td:first-child", { hasText: new RegExp(`^${id}$`) }).waitFor();

  await step("pages go forward by key, and back", async () => {
    await table("people");
    await at(1);
    await page.getByRole("link", { name: "Next" }).click();
    await at(51);
    await page.getByRole("link", { name: "Next" }).click();
    await at(101);
    await page.getByText("20 rows here").waitFor();
    if (await page.getByRole("link", { name: "Next" }).count()) throw new Error("the last page has a next one");
    await page.getByRole("link", { name: "Previous" }).click();
    await at(51);
    const here = page.url();
    await account.leave(page, () => page.reload());
    await at(51);
    if (page.url() !== here) throw new Error("the page of rows has no address of its own");
    await page.getByRole("link", { name: "First page" }).click();
    await at(1);
  });

  await step("a click on a head sorts, up, down and not at all, and says so", async () => {
    const head = () => page.getByRole("columnheader", { name: "age" });
    await head().getByRole("button").click();
    await at(120);
    if (await head().getAttribute("aria-sort") !== "ascending") throw new Error("aria-sort is not ascending");
    await head().getByRole("button").click();
    await at(1);
    if (await head().getAttribute("aria-sort") !== "descending") throw new Error("aria-sort is not descending");
    await page.getByRole("link", { name: "Next" }).click();
    await at(51);
    await head().getByRole("button").click();
    await at(1);
    if (await page.locator("[aria-sort]").count()) throw new Error("it still says that it is sorted");
  });
}
