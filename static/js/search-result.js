// What a search found: documents, nearest first.

import { documentText, nameOfDocument } from "./document-entry.js";
import { el } from "./dom.js";
import { format, messages } from "./messages.js";
import { RemoteList } from "./remote-list.js";
import { duration, facts, gradeBadge, scoreBar, scoreText } from "./score.js";

const words = messages.chat;

export const PAGE_SIZE = 10;

/**
 * The panel of a reply.
 *
 * `next(offset)` asks for the reply that begins there, `failed(error)` hears that none came, `narrow(key, value)` adds a
 * condition, and `leave()` ends the search.
 */
export function renderHits(reply, { next, failed, narrow, leave }) {
  const list = el("ol", { class: "ranking" });
  const page = ({ hits, mode }, offset) => ({
    items: hits.map((hit, index) => row(offset + index + 1, hit, mode, narrow)),
    more: hits.length === PAGE_SIZE ? words.more : null,
  });
  const remote = new RemoteList(list, async (offset) => page(await next(offset), offset), failed);
  remote.append(page(reply, 0));
  const [{ document }] = reply.hits;
  const { embed, search } = reply.timing_ms;
  const node = el("section", { class: "panel", "aria-label": words.results_heading },
    el("div", { class: "panel__head" },
      el("h2", { class: "panel__heading" }, words.results_heading),
      actionButton("text-button", words.all_documents, leave)),
    list,
    remote.more,
    facts([words.found_by, words.modes[reply.mode]], [messages.result.time, duration({ total: embed + search })]));
  const announcement = format(words.found, { count: reply.hits.length, title: nameOfDocument(document) });
  return { nodes: [node], announcement };
}

/** What to do where nothing was found; `mends` are the buttons that do it: `[label, act]`. */
export function renderNothing({ reason, mends }) {
  const buttons = mends.map(([label, act]) => actionButton("quiet-button", label, act));
  const node = el("section", { class: "panel empty" },
    el("p", { class: "empty__text" }, words.found_none),
    el("p", { class: "empty__hint" }, reason),
    ...buttons);
  return { nodes: [node], announcement: `${words.found_none} ${reason}` };
}

function actionButton(look, label, act) {
  const button = el("button", { class: look, type: "button" }, label);
  button.addEventListener("click", act);
  return button;
}

function row(rank, { document, passage, ...scores }, mode, narrow) {
  return el("li", { class: "ranking__row", tabindex: "-1" },
    el("span", { class: "ranking__rank" }, String(rank)),
    documentText(document, passage, narrow),
    scores.similarity === null ? scoreAlone(scores) : similarityAndGrade(scores, mode));
}

/** Scores of keyword searches have no scale to draw or to grade them on. */
function scoreAlone({ score }) {
  return el("div", { class: "ranking__score ranking__score--alone" },
    el("span", { class: "ranking__number" }, scoreText(score, 2)),
    el("span", { class: "ranking__kind" }, words.score));
}

function similarityAndGrade({ score, similarity, grade }, mode) {
  const graded = grade ? [gradeBadge(grade), scoreBar(similarity, grade)] : [];
  const order = mode === "vector" ? [] : [el("span", { class: "ranking__order" }, format(words.order, { score: scoreText(score) }))];
  return el("div", { class: "ranking__score" },
    el("span", { class: "ranking__number" },
      scoreText(similarity), el("span", { class: "visually-hidden" }, ` ${words.similarity}`)),
    ...graded,
    ...order);
}
