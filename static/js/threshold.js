// Where on an axis the grades begin.

import { el } from "./dom.js";
import { messages } from "./messages.js";
import { scoreShare } from "./score.js";

/**
 * A line at each threshold of an axis as wide as the page makes it, and its name below.
 *
 * `shareOf` tells where on the axis a score stands, from 0 to 1. The names stand outside the two lines, medium's to the
 * left and high's to the right, so that close thresholds leave both readable.
 */
export function thresholdMarks(thresholds, shareOf = scoreShare) {
  const marks = ["medium", "high"].flatMap((grade) => {
    const text = `${messages.grade[grade]} ${Number(thresholds[grade].toFixed(3))}`;
    const parts = [
      el("span", { class: "marks__line" }),
      el("span", { class: `marks__name marks__name--${grade}` }, text),
    ];
    for (const part of parts) part.style.setProperty("--share", shareOf(thresholds[grade]));
    return parts;
  });
  return el("div", { class: "marks", "aria-hidden": "true" }, ...marks);
}
