// Documents in order of their closeness to one query.

import { el } from "./dom.js";
import { format, messages } from "./messages.js";
import { duration, facts, gradeBadge, notice, scoreBar, scoreText, tokenCount } from "./score.js";

const words = messages.rank;
const PAGE_SIZE = 50; // Thousands of rows at once make a phone stutter.

export function renderRanking(reply, { documents }) {
  const { results } = reply;
  const list = el("ol", { class: "ranking" });
  const more = el("button", { class: "more", type: "button" });

  const showMore = () => {
    const shown = list.children.length;
    const next = results.slice(shown, shown + PAGE_SIZE);
    list.append(...next.map((result, at) => row(shown + at + 1, result, documents[result.index])));
    const left = results.length - list.children.length;
    more.hidden = left === 0;
    more.textContent = format(words.more, { count: left.toLocaleString() });
  };
  more.addEventListener("click", () => {
    const next = list.children.length;
    showMore();
    list.children[next].focus(); // The button may be gone, and the reader goes on at the first new row.
  });
  showMore();

  const cut = reply.query_truncated
    ? [notice(format(words.query_cut, { number: 1, count: reply.query_tokens.toLocaleString() }))]
    : [];
  const nodes = [
    el("section", { class: "panel" },
      el("h2", { class: "panel__heading" }, words.list_heading),
      ...cut,
      list,
      more,
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
      el("p", {}, text),
      el("p", { class: "ranking__small" }, tokenCount(result.tokens), ...cut)),
    el("div", { class: "ranking__score" },
      el("span", { class: "ranking__number" }, scoreText(result.score)),
      gradeBadge(result.grade),
      scoreBar(result.score, result.grade)));
}
