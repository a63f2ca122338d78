// What a scored file gives: a summary, the distribution of its scores, and its rows. It grows while the rows come.

import { downloadButton } from "./csv.js";
import { el } from "./dom.js";
import { excerpt } from "./excerpt.js";
import { Histogram } from "./histogram.js";
import { format, messages, numberText } from "./messages.js";
import { PagedList } from "./paging.js";
import { GRADES, factList, gradeBadge, notice, scoreBar, scoreText, secondsText } from "./score.js";
import { ScoredRows } from "./scored-rows.js";

const words = messages.file;
const NOTHING = "–";

export class FileResult {
  rows = new ScoredRows();
  #histogram;
  #paged;
  #facts = el("dl", { class: "totals" });
  #grades = el("ul", { class: "grades" });
  #notes = el("div", {});
  #download;
  #frame = null;

  /** `start` is the stream's first line; `name` is the file's. */
  constructor(start, name) {
    this.#histogram = new Histogram(start.thresholds);
    const body = el("tbody", { role: "rowgroup" });
    this.#paged = new PagedList(body, (index) => rowNode(this.rows.at(index)));
    this.#download = downloadButton(() => `${name.replace(/\.[^.]*$/, "")}-scores.csv`, () => this.rows.cells());
    this.#download.hidden = true;
    this.nodes = [this.#summaryPanel(), this.#rowsPanel(body)];
    this.#draw(0);
  }

  add(row) {
    this.rows.add(row);
    if (!row.error) this.#histogram.add(row.score, row.grade);
  }

  /** Shows what has come, once a frame however often it is called. */
  refresh(seconds) {
    this.#frame ??= requestAnimationFrame(() => this.#draw(seconds));
  }

  /** Shows the end, a complete one or not, and offers the download. */
  finish(seconds, complete) {
    cancelAnimationFrame(this.#frame);
    this.#draw(seconds);
    this.#download.hidden = this.rows.count === 0;
    if (!complete) this.#notes.append(notice(format(words.partial, { rows: this.rows.count })));
  }

  #summaryPanel() {
    return el("section", { class: "panel" },
      el("h2", { class: "panel__heading" }, words.summary_heading),
      this.#notes,
      this.#facts,
      el("h3", { class: "panel__subheading" }, words.histogram_heading),
      this.#grades,
      this.#histogram.node);
  }

  #rowsPanel(body) {
    const headings = [words.row, messages.form.query, messages.form.document, words.score, words.grade];
    // The roles say what the elements are anyhow; browsers forget it where the style sheet stacks the cells on a phone.
    const table = el("table", { class: "rows", role: "table", "aria-label": words.rows_heading },
      el("thead", { role: "rowgroup" },
        el("tr", { role: "row" },
          ...headings.map((text) => el("th", { scope: "col", role: "columnheader" }, text)))),
      body);
    return el("section", { class: "panel" },
      el("div", { class: "panel__head" },
        el("h2", { class: "panel__heading" }, words.rows_heading),
        this.#download),
      table,
      this.#paged.more);
  }

  #draw(seconds) {
    this.#frame = null;
    const { count, scored, failed, truncated, mean, grades } = this.rows;
    this.#facts.replaceChildren(...factList(
      [words.rows, numberText(count)],
      [words.scored, numberText(scored)],
      [words.failed, numberText(failed)],
      [words.truncated, numberText(truncated)],
      [words.mean, scored > 0 ? scoreText(mean) : NOTHING],
      [words.time, secondsText(seconds)]));
    this.#grades.replaceChildren(...GRADES.map((grade) => gradeCount(grade, grades[grade], scored)));
    this.#histogram.draw();
    this.#paged.show(count);
  }
}

function gradeCount(grade, count, scored) {
  const percent = scored > 0 ? Math.round((100 * count) / scored) : 0;
  return el("li", { class: "grades__item" },
    gradeBadge(grade),
    el("span", {}, format(words.grade_count, { count, percent })));
}

function rowNode(row) {
  return el("tr", { class: row.error ? "rows__row rows__row--failed" : "rows__row", role: "row", tabindex: "-1" },
    cell("number", numberText(row.row)),
    cell("text", ...excerpt(row.query || NOTHING)),
    cell("text", ...excerpt(row.document || NOTHING)),
    ...(row.error ? [failure(row.error)] : scoreCells(row)));
}

function scoreCells({ score, grade, truncated }) {
  const cut = truncated ? [el("span", { class: "tag" }, messages.result.cut)] : [];
  return [
    cell("score", el("span", { class: "rows__number" }, scoreText(score)), scoreBar(score, grade), ...cut),
    cell("grade", gradeBadge(grade)),
  ];
}

function failure(message) {
  return el("td", { class: "rows__failure", role: "cell", colspan: "2" },
    el("span", { class: "tag tag--failed" }, words.row_failed),
    el("span", { class: "rows__message" }, format(messages.errors.detail, { message })));
}

function cell(name, ...children) {
  return el("td", { class: `rows__cell rows__cell--${name}`, role: "cell" }, ...children);
}
