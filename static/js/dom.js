// Building the page without HTML strings, so that nothing a user typed can become markup.

const SPECIAL = new Set(["class", "hidden"]);

/**
 * An element with attributes and children; strings become text.
 *
 * `el("p", {class: "note", id: "n"}, "text", el("b", {}, "bold"))`
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.className = attributes.class ?? "";
  element.hidden = attributes.hidden ?? false;
  for (const [name, value] of Object.entries(attributes)) {
    if (!SPECIAL.has(name)) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);
