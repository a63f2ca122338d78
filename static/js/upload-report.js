// What became of the rows of a file: how many were stored, and what is wrong with the others.

import { el } from "./dom.js";
import { format, messages, numberText } from "./messages.js";
import { PagedList } from "./paging.js";
import { factList, notice, secondsText } from "./score.js";

const words = messages.chat.upload;

export class UploadReport {
  complete = false;
  #name;
  #counts = null;
  #format = null;
  #seconds = null;
  #ended = false;
  #faults = [];
  #list = el("ol", { class: "faults" });
  #paged = new PagedList(this.#list, (index) => faultNode(this.#faults[index]));

  constructor(name) {
    this.#name = name;
  }

  /** Takes a line of the reply. */
  take({ start, fault, progress, heartbeat, summary }) {
    if (start) this.#format = start.format;
    if (fault) this.#faults.push(fault);
    if (progress ?? summary) this.#counts = progress ?? summary;
    if (heartbeat) this.#counts = { ...this.#counts, ...heartbeat };
    if (summary) {
      this.complete = true;
      this.#seconds = summary.seconds;
    }
  }

  /** The rows that have been dealt with. */
  get rows() {
    return this.#counts?.rows ?? 0;
  }

  /** About how many rows a file of so many lines has; null where its lines do not tell. */
  totalOf(lines) {
    if (lines === null || !["csv", "tsv", "jsonl"].includes(this.#format)) return null;
    return this.#format === "jsonl" ? lines : lines - 1;
  }

  get closing() {
    const { added = 0, replaced = 0, unchanged = 0, failed = 0 } = this.#counts ?? {};
    const stored = format(words.finished, { stored: added + replaced + unchanged });
    return failed > 0 ? `${stored} ${format(words.failed_rows, { count: failed })}` : stored;
  }

  finish(seconds) {
    this.#ended = true;
    this.#seconds ??= seconds;
  }

  /** The panel, as far as the file has come; none before anything is known. */
  get nodes() {
    if (!this.#counts && this.#faults.length === 0) return [];
    const { added = 0, replaced = 0, unchanged = 0 } = this.#counts ?? {};
    const failed = this.#counts?.failed ?? this.#faults.length;
    const time = this.#ended ? [[words.time, secondsText(this.#seconds)]] : [];
    this.#paged.show(this.#faults.length);
    return [el("section", { class: "panel" },
      el("h2", { class: "panel__heading" }, format(words.heading, { name: this.#name })),
      ...(this.#ended && !this.complete ? [notice(words.partial)] : []),
      el("dl", { class: "totals" }, ...factList(
        [words.added, numberText(added)],
        [words.replaced, numberText(replaced)],
        [words.unchanged, numberText(unchanged)],
        [words.failed, numberText(failed)],
        ...time)),
      ...this.#faultNodes())];
  }

  #faultNodes() {
    if (this.#faults.length === 0) return [];
    return [el("h3", { class: "panel__subheading" }, words.faults_heading), this.#list, this.#paged.more];
  }
}

function faultNode({ row, error }) {
  return el("li", { class: "faults__item", tabindex: "-1" },
    el("span", { class: "faults__row" }, format(words.row, { row })),
    el("span", {}, format(messages.errors.detail, { message: error.message })));
}
