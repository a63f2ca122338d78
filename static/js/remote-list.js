// A list whose items the server sends a page at a time.

import { el } from "./dom.js";

export class RemoteList {
  #list;
  #fetchPage;
  #failed;
  #busy = false;

  /** The button for the next page; it belongs below the list. */
  more = el("button", { class: "more", type: "button", hidden: true });

  /**
   * `list` is the element that takes the items, which must be focusable.
   * `fetchPage(offset)` gives `{items, more}`: elements, and what the button says, or null where nothing is left.
   * `failed(error)` hears of a next page that did not come.
   */
  constructor(list, fetchPage, failed) {
    this.#list = list;
    this.#fetchPage = fetchPage;
    this.#failed = failed;
    this.more.addEventListener("click", () => this.#extend());
  }

  /** Shows a page that is here already below what is shown. */
  append({ items, more }) {
    this.#list.append(...items);
    this.more.textContent = more;
    this.more.hidden = more === null;
  }

  async #extend() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const page = await this.#fetchPage(this.#list.children.length);
      this.append(page);
      page.items[0]?.focus(); // The button may be gone, and the reader goes on at the first new item.
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#busy = false;
    }
  }
}
