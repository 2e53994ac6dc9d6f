// Free SQL: reads, writes, scripts, errors; and dropping a table by its name.
import { url } from "./cluster.mjs";
import { is, step } from "./tap.mjs";

export async function sqlSteps(page, account, db) {
  const box = page.getByRole("textbox", { name: "SQL" });
  const run = page.getByRole("button", { name: "Run" });
  const grid = page.locator("section[aria-label=Result] table.grid");
  const summary = (text) => page.locator(".summary", { hasText: text });
  const cells = () => grid.locator("tbody td").allTextContents();

  await step("a read says that it is one, and which node answered", async () => {
    await page.goto(`${url}/index2.html#/db/${db}/sql`);
    await box.fill("select 1 as one, null as none, 'x' as text, x'0102' as bytes, 9007199254740993 as long, 0.1 as real, 1.0 as whole");
    await page.getByText("Runs as a read, on any slave in sync.").waitFor();
    await run.click();
    await summary(/^1 row · .* · read on n[123] at \d+\.\d+$/).waitFor();
  });
  is(await cells(), ["1", "NULL", "x", "BLOB · 2 bytes", "9007199254740993", "0.1", "1.0"], "each value is shown as what it is");

  await step("Ctrl-Enter runs, too; no rows are no error", async () => {
    await box.fill("select * from people where id < 0");
    await box.press("Control+Enter");
    await page.getByText("No rows.").waitFor();
  });

  await step("an error points at its place and stays until dismissed; the text is kept", async () => {
    await box.fill("select 1\nfrom people\nwhere nonsense( id");
    account.expect(400, "/query");
    await run.click();
    const alert = page.getByRole("alert");
    await alert.getByText("400 · sql_error").waitFor();
    if (!(await box.inputValue()).includes("nonsense")) throw new Error("the text is lost");
    await alert.getByRole("button", { name: "Dismiss this message" }).click();
    await alert.waitFor({ state: "detached" });
  });

  await step("a write says that it is one", async () => {
    await box.fill("update people set score = 0.5 where id <= 3 returning id");
    await page.getByText("Runs as a write, on the master.").waitFor();
    await run.click();
    await summary(/^3 rows changed · .* · written by the master at \d+\.\d+$/).waitFor();
  });
  is(await cells(), ["1", "2", "3"], "and shows what it returns");

  await step("a read right after sees it", async () => {
    await box.fill("select count(*) from people where score = 0.5");
    await run.click();
    await summary(/read on n\d/).waitFor();
  });
  is(await cells(), ["3"], "through any slave");

  await step("a script of several statements runs as one, each with its result", async () => {
    await box.fill("create table scratch(a);\ninsert into scratch values(1),(2);\nselect count(*) from scratch;");
    await run.click();
    await page.getByText("Statement 2: 2 rows changed").waitFor();
  });
  is(await cells(), ["2"], "its last statement's rows are there");

  await step("Read only refuses a write", async () => {
    await page.getByRole("radio", { name: "Read only" }).check();
    await box.fill("delete from scratch");
    account.expect(400, "/query");
    await run.click();
    await page.getByRole("alert").getByText(/not_read_only/).waitFor();
    await page.getByRole("radio", { name: "Write" }).check();
    await run.click();
    await summary(/^2 rows changed/).waitFor();
    await page.getByRole("radio", { name: "Auto" }).check();
  });

  await step("an empty box is no request", async () => {
    await box.fill("  ");
    await run.click();
    await page.getByText("There is no SQL to run.").waitFor();
  });

  await step("a table is dropped by its name", async () => {
    await page.goto(`${url}/index2.html#/db/${db}/table/scratch/schema`);
    await page.getByRole("button", { name: "Drop table" }).click();
    await page.getByRole("dialog").getByRole("textbox").fill("scratch");
    await page.getByRole("dialog").getByRole("button", { name: "Drop table" }).click();
    await page.getByRole("heading", { name: db, level: 1 }).waitFor();
    await page.getByRole("link", { name: "people", exact: true }).waitFor();
    if (await page.getByRole("link", { name: "scratch", exact: true }).count()) throw new Error("it is still listed");
  });

  await step("an address that names no view says so and leads back", async () => {
    await page.goto(`${url}/index2.html#/nowhere`);
    await page.getByRole("link", { name: "To the databases" }).click();
    await page.getByRole("heading", { name: "Nodes", exact: true }).waitFor();
  });

  await step("a database that does not exist is an error where its tables would be", async () => {
    account.expect(404, "/tables");
    await page.goto(`${url}/index2.html#/db/nosuchdatabase`);
    await page.getByRole("alert").getByText(/404 · database_unknown/).waitFor();
  });
}
