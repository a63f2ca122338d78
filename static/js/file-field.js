// The field that takes a file: chosen, or dropped anywhere on the page.

import { byId } from "./dom.js";
import { showProblem } from "./field.js";
import { format, messages } from "./messages.js";

const words = messages.file;
const UNITS = ["B", "KB", "MB", "GB"];

export class FileField {
  #input = byId("file");
  #maxBytes = Number(this.#input.dataset.maxBytes);
  #hint;

  /** `hint` says which files are read. */
  constructor(hint) {
    this.#hint = hint;
    this.#input.addEventListener("change", () => this.#show());
    this.#acceptDrops();
    this.#show(); // A browser that reloads a page may keep its file.
  }

  get file() {
    return this.#input.files[0];
  }

  choose(file) {
    const transfer = new DataTransfer();
    transfer.items.add(file);
    this.#input.files = transfer.files;
    this.#input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  clear() {
    this.#input.value = "";
    this.#show();
  }

  /** Says what keeps the file from being sent, if anything does; true when nothing does. */
  check() {
    const problem = this.#problem();
    showProblem(this.#input, problem);
    if (problem) this.#input.focus();
    return problem === null;
  }

  #problem() {
    if (!this.file) return words.missing;
    if (this.file.size <= this.#maxBytes) return null;
    return format(words.too_large, { size: sizeText(this.file.size), limit: sizeText(this.#maxBytes) });
  }

  #show() {
    byId("drop").classList.toggle("drop--filled", Boolean(this.file));
    byId("drop-name").textContent = this.file ? this.file.name : words.drop;
    byId("drop-hint").textContent = this.file
      ? `${sizeText(this.file.size)} · ${words.change}`
      : format(this.#hint, { size: sizeText(this.#maxBytes) });
    showProblem(this.#input, null);
  }

  /** The whole page takes a drop: a browser would open a file that misses the zone, and the page would be gone. */
  #acceptDrops() {
    const highlight = (on) => byId("drop").classList.toggle("drop--over", on);
    const onFiles = (type, act) =>
      document.addEventListener(type, (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        act(event);
      });
    onFiles("dragover", () => highlight(true));
    onFiles("dragleave", ({ relatedTarget }) => {
      if (relatedTarget === null) highlight(false); // It left the window, and not one element for another.
    });
    onFiles("drop", ({ dataTransfer }) => {
      highlight(false);
      if (dataTransfer.files.length === 1) this.choose(dataTransfer.files[0]);
      else showProblem(this.#input, words.several);
    });
  }
}

function sizeText(bytes) {
  const unit = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1);
  const size = bytes / 1024 ** unit;
  return `${size < 10 ? Number(size.toFixed(1)) : Math.round(size)} ${UNITS[unit]}`;
}
