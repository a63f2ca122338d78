// The answer to a question, marked in its text, and what else was near.

import { el } from "./dom.js";
import { highlighted } from "./excerpt.js";
import { format, messages } from "./messages.js";
import { duration, facts, scoreBar, scoreText, tokenCount } from "./score.js";

const words = messages.answer;

// Of the best part's score.
const LEAST_SHARE = 0.001;

/** The panel of a reply; where there is no answer, it says so, and marks nothing until somebody picks a part. */
export function renderAnswer(reply, { body }) {
  const parts = worthwhile(reply.found ? [reply, ...reply.alternatives] : reply.alternatives);
  const text = el("div", { class: "reading__text", id: "passage", tabindex: "0", role: "group", "aria-label": words.context });
  const buttons = parts.map((part) => partButton(part, () => mark(part)));

  function mark(chosen) {
    text.replaceChildren(...(chosen ? highlighted(body.context, chosen) : [body.context]));
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(parts[index] === chosen)));
    if (chosen) scrollToMark(text);
  }

  mark(null);
  // Only what is in the page can be scrolled.
  if (reply.found) queueMicrotask(() => mark(reply));
  const node = el("section", { class: "panel reading", "aria-label": words.heading_result },
    ...(reply.found ? answerHead(reply) : nothingHead(reply)),
    el("h3", { class: "reading__heading" }, words.place),
    text,
    ...(parts.length > (reply.found ? 1 : 0) ? partList(buttons, reply.found) : []),
    facts(
      [words.score, scoreText(reply.score)],
      [words.no_answer_score, scoreText(reply.no_answer_score)],
      [words.read, tokenCount(reply.usage.tokens)],
      [messages.result.time, duration(reply.timing_ms)]));
  const announcement = reply.found ? format(words.announce, { answer: reply.answer }) : words.nothing;
  return { nodes: [node], announcement };
}

/** Parts that could have been meant: a text always has some that come next, however far behind. */
function worthwhile(parts) {
  return parts.filter(({ score }) => score >= LEAST_SHARE * parts[0].score);
}

function answerHead({ answer }) {
  return [el("p", { class: "reading__name" }, words.answer), el("p", { class: "reading__answer", id: "found" }, answer)];
}

function nothingHead({ alternatives }) {
  return [
    el("p", { class: "reading__answer", id: "found" }, words.nothing),
    ...(alternatives.length > 0 ? [el("p", { class: "reading__hint" }, words.nothing_hint)] : []),
  ];
}

function partList(buttons, found) {
  return [
    el("h3", { class: "reading__heading" }, found ? words.parts : words.nearest),
    el("ol", { class: "parts" }, ...buttons.map((button) => el("li", {}, button))),
  ];
}

function partButton(part, choose) {
  const button = el("button", { class: "part", type: "button" },
    el("span", { class: "part__text" }, part.answer),
    scoreBar(part.score, "high"),
    el("span", { class: "part__score" }, scoreText(part.score)));
  button.addEventListener("click", choose);
  return button;
}

/** In the text's own box alone: the page stays where it is. */
function scrollToMark(box) {
  const found = box.querySelector("mark");
  box.scrollTop = found.offsetTop - (box.clientHeight - found.offsetHeight) / 2;
}
