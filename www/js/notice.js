// What the page says: errors stay where they belong until dismissed; successes fade; both are read out.
import { el, fill, setText } from "./dom.js";
import { Problem } from "./api.js";

const FADE_MS = 5000;

/** Says a sentence to screen readers, without moving anything. */
export function announce(text) {
  setText(document.getElementById("live"), text);
}

/** A success: shown for a few seconds, and read out. */
export function success(text) {
  const toast = el("p", { class: "toast" }, text);
  document.getElementById("toasts").append(toast);
  announce(text);
  setTimeout(() => toast.classList.add("is-leaving"), FADE_MS);
  setTimeout(() => toast.remove(), FADE_MS + 400);
}

/** A place for the errors of one form or view. */
export class NoticeSlot {
  element = el("div", { class: "slot" });

  clear() {
    fill(this.element);
  }

  /** Shows an error in place of the last one. @param {Error} error @param {string} [sql] the text it points into */
  show(error, sql) {
    const problem = error instanceof Problem ? error : inputError(error);
    const dismiss = el("button", { type: "button", class: "quiet dismiss", "aria-label": "Dismiss this message",
      onclick: () => this.clear() }, "✕");
    fill(this.element, el("div", { class: "notice is-bad", role: "alert" },
      el("div", { class: "notice-text" },
        el("strong", {}, problem.title),
        problem.detail && problem.detail !== problem.title && el("p", {}, problem.detail),
        pointer(problem, sql),
        el("p", { class: "code" }, [problem.status || null, problem.code || null].filter(Boolean).join(" · "))),
      dismiss));
    this.element.scrollIntoView({ block: "nearest" });
  }
}

// A TypeError here is what a field's check said; anything else is a mistake of this page and must be seen as one.
function inputError(error) {
  if (error instanceof TypeError && error.isInput) return new Problem({ title: error.message });
  console.error(error);
  return new Problem({ title: "The page itself failed", detail: String(error), code: "page_error" });
}

/** Marks an error as the user's input, so that it is shown as such. */
export function badInput(message) {
  return Object.assign(new TypeError(message), { isInput: true });
}

// The line of the SQL text that the server's byte offset points at, with a mark under the place.
function pointer({ doc }, sql) {
  const which = Number.isInteger(doc.statement) && doc.statement > 0 ? el("p", {}, `In statement ${doc.statement + 1}.`) : null;
  if (typeof sql !== "string" || !Number.isInteger(doc.offset) || doc.offset < 0) return which;
  const before = new TextDecoder().decode(new TextEncoder().encode(sql).subarray(0, doc.offset));
  const start = before.lastIndexOf("\n") + 1;
  const line = sql.slice(start).split("\n", 1)[0];
  return [which, el("pre", { class: "pointer" }, `${line}\n${" ".repeat(before.length - start)}▲`)];
}

/**
 * Runs what a button asks for: the button is off meanwhile, an error goes to the slot, input is left as it is.
 * @returns {Promise<boolean>} whether it went well
 */
export async function attempt(slot, button, action, sql) {
  slot.clear();
  if (button) button.disabled = true;
  try {
    await action();
    return true;
  } catch (error) {
    slot.show(error, sql);
    return false;
  } finally {
    if (button) button.disabled = false;
  }
}
