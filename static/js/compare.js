// The page that compares one query with one document.

import { el } from "./dom.js";
import { connectForm } from "./form.js";
import { format, messages } from "./messages.js";
import { duration, facts, gradeBadge, notice, scoreBar, scoreText, tokenCount } from "./score.js";
import { thresholdMarks } from "./threshold.js";

const words = messages.compare;

function read({ query, document }) {
  return {
    path: "/api/pairs",
    body: { pairs: [{ query, document }] },
    printing: 'print(response.json()["pairs"][0]["score"])',
  };
}

function missing({ body }) {
  const [{ query, document }] = body.pairs;
  return {
    ...(query.trim() === "" && { query: words.query_missing }),
    ...(document.trim() === "" && { document: words.document_missing }),
  };
}

function render(reply, request, info) {
  const [pair] = reply.pairs;
  const score = scoreText(pair.score);
  const nodes = [
    el("div", { class: "panel verdict" },
      el("div", { class: "verdict__head" },
        el("p", { class: "verdict__score" },
          el("span", { class: "verdict__name" }, messages.result.score),
          el("strong", { class: "verdict__number", id: "score" }, score)),
        el("p", { class: "verdict__grade" },
          gradeBadge(pair.grade),
          el("span", {}, words.verdict[pair.grade]))),
      scale(pair, info),
      ...cutNotes(pair, info),
      facts(
        [words.query_tokens, tokenCount(pair.query_tokens)],
        [words.document_tokens, tokenCount(pair.document_tokens)],
        [messages.result.time, duration(reply.timing_ms)])),
  ];
  return { nodes, announcement: format(words.announce, { score, grade: messages.grade[pair.grade] }) };
}

/** The bar, with a mark where each grade begins. */
function scale(pair, info) {
  const bar = scoreBar(pair.score, pair.grade);
  return el("div", { class: "scale" }, bar, ...(info ? [thresholdMarks(info.thresholds)] : []));
}

/** The API says that a text of the pair was cut; the counts say which. */
function cutNotes(pair, info) {
  if (!pair.truncated) return [];
  if (!info) return [notice(words.some_cut)];
  const limit = info.max_length;
  const note = (template, count) => notice(format(template, { limit, count }));
  return [
    ...(pair.query_tokens > limit ? [note(words.query_cut, pair.query_tokens)] : []),
    ...(pair.document_tokens > limit ? [note(words.document_cut, pair.document_tokens)] : []),
  ];
}

connectForm({ examples: words.examples, read, missing, render });
