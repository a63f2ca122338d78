// A list that shows its items a page at a time.

import { el } from "./dom.js";
import { format, messages } from "./messages.js";

const PAGE_SIZE = 50; // Thousands of rows at once make a phone stutter.

export class PagedList {
  #list;
  #itemAt;
  #count = 0;
  #limit = PAGE_SIZE;

  /** The button for the next page; it belongs below the list. */
  more = el("button", { class: "more", type: "button", hidden: true });

  /** `list` is the element that takes the items; `itemAt(index)` makes one of them, which must be focusable. */
  constructor(list, itemAt) {
    this.#list = list;
    this.#itemAt = itemAt;
    this.more.addEventListener("click", () => {
      const next = this.#limit;
      this.#limit += PAGE_SIZE;
      this.show(this.#count);
      list.children[next].focus(); // The button may be gone, and the reader goes on at the first new row.
    });
  }

  /** Tells how many items there are: at least as many as at the last call. */
  show(count) {
    this.#count = count;
    const items = [];
    for (let index = this.#list.children.length; index < Math.min(count, this.#limit); index++) {
      items.push(this.#itemAt(index));
    }
    this.#list.append(...items);
    const left = count - this.#list.children.length;
    this.more.hidden = left === 0;
    this.more.textContent = format(messages.result.more, { count: left });
  }
}
