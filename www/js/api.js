// The HTTP API, called on the page's own origin. One function per call; every failure is a Problem.
import * as json from "./json.js";
import { Positions } from "./positions.js";

/** An error for people: an RFC 9457 problem document, or what the page knows when none came. */
export class Problem extends Error {
  /** @param {{title: string, detail?: string, code?: string, status?: number}} doc other members are kept in `doc` */
  constructor(doc) {
    super(doc.detail || doc.title);
    this.title = doc.title;
    this.detail = doc.detail ?? "";
    this.code = doc.code ?? "";
    this.status = doc.status ?? 0;
    this.doc = doc;
  }
}

/** Event "read" (detail: {node, db, epoch, seq, ms}) after each answer of data by `read`. */
export const traffic = new EventTarget();

const positions = new Positions();
const JSON_TYPE = "application/json";
const path = (...parts) => parts.map(encodeURIComponent).join("/");
const dbPath = (db, ...rest) => `/v1/db/${path(db, ...rest)}`;

/**
 * One request.
 * @param {{scope?: string, body?: any, search?: Object, isRead?: boolean, timeout?: number}} options
 *   scope: the database whose position the answer carries, and that a read must have reached
 * @returns {Promise<{data: any, node: string|null, status: number}>}
 */
async function call(method, url, { scope, body, search, isRead = method === "GET", timeout } = {}) {
  const headers = { accept: `${JSON_TYPE}, application/problem+json` };
  if (body !== undefined) headers["content-type"] = JSON_TYPE;
  const wanted = scope && isRead ? positions.get(scope) : null;
  if (wanted) headers["ddb-min-seq"] = wanted;
  const query = new URLSearchParams(search).toString();
  let response;
  let text;
  try {
    response = await fetch(query ? `${url}?${query}` : url, {
      method, headers, cache: "no-store", redirect: "error",
      body: body === undefined ? undefined : json.write(body),
      signal: timeout ? AbortSignal.timeout(timeout) : undefined,
    });
    text = await response.text();
  } catch (error) {
    throw noAnswer(error, isRead);
  }
  const data = parse(text, response);
  if (!response.ok) {
    if (data?.code === "position_lost") positions.forget(scope);
    throw new Problem({ title: `HTTP ${response.status}`, ...data, status: response.status });
  }
  const position = response.headers.get("ddb-seq");
  if (scope && position && !isRead) positions.advance(scope, position);
  return { data, node: response.headers.get("ddb-node") ?? data?.node ?? null, status: response.status };
}

function noAnswer(error, isRead) {
  const late = error.name === "TimeoutError";
  return new Problem({
    code: late ? "timeout" : "no_answer",
    title: late ? "No answer in time" : "No answer",
    detail: isRead ? "The server could not be reached, or it closed the connection. Try again."
      : "The connection broke before the answer came. The change may have been made or not: look before you repeat it.",
  });
}

// nginx and HAProxy answer some failures themselves, as HTML or as nothing.
function parse(text, response) {
  const type = response.headers.get("content-type") ?? "";
  if (!/[/+]json\b/.test(type)) {
    return response.ok ? text : { detail: "The answer was not from DDB itself, but from a server in front of it." };
  }
  try {
    return json.parse(text);
  } catch {
    throw new Problem({ title: "Damaged answer", code: "bad_answer", status: response.status,
      detail: "The answer ended early or is not JSON. Try again." });
  }
}

/** A call whose answer comes from a database: tells the page which node gave it. */
async function read(method, url, options = {}) {
  const started = performance.now();
  const { data, node } = await call(method, url, { ...options, isRead: true });
  const { epoch = null, seq = null, ms = performance.now() - started } = data ?? {};
  traffic.dispatchEvent(new CustomEvent("read", { detail: { node, db: options.scope ?? null, epoch, seq, ms } }));
  return data;
}

const change = async (method, url, options) => (await call(method, url, { ...options, isRead: false })).data;

// Which databases there are stands in the system database; a cookie carries how far this browser has changed that.
export const listDatabases = () => read("GET", "/v1/db");
export const createDatabase = (db) => change("PUT", dbPath(db), { scope: db });
export const dropDatabase = async (db) => {
  const answer = await change("DELETE", dbPath(db));
  positions.forget(db);
  return answer;
};

/** @param {{sql: string, params?: any}} statement */
export const query = (db, statement) => read("POST", dbPath(db, "query"), { scope: db, body: statement });
/** @param {{sql: string, params?: any}|{statements: any[]}} operation */
export const execute = (db, operation) => change("POST", dbPath(db, "execute"), { scope: db, body: operation });

export const listTables = (db) => read("GET", dbPath(db, "tables"), { scope: db });
export const describeTable = (db, table) => read("GET", dbPath(db, "tables", table), { scope: db });

/** @param {{limit?: number, after?: string, order?: string}} search */
export const listRows = (db, table, search) => read("GET", dbPath(db, "tables", table, "rows"), { scope: db, search });
export const insertRow = (db, table, row) => change("POST", dbPath(db, "tables", table, "rows"), { scope: db, body: row });
export const patchRow = (db, table, key, changes) =>
  change("PATCH", dbPath(db, "tables", table, "rows", key), { scope: db, body: changes });
export const deleteRow = (db, table, key) => change("DELETE", dbPath(db, "tables", table, "rows", key), { scope: db });

/** The pool and the answering node's own report. Both may be behind or absent: the caller keeps what it had. */
export const pool = () => call("GET", "/v1/pool", { timeout: 3000 });
export const status = () => call("GET", "/status", { timeout: 3000 });
export const events = (limit) => call("GET", "/v1/events", { search: { limit }, timeout: 3000 });
