// Which collection is worked with: choosing one, making one, deleting one, and what the chosen one holds.

import { alertOf } from "./alert.js";
import { createCollection, deleteCollection, isName, listCollections, nameOf } from "./collection.js";
import { confirmed } from "./confirm.js";
import { byId, el } from "./dom.js";
import { showProblem } from "./field.js";
import { format, messages } from "./messages.js";

const words = messages.chat;

export class CollectionPicker {
  #infos = [];
  #select = byId("collection");
  #name = byId("name");
  #chosen;

  /** `chosen(name, news)` is called when another collection is to be shown, with what has happened; null for none. */
  constructor(chosen) {
    this.#chosen = chosen;
    this.#select.addEventListener("change", () => chosen(this.#select.value, ""));
    byId("drop-collection").addEventListener("click", () => this.#delete());
    byId("create-open").addEventListener("click", () => this.#openForm(byId("create").hidden));
    byId("create").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#create();
    });
    this.#name.addEventListener("input", () => showProblem(this.#name, null));
  }

  /** The first name there is, or null. */
  get first() {
    return this.names[0] ?? null;
  }

  get names() {
    return this.#infos.map(({ name }) => name);
  }

  /** The description of a collection, or undefined where there is none. */
  info(name) {
    return this.#infos.find((info) => info.name === name);
  }

  /** Learns what there is now. */
  async refresh() {
    this.#infos = await listCollections();
  }

  /** Shows which collection is worked with. */
  show(name) {
    byId("picker").hidden = this.#infos.length === 0;
    const info = this.info(name);
    const options = this.#infos.map((one) => el("option", { value: one.name }, one.name));
    if (!info) options.unshift(el("option", { value: "", disabled: "" }, words.choose));
    this.#select.replaceChildren(...options);
    this.#select.value = info ? name : "";
    byId("drop-collection").hidden = !info;
    byId("upload-open").hidden = !info;
    byId("collection-facts").textContent = info ? factsOf(info) : "";
    byId("collection-notices").replaceChildren(...this.#notices(name, info));
  }

  showError(error) {
    byId("collection-alert").replaceChildren(alertOf(error));
  }

  clearError() {
    byId("collection-alert").replaceChildren();
  }

  #notices(name, info) {
    if (info) return noticesOf(info);
    if (name !== null) return [el("p", { class: "notice" }, format(words.gone, { name }))];
    return this.#infos.length === 0 ? [el("p", { class: "picker__none" }, words.none)] : [];
  }

  #openForm(open) {
    byId("create").hidden = !open;
    byId("create-open").setAttribute("aria-expanded", open);
    if (open) this.#name.focus();
  }

  async #create() {
    const name = nameOf(this.#name.value);
    const problem = this.#problem(name);
    showProblem(this.#name, problem);
    if (problem) {
      this.#name.focus();
      return;
    }
    await this.#change(() => createCollection(name), () => {
      this.#name.value = "";
      this.#openForm(false);
      this.#chosen(name, format(words.create.done, { name }));
      this.#select.focus();
    });
  }

  #problem(name) {
    if (this.#name.value.trim() === "") return words.create.missing;
    if (!isName(name)) return words.create.invalid;
    return this.info(name) ? format(words.create.taken, { name }) : null;
  }

  async #delete() {
    const { name, documents } = this.info(this.#select.value);
    const heading = format(words.remove.collection_heading, { name });
    const text = format(words.remove.collection_text, { count: documents });
    if (!(await confirmed({ heading, text }))) return;
    await this.#change(() => deleteCollection(name), () => {
      this.#chosen(this.first, format(words.remove.collection_done, { name }));
      (byId("picker").hidden ? byId("main") : this.#select).focus();
    });
  }

  /** Changes what there is, and then tells; what goes wrong is shown here. */
  async #change(act, tell) {
    this.clearError();
    try {
      await act();
      await this.refresh();
    } catch (error) {
      this.showError(error);
      return;
    }
    tell();
  }
}

function factsOf({ documents, passages, model, index }) {
  const parts = [format(words.holds, { documents, passages })];
  if (model) parts.push(format(words.made_by, { model }));
  if (index === "hnsw") parts.push(words.approximate);
  return parts.join(" · ");
}

/** What keeps a collection from being searched by meaning, and what is being done about it. */
function noticesOf({ name, model, searchable, reembedded }) {
  const notices = [];
  if (!searchable) {
    notices.push(el("div", { class: "notice" },
      el("p", {}, `${format(words.other_model, { model })} ${words.mend}`),
      el("pre", { class: "picker__command", translate: "no" }, `ssang collections reembed ${name}`)));
  }
  if (reembedded !== null) {
    notices.push(el("p", { class: "notice" }, format(words.reembedding, { percent: Math.floor(100 * reembedded) })));
  }
  return notices;
}
