// Documents in order of their closeness to one query.

import { el } from "./dom.js";
import { excerpt, isPart } from "./excerpt.js";
import { format, messages } from "./messages.js";
import { PagedList } from "./paging.js";
import { duration, facts, gradeBadge, notice, scoreBar, scoreText, tokenCount } from "./score.js";

const words = messages.rank;

export function renderRanking(reply, { documents }) {
  const { results } = reply;
  const list = el("ol", { class: "ranking" });
  const paged = new PagedList(list, (index) => row(index + 1, results[index], documents[results[index].index]));
  paged.show(results.length);

  const cut = reply.query_truncated ? [notice(format(words.query_cut, { number: 1, count: reply.query_tokens }))] : [];
  const parts = results.some(({ index, passage }) => isPart(documents[index], passage));
  const nodes = [
    el("section", { class: "panel" },
      el("div", { class: "panel__head" },
        el("h2", { class: "panel__heading" }, words.list_heading),
        ...(parts ? [el("p", { class: "panel__note" }, words.passage)] : [])),
      ...cut,
      list,
      paged.more,
      facts(
        [messages.compare.query_tokens, tokenCount(reply.query_tokens)],
        [messages.result.time, duration(reply.timing_ms)])),
  ];
  const announcement = format(words.announce_list, { count: results.length, score: scoreText(results[0].score) });
  return { nodes, announcement };
}

function row(rank, result, text) {
  const cut = result.truncated ? [el("span", { class: "tag" }, messages.result.cut)] : [];
  return el("li", { class: "ranking__row", tabindex: "-1" },
    el("span", { class: "ranking__rank" }, String(rank)),
    el("div", { class: "ranking__text" },
      ...excerpt(text, isPart(text, result.passage) ? result.passage : undefined),
      el("p", { class: "ranking__small" }, tokenCount(result.tokens), ...cut)),
    el("div", { class: "ranking__score" },
      el("span", { class: "ranking__number" }, scoreText(result.score)),
      gradeBadge(result.grade),
      scoreBar(result.score, result.grade)));
}
