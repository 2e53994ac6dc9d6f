// Modal questions, by the browser's own <dialog>: Esc closes, the focus stays inside and goes back afterwards.
import { el, newId } from "./dom.js";
import { attempt, NoticeSlot } from "./notice.js";

/**
 * Opens a form in a dialog. `run` is called on submit; while it fails, the dialog stays with its input and the error.
 * @param {{title: string, body: Node[], action: string, danger?: boolean, run: () => Promise<void>}} question
 */
export function openForm({ title, body, action, danger = false, run }) {
  const id = newId("dialog");
  const slot = new NoticeSlot();
  const go = el("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
  const dialog = el("dialog", { class: "dialog", "aria-labelledby": id });
  const submit = async (event) => {
    event.preventDefault();
    if (await attempt(slot, go, run)) dialog.close();
  };
  dialog.append(el("form", { onsubmit: submit },
    el("h2", { id }, title),
    ...body,
    slot.element,
    el("div", { class: "actions" }, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), go)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, go };
}

/** Asks to type a name before something that cannot be taken back. */
export function confirmTyped({ title, text, name, action, run }) {
  const id = newId("confirm");
  const input = el("input", { id, autocomplete: "off", spellcheck: "false", autofocus: true });
  const { go } = openForm({
    title, action, danger: true, run,
    body: [el("p", {}, text),
      el("label", { class: "field", for: id }, el("span", {}, "Type ", el("code", {}, name), " to confirm"), input)],
  });
  go.disabled = true;
  input.addEventListener("input", () => { go.disabled = input.value !== name; });
}

/** Asks yes or no. */
export function confirm({ title, body, action, run }) {
  openForm({ title, body, action, danger: true, run });
}
