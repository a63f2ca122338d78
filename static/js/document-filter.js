// Which documents count: conditions on their metadata, as the API's filter.

import { byId, el } from "./dom.js";
import { showProblem } from "./field.js";
import { format, messages } from "./messages.js";

const words = messages.chat.filter;
const OFFERED = "type"; // The key whose values are offered, where documents have it.
const MOST_OFFERED = 24;

export class DocumentFilter {
  #filter = {};
  #offered = new Set();
  #input = byId("condition");
  #changed;

  /** `changed(filter)` is called when somebody changes a condition. */
  constructor(changed) {
    this.#changed = changed;
    byId("filter").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#addTyped();
    });
    this.#input.addEventListener("input", () => showProblem(this.#input, null));
  }

  show(filter) {
    this.#filter = filter;
    this.#draw();
  }

  /** Offers the values that documents have. */
  learn(documents) {
    for (const { metadata } of documents) {
      for (const value of [metadata[OFFERED] ?? []].flat()) {
        if (this.#offered.size < MOST_OFFERED) this.#offered.add(String(value));
      }
    }
    this.#draw();
  }

  /** Forgets what was offered: those are another collection's values. */
  reset() {
    this.#offered.clear();
    showProblem(this.#input, null);
    this.#input.value = "";
  }

  /** Documents whose key has one of several values count together. */
  add(key, value) {
    const values = valuesOf(this.#filter[key] ?? []) ?? [];
    if (!values.includes(value)) this.#set(key, [...values, value]);
  }

  /** Adds a condition and goes to its chip. */
  narrow(key, value) {
    this.add(key, value);
    [...byId("filter-chips").children].find((chip) => chip.dataset.condition === `${key}=${value}`)?.focus();
  }

  #toggle(key, value) {
    const values = valuesOf(this.#filter[key] ?? []) ?? [];
    if (values.includes(value)) this.#set(key, values.filter((one) => one !== value));
    else this.add(key, value);
  }

  #set(key, values) {
    const { [key]: _, ...others } = this.#filter;
    const condition = values.length === 1 ? values[0] : values;
    this.#changed(values.length > 0 ? { ...others, [key]: condition } : others);
  }

  #addTyped() {
    const [, key, value] = /^\s*([^=]+?)\s*=\s*(.+?)\s*$/s.exec(this.#input.value) ?? [];
    showProblem(this.#input, key ? null : words.invalid);
    if (!key) {
      this.#input.focus();
      return;
    }
    this.#input.value = "";
    this.add(key, value);
  }

  /** The chips are made anew; the one that has the focus keeps it, or hands it to the field where it is gone. */
  #draw() {
    const place = byId("filter-chips");
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.condition : undefined;
    const chips = [...this.#offeredChips(), ...this.#otherChips()];
    if (Object.keys(this.#filter).length > 1) chips.push(this.#forgetButton());
    place.replaceChildren(...chips);
    if (focused !== undefined) (chips.find((chip) => chip.dataset.condition === focused) ?? this.#input).focus();
  }

  #offeredChips() {
    const chosen = valuesOf(this.#filter[OFFERED] ?? []) ?? [];
    return [...this.#offered].map((value) => {
      const chip = this.#chip(OFFERED, value, value, () => this.#toggle(OFFERED, value));
      chip.setAttribute("aria-pressed", chosen.includes(value));
      return chip;
    });
  }

  /** Conditions in force that are not offered anyhow. */
  #otherChips() {
    return Object.entries(this.#filter).flatMap(([key, condition]) => {
      const values = valuesOf(condition);
      if (!values) return [this.#dropChip(key, JSON.stringify(condition), () => this.#set(key, []))];
      const others = values.filter((value) => key !== OFFERED || !this.#offered.has(value));
      return others.map((value) => this.#dropChip(key, value, () => this.#toggle(key, value)));
    });
  }

  #dropChip(key, value, act) {
    const chip = this.#chip(key, value, `${key}=${value}`, act);
    chip.classList.add("chip--drop");
    chip.setAttribute("aria-label", format(words.drop, { key, value }));
    return chip;
  }

  #chip(key, value, text, act) {
    const chip = el("button", { class: "chip", type: "button", "data-condition": `${key}=${value}` }, text);
    chip.addEventListener("click", act);
    return chip;
  }

  #forgetButton() {
    const button = el("button", { class: "text-button", type: "button" }, words.forget);
    button.addEventListener("click", () => {
      this.#input.focus();
      this.#changed({});
    });
    return button;
  }
}

/** The values of which a condition takes any, as texts, which is how the API compares them; null for a range. */
function valuesOf(condition) {
  const values = [condition].flat();
  return values.some((value) => value instanceof Object) ? null : values.map(String);
}
