// How a score looks wherever one is shown.

import { el } from "./dom.js";
import { format, messages } from "./messages.js";

/** A cosine with a fixed number of decimals, and without the minus of a rounded zero. */
export function scoreText(score, decimals = 4) {
  const text = score.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** The share of a bar or of a colour that a cosine fills: a negative one fills nothing. */
export function scoreShare(score) {
  return Math.min(Math.max(score, 0), 1);
}

export const GRADES = ["high", "medium", "low"];

/** The API grades pairs and ranks; for a matrix the page applies the same thresholds. */
export function gradeOf(score, thresholds) {
  if (score >= thresholds.high) return "high";
  return score >= thresholds.medium ? "medium" : "low";
}

export function gradeBadge(grade) {
  return el("span", { class: `grade grade--${grade}` }, messages.grade[grade]);
}

/** The number beside a bar says the same to screen readers, so the bar is for the eye alone. */
export function scoreBar(score, grade) {
  const fill = el("span", { class: `bar__fill bar__fill--${grade}` });
  fill.style.setProperty("--share", scoreShare(score));
  return el("div", { class: "bar", "aria-hidden": "true" }, fill);
}

export function duration(timing) {
  const total = timing.total;
  return format(messages.result.milliseconds, { ms: total < 100 ? total.toFixed(1) : Math.round(total) });
}

/** A time that may be long, as `12초` or `3분 12초`; a tenth of a second counts below ten seconds only. */
export function secondsText(seconds) {
  if (seconds < 60) {
    return format(messages.result.seconds, { seconds: seconds < 10 ? Number(seconds.toFixed(1)) : Math.floor(seconds) });
  }
  return format(messages.result.minutes, { minutes: Math.floor(seconds / 60), seconds: Math.floor(seconds % 60) });
}

export function tokenCount(count) {
  return format(messages.result.tokens, { count });
}

/** A note that stands out, such as one about a text that was cut. */
export function notice(text) {
  return el("p", { class: "notice" }, text);
}

/** A list of names and values below a result; a value may be an element. */
export function facts(...pairs) {
  return el("dl", { class: "facts" }, ...factList(...pairs));
}

/** The items alone, for a list that changes. */
export function factList(...pairs) {
  return pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}
