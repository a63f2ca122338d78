// How a document looks in a list.

import { el } from "./dom.js";
import { excerpt, highlighted } from "./excerpt.js";
import { format, messages } from "./messages.js";

const words = messages.chat;
const LONGEST_NAME = 40;

/** What a document is called where there is room for a line only: its title, or how its text begins. */
export function nameOfDocument({ title, text }) {
  const name = (title || text).trim();
  if (name === "") return words.untitled;
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME).trimEnd()}…` : name;
}

/**
 * Title and text, with the passage marked that was found, and what else is known of the document.
 *
 * `passage` is the API's `{field, start, end}`, or undefined; `narrow(key, value)` is called for a condition that is
 * pressed.
 */
export function documentText({ title, text, metadata }, passage, narrow) {
  const heading = passage?.field === "title" ? highlighted(title, passage) : [title];
  return el("div", { class: "ranking__text entry" },
    ...(title ? [el("h3", { class: "entry__title" }, ...heading)] : []),
    ...excerpt(text, passage?.field === "text" ? passage : undefined),
    tags(metadata, passage, narrow));
}

function tags(metadata, passage, narrow) {
  // The mark tells the eye alone.
  const found = passage ? [el("li", { class: "visually-hidden" }, words[`${passage.field}_match`])] : [];
  const conditions = Object.entries(metadata).flatMap(([key, value]) =>
    [value].flat().map((one) => el("li", {}, tag(key, String(one), narrow))));
  return el("ul", { class: "entry__tags" }, ...found, ...conditions);
}

function tag(key, value, narrow) {
  const button = el("button", { class: "entry__tag", type: "button", title: format(words.filter.only, { key, value }) },
    el("span", { class: "entry__key" }, key), " ", value);
  button.addEventListener("click", () => narrow(key, value));
  return button;
}
