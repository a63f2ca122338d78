// How many scores fall where: bars of equal width, each made of its grades.

import { el } from "./dom.js";
import { format, messages } from "./messages.js";
import { GRADES } from "./score.js";
import { thresholdMarks } from "./threshold.js";

const words = messages.file;
const SVG = "http://www.w3.org/2000/svg";
const BINS_A_UNIT = 20;
const BINS = 2 * BINS_A_UNIT; // From -1 to 1.
const FIRST_SHOWN = binOf(-0.2); // Few pairs score lower, and a scale that starts there shows the others larger.
const TICKS = 5; // Bins between two numbers below the bars.
const GAP = 0.1;

export class Histogram {
  #counts = Array.from({ length: BINS }, () => Object.fromEntries(GRADES.map((grade) => [grade, 0])));
  #thresholds;
  #bars = svg("svg", { class: "histogram__bars", preserveAspectRatio: "none", "aria-hidden": "true" });
  #axis = el("div", { class: "histogram__axis" });
  #most = el("p", { class: "histogram__most", "aria-hidden": "true" });
  #summary = el("figcaption", { class: "visually-hidden" });

  node = el("figure", { class: "histogram" }, this.#summary, this.#most, this.#bars, this.#axis);

  constructor(thresholds) {
    this.#thresholds = thresholds;
    this.draw();
  }

  add(score, grade) {
    this.#counts[binOf(score)][grade] += 1;
  }

  draw() {
    const totals = this.#counts.map((bin) => GRADES.reduce((sum, grade) => sum + bin[grade], 0));
    const most = Math.max(...totals);
    const lowest = totals.findIndex((total) => total > 0);
    const first = lowest < 0 ? FIRST_SHOWN : Math.min(lowest, FIRST_SHOWN);
    this.#most.textContent = most > 0 ? format(words.histogram_most, { count: most }) : "";
    this.#summary.textContent = most > 0 ? describe(totals) : words.histogram_none;
    this.#bars.setAttribute("viewBox", `${first} 0 ${BINS - first} 1`);
    this.#bars.replaceChildren(...totals.flatMap((total, bin) => (total > 0 ? [this.#bar(bin, total, most)] : [])));
    this.#drawAxis(first);
  }

  #bar(bin, total, most) {
    const node = svg("g", {}, title(label(bin, total)));
    let top = 1;
    for (const grade of GRADES.toReversed()) {
      const height = this.#counts[bin][grade] / most;
      top -= height;
      if (height > 0) {
        node.append(svg("rect", { class: `histogram__bar--${grade}`, x: bin + GAP / 2, y: top, width: 1 - GAP, height }));
      }
    }
    return node;
  }

  #drawAxis(first) {
    if (this.#axis.dataset.first === String(first)) return;
    this.#axis.dataset.first = first;
    const shareOf = (score) => ((score + 1) * BINS_A_UNIT - first) / (BINS - first);
    const ticks = [];
    for (let bin = Math.ceil(first / TICKS) * TICKS; bin <= BINS; bin += TICKS) {
      const tick = el("span", { class: "histogram__tick" }, scoreOf(bin).toFixed(2));
      tick.style.setProperty("--share", shareOf(scoreOf(bin)));
      ticks.push(tick);
    }
    this.#axis.replaceChildren(
      thresholdMarks(this.#thresholds, shareOf),
      el("div", { class: "histogram__ticks", "aria-hidden": "true" }, ...ticks));
  }
}

/** A little more than the score, so that 0.6, which is no binary fraction, does not fall below its own bin. */
function binOf(score) {
  const bin = Math.floor((score + 1) * BINS_A_UNIT + 1e-9);
  return Math.min(Math.max(bin, 0), BINS - 1);
}

function scoreOf(bin) {
  return bin / BINS_A_UNIT - 1;
}

function label(bin, count) {
  return format(words.histogram_bin, { from: scoreOf(bin).toFixed(2), to: scoreOf(bin + 1).toFixed(2), count });
}

function describe(totals) {
  return totals.flatMap((total, bin) => (total > 0 ? [label(bin, total)] : [])).join(", ");
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function title(text) {
  return svg("title", {}, text);
}
