// What an answer draws on: a list below it, each source of which opens in place.

import { documentText, nameOfDocument } from "./document-entry.js";
import { el } from "./dom.js";
import { highlighted } from "./excerpt.js";
import { format, messages } from "./messages.js";
import { gradeBadge, scoreText } from "./score.js";

const words = messages.chat.talk;
const DECIMALS = 2;

export class Sources {
  #items = new Map(); // The <details> of each source, by its number.
  element = el("section", { class: "sources", "aria-label": words.sources_label });

  /** `narrow(key, value)` is called for a condition that is pressed. */
  constructor(sources, narrow) {
    const rows = sources.map((source) => {
      const item = itemOf(source, narrow);
      this.#items.set(source.number, item);
      return el("li", {}, item);
    });
    this.element.append(
      el("p", { class: "sources__heading", "aria-hidden": "true" }, format(words.sources, { count: sources.length })),
      el("ol", { class: "sources__list" }, ...rows));
  }

  /** A button that opens a source, or undefined where there is none of that number. */
  citation(number) {
    const item = this.#items.get(number);
    if (!item) return undefined;
    const title = item.dataset.title;
    const button = el("button", {
      class: "cite", type: "button", title, "aria-label": format(words.source, { number, title }),
    }, `[${number}]`);
    button.addEventListener("click", () => open(item));
    return button;
  }
}

function open(item) {
  item.open = true;
  item.querySelector("summary").focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}

function itemOf({ number, document, passage, similarity, grade }, narrow) {
  const { start = 0 } = document; // Of a text that was shortened.
  const place = passage.field === "text" ? { ...passage, start: passage.start - start, end: passage.end - start } : passage;
  const inTitle = passage.field === "title" && document.title;
  const name = nameOfDocument(document);
  return el("details", { class: "source", "data-title": name },
    el("summary", { class: "source__head" },
      el("span", { class: "source__number" }, String(number)),
      el("span", { class: "source__title entry" }, ...(inTitle ? highlighted(document.title, passage) : [document.title || name])),
      el("span", { class: "source__score" },
        el("span", { class: "visually-hidden" }, `${messages.chat.similarity} `), scoreText(similarity, DECIMALS)),
      gradeBadge(grade)),
    documentText({ ...document, title: "" }, place, narrow));
}
