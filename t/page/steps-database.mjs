// Databases and tables: made, looked at, dropped.
import { url } from "./cluster.mjs";
import { is, step } from "./tap.mjs";

export async function databaseSteps(page, account, db) {
  await step("the first Tab leads to the skip link, and it to the content", async () => {
    await page.locator("#strip .pill").first().waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    if (await page.evaluate(() => document.activeElement.id) !== "main") throw new Error("the focus is elsewhere");
  });

  await step("all nodes are shown with role and state", async () => {
    for (const [name, role, state] of [["n1", "master", "master"], ["n2", "slave", "ready"], ["n3", "slave", "ready"]]) {
      const row = page.locator(`tr[data-node=${name}][data-state=${state}]`);
      await row.waitFor();
      await row.getByText(role, { exact: true }).first().waitFor();
    }
  });

  await step("a database name that is not allowed is stopped in the form, and stays there", async () => {
    const name = page.getByLabel("New database");
    await name.fill("1 bad");
    await page.getByRole("button", { name: "Create database" }).click();
    const isValid = await name.evaluate((input) => input.checkValidity());
    if (isValid || await name.inputValue() !== "1 bad") throw new Error("it was taken, or lost");
  });

  await step("a database is created, and opened", async () => {
    await page.getByLabel("New database").fill(db);
    await page.getByLabel("New database").press("Enter");
    await page.getByRole("heading", { name: db, level: 1 }).waitFor();
    await page.getByText("No table yet.").waitFor();
  });

  await step("it stands in the list with its size, and the list can be refreshed", async () => {
    await page.getByRole("link", { name: "Databases", exact: true }).first().click();
    const row = page.getByRole("row", { name: db });
    await row.waitFor();
    await page.getByRole("button", { name: "Refresh" }).click();
    await row.getByRole("link", { name: db }).waitFor();
    await page.locator("#last-read", { hasText: /Last read: n\d/ }).waitFor();
  });

  await step("Drop in the list asks, and Esc leaves the database alone", async () => {
    await page.getByRole("button", { name: `Drop ${db}` }).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("row", { name: db }).getByRole("link").click();
    await page.getByRole("heading", { name: db, level: 1 }).waitFor();
  });

  await tableSteps(page, account, db);
}

async function tableSteps(page, account, db) {
  const preview = page.locator("#new-table-sql");
  const column = (n) => page.getByRole("group", { name: `Column ${n}` });

  await step("the form of a new table shows its SQL while it grows", async () => {
    await page.getByRole("link", { name: "New table" }).click();
    await page.getByLabel("Table", { exact: true }).fill("people");
    await column(2).getByLabel("Column", { exact: true }).fill("name");
    await column(2).getByLabel("Not null").check();
    for (const [n, name, type] of [[3, "age", "INTEGER"], [4, "score", "REAL"], [5, "photo", "BLOB"], [6, "gone", "TEXT"]]) {
      await page.getByRole("button", { name: "Add column" }).click();
      await column(n).getByLabel("Column", { exact: true }).fill(name);
      await column(n).getByLabel("Type").selectOption(type);
    }
    await column(3).getByLabel("Default").fill("18");
    await page.getByRole("button", { name: "Remove column 6" }).click();
    await page.getByRole("button", { name: "Add column" }).click();
    await column(7).getByLabel("Column", { exact: true }).fill("email");
    await column(7).getByLabel("Unique").check();
    await page.getByLabel(/^Strict/).check();
    await page.getByLabel(/^Strict/).uncheck();
  });
  is(await preview.textContent(), `create table people (
  id INTEGER primary key,
  name TEXT not null,
  age INTEGER default 18,
  score REAL,
  photo BLOB,
  email TEXT unique
)`, "the SQL is what the form says");

  await step("Create table creates it, and opens it", async () => {
    await page.getByRole("button", { name: "Create table" }).click();
    await page.getByRole("heading", { name: "people", level: 1 }).waitFor();
    await page.getByText("No row yet.").waitFor();
  });

  await step("a table that exists already is an error at the form; the input is kept; it stays until dismissed", async () => {
    await page.goto(`${url}/index2.html#/db/${db}/new-table`);
    await page.getByLabel("Table", { exact: true }).fill("people");
    await page.getByRole("button", { name: "Remove column 2" }).click();
    account.expect(400, "/execute");
    await page.getByRole("button", { name: "Create table" }).click();
    const alert = page.getByRole("alert");
    await alert.getByText(/already exists/).waitFor();
    await alert.getByText(/400 · sql_error/).waitFor();
    if (await page.getByLabel("Table", { exact: true }).inputValue() !== "people") throw new Error("the input is lost");
    await alert.getByRole("button", { name: "Dismiss this message" }).click();
    await alert.waitFor({ state: "detached" });
  });

  await step("the form can be taken to the SQL box", async () => {
    await page.getByLabel("Table", { exact: true }).fill("notes");
    await page.getByRole("button", { name: "Edit as SQL" }).click();
    const box = page.getByRole("textbox", { name: "SQL" });
    await box.waitFor();
    if (!/^create table notes \(\s+id INTEGER primary key\s+\)$/.test(await box.inputValue())) throw new Error(await box.inputValue());
    await box.fill("create table notes (body text)");
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator(".summary", { hasText: /written by the master at \d+\.\d+/ }).waitFor();
  });

  await step("the tables are listed, with their schema", async () => {
    await page.getByRole("link", { name: "Tables" }).click();
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByRole("link", { name: "notes", exact: true }).waitFor();
    await page.getByRole("link", { name: "Schema of people" }).click();
    const columns = page.getByRole("table", { name: "Columns" });
    await columns.getByRole("row", { name: /^age INTEGER 18/ }).waitFor();
    await page.getByRole("table", { name: "Indexes" }).getByRole("row", { name: /email yes/ }).waitFor();
    await page.locator("pre.sql", { hasText: /create table people/i }).waitFor();
  });
}
