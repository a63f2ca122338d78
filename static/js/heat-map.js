// Several queries against several documents: a table whose cells are coloured by score.

import { downloadButton } from "./csv.js";
import { el } from "./dom.js";
import { format, messages } from "./messages.js";
import { PagedList } from "./paging.js";
import { duration, facts, gradeBadge, gradeOf, notice, scoreShare, scoreText } from "./score.js";

const words = messages.rank;
const FILE_NAME = "ssang-matrix.csv";
const CELL_DECIMALS = 3;
const MAX_NOTES = 3;
// Tens of thousands of cells keep a browser busy for seconds; nobody reads them on a page.
const MAX_ROWS = 50;
const MAX_COLUMNS = 100;

export function renderHeatMap(reply, { queries, documents }, info) {
  const best = reply.scores.map(indexOfMax);
  const reader = el("p", { class: "map__reader" }, words.map_hint);
  const table = heatTable(reply.scores, best, queries, documents);
  connectReader(table, reader, reply.scores, queries, documents);
  const nodes = [
    el("section", { class: "panel" },
      el("div", { class: "panel__head" },
        el("h2", { class: "panel__heading" }, words.map_heading),
        el("p", { class: "panel__note" }, format(words.map_size, { queries: queries.length, documents: documents.length })),
        downloadButton(() => FILE_NAME, () => matrixRows(reply.scores, queries, documents))),
      ...sizeNote(queries, documents),
      ...cutNotes(reply),
      // Focusable, because a box that scrolls must scroll by keyboard too.
      el("div", { class: "map", tabindex: "0", role: "region", "aria-label": words.map_region }, table),
      reader,
      legend(),
      facts([messages.result.time, duration(reply.timing_ms)])),
    bestList(reply.scores, best, queries, documents, info),
  ];
  const announcement = format(words.announce_map, { queries: queries.length, documents: documents.length });
  return { nodes, announcement };
}

function indexOfMax(row) {
  return row.reduce((best, score, index) => (score > row[best] ? index : best), 0);
}

function sizeNote(queries, documents) {
  if (queries.length <= MAX_ROWS && documents.length <= MAX_COLUMNS) return [];
  const shown = { queries: Math.min(queries.length, MAX_ROWS), documents: Math.min(documents.length, MAX_COLUMNS) };
  return [notice(format(words.map_part, shown))];
}

/** The whole table, with the texts at its edges. */
function* matrixRows(scores, queries, documents) {
  yield ["", ...documents];
  for (const [index, row] of scores.entries()) yield [queries[index], ...row];
}

function heatTable(scores, best, queries, documents) {
  const head = el("tr", {},
    el("th", { class: "map__corner", scope: "col" }, words.map_corner),
    ...documents.slice(0, MAX_COLUMNS).map((text, column) => header("col", column, text)));
  const rows = scores.slice(0, MAX_ROWS).map((row, index) =>
    el("tr", {},
      header("row", index, queries[index]),
      ...row.slice(0, MAX_COLUMNS).map((score, column) => cell(score, column === best[index]))));
  return el("table", { class: "map__table" }, el("thead", {}, head), el("tbody", {}, ...rows));
}

/** The style sheet cuts a long header; the button gives it a place to point at and to focus. */
function header(scope, index, text) {
  return el("th", { scope },
    el("button", { class: "map__label", type: "button", title: text },
      el("span", { class: "map__number" }, String(index + 1)),
      el("span", { class: "map__text" }, text)));
}

function cell(score, isBest) {
  const node = el("td", { class: isBest ? "map__cell map__cell--best" : "map__cell" }, scoreText(score, CELL_DECIMALS));
  node.style.setProperty("--share", scoreShare(score));
  return node;
}

/** Whatever the pointer or the focus is on stands in full below the table. */
function connectReader(table, reader, scores, queries, documents) {
  const line = (name, text) => el("span", { class: "map__line" }, el("b", {}, name), ` ${text}`);
  const show = (event) => {
    const place = event.target.closest("th, td");
    if (!place) return;
    const row = place.parentElement.rowIndex - 1;
    const column = place.cellIndex - 1;
    const parts = [];
    if (row >= 0) parts.push(line(`${messages.form.query} ${row + 1}`, queries[row]));
    if (column >= 0) parts.push(line(`${messages.form.document} ${column + 1}`, documents[column]));
    if (row >= 0 && column >= 0) parts.push(line(messages.result.score, scoreText(scores[row][column])));
    if (parts.length > 0) reader.replaceChildren(...parts);
  };
  for (const kind of ["pointerover", "focusin", "click"]) table.addEventListener(kind, show);
}

function legend() {
  return el("div", { class: "legend", "aria-hidden": "true" },
    el("span", {}, "0"),
    el("span", { class: "legend__ramp" }),
    el("span", {}, "1"),
    el("span", { class: "legend__text" }, words.map_legend));
}

function bestList(scores, best, queries, documents, info) {
  const list = el("ol", { class: "best" });
  const paged = new PagedList(list, (row) => {
    const score = scores[row][best[row]];
    const badge = info ? [gradeBadge(gradeOf(score, info.thresholds))] : [];
    return el("li", { class: "best__item", tabindex: "-1" },
      el("p", { class: "best__query" }, queries[row]),
      el("p", { class: "best__document" }, documents[best[row]]),
      el("p", { class: "best__score" }, el("span", {}, scoreText(score)), ...badge));
  });
  paged.show(queries.length);
  return el("section", { class: "panel" },
    el("h2", { class: "panel__heading" }, words.best_heading),
    list,
    paged.more);
}

function cutNotes(reply) {
  const notesOf = (cut, tokens, template) =>
    cut.flatMap((wasCut, index) =>
      wasCut ? [format(template, { number: index + 1, count: tokens[index] })] : []);
  const notes = [
    ...notesOf(reply.query_truncated, reply.query_tokens, words.query_cut),
    ...notesOf(reply.document_truncated, reply.document_tokens, words.document_cut),
  ];
  const left = notes.length - MAX_NOTES;
  const rest = left > 0 ? [format(words.cut_more, { count: left })] : [];
  return [...notes.slice(0, MAX_NOTES), ...rest].map(notice);
}
