// Making elements without markup text: user data can only ever become text.

/**
 * An element. Attributes: "on…" with a function adds a listener, true is an empty attribute, false/null/undefined is
 * none, `value` and `checked` are set as properties. Children: nodes, texts, arrays of them; null and false are skipped.
 */
export function el(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...flat(children));
  return node;
}

/** Replaces all children. */
export function fill(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

/** Sets a text only when it differs, so that a refresh keeps the reader's selection and stays silent. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets or, with null, removes an attribute, only when it differs. */
export function setAttr(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const flat = (children) => children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false);

let ids = 0;
/** An id not used yet in this document. */
export const newId = (stem) => `${stem}-${++ids}`;
