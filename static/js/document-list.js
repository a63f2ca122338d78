// The documents of a collection, a page at a time, each with a button that deletes it.

import { deleteDocument, listDocuments } from "./collection.js";
import { confirmed } from "./confirm.js";
import { documentText, nameOfDocument } from "./document-entry.js";
import { byId, el } from "./dom.js";
import { format, messages } from "./messages.js";
import { RemoteList } from "./remote-list.js";

const words = messages.chat;
const PAGE_SIZE = 20;

export class DocumentList {
  #hooks;
  #list;
  #remote;
  #total = 0;
  #shown; // The collection and the filter whose documents are listed.

  /**
   * `came(documents)` sees each page, `deleted(collection)` hears that a document is gone, `failed(error)` what went
   * wrong, and `narrow(key, value)` adds a condition.
   */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /** Lists the documents of a collection that a filter lets through; rejects where they do not come. */
  async show(collection, filter, signal) {
    const first = await listDocuments(collection, { limit: PAGE_SIZE, filter }, signal);
    this.#shown = { collection, filter };
    this.#list = el("ol", { class: "ranking" });
    this.#remote = new RemoteList(this.#list, (offset) => this.#next(offset), this.#hooks.failed);
    this.#remote.append(this.#page(first, 0));
    byId("documents-list").replaceChildren(this.#list, this.#remote.more);
    this.#head();
    byId("documents").hidden = false;
  }

  hide() {
    byId("documents").hidden = true;
  }

  async #next(offset) {
    return this.#page(await listDocuments(this.#shown.collection, { offset, limit: PAGE_SIZE, filter: this.#shown.filter }), offset);
  }

  #page({ documents, total }, offset) {
    this.#total = total;
    this.#hooks.came(documents);
    return { items: documents.map((document) => this.#row(document)), more: this.#label(offset + documents.length) };
  }

  #label(shown) {
    return shown < this.#total ? format(messages.result.more, { count: this.#total - shown }) : null;
  }

  #head() {
    const filtered = Object.keys(this.#shown.filter).length > 0;
    const some = filtered ? words.documents_matching : words.documents_heading;
    const none = filtered ? words.matching_none : words.documents_none;
    byId("documents-heading").textContent = this.#total > 0 ? format(some, { count: this.#total }) : none;
  }

  #row(document) {
    const button = el("button", {
      class: "quiet-button quiet-button--danger entry__delete",
      type: "button",
      "aria-label": format(words.remove.document_named, { title: nameOfDocument(document) }),
    }, words.remove.document);
    const row = el("li", { class: "ranking__row ranking__row--document", tabindex: "-1" },
      documentText(document, undefined, this.#hooks.narrow),
      button);
    button.addEventListener("click", () => this.#delete(document, row));
    return row;
  }

  async #delete(document, row) {
    const { collection } = this.#shown;
    const text = format(words.remove.document_text, { title: nameOfDocument(document) });
    if (!(await confirmed({ heading: words.remove.document_heading, text }))) return;
    try {
      await deleteDocument(collection, document.id);
    } catch (error) {
      this.#hooks.failed(error);
      return;
    }
    const next = row.nextElementSibling ?? row.previousElementSibling ?? byId("documents-heading");
    row.remove();
    this.#total -= 1;
    this.#remote.append({ items: [], more: this.#label(this.#list.children.length) });
    this.#head();
    next.focus();
    this.#hooks.deleted(collection);
  }
}
