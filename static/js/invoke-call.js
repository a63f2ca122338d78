// A card of the history: one invocation, from its start to its answer.

import { el } from "./dom.js";
import { format, messages } from "./messages.js";
import { facts } from "./score.js";

const words = messages.invoke;
const ago = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });

// More would make a long history slow.
const SHOWN_CHARACTERS = 4000;

function agoText(milliseconds) {
  const seconds = Math.round((Date.now() - milliseconds) / 1000);
  if (seconds < 60) return ago.format(-seconds, "second");
  if (seconds < 3600) return ago.format(-Math.floor(seconds / 60), "minute");
  return ago.format(-Math.floor(seconds / 3600), "hour");
}

export class Call {
  pending = true;
  #began = performance.now();
  #sent = Date.now();
  #answered = null;
  #ms = null;
  #size = 0;
  #parts = 0;
  #status = el("span", { class: "call__status" }, words.pending);
  #facts = el("div", { class: "call__facts" });
  #reason = el("p", { class: "call__reason", hidden: true });
  #answer = el("pre", { tabindex: "0", "aria-label": words.response, translate: "no", hidden: true });
  #note = el("p", { class: "call__note", hidden: true });

  constructor(body) {
    this.body = body;
    this.element = el("li", { class: "panel call call--pending" },
      el("div", { class: "call__head" }, this.#status, this.#facts),
      this.#reason,
      this.#answer,
      this.#note,
      el("details", {}, el("summary", {}, words.request), el("pre", { translate: "no" }, body)));
    this.tick();
  }

  /** Adds a part of the answer. */
  append(text) {
    this.#parts += 1;
    const room = SHOWN_CHARACTERS - this.#answer.textContent.length;
    this.#size += text.length;
    if (room > 0) this.#answer.append(text.slice(0, room));
    this.#answer.hidden = false;
    this.#note.textContent = format(words.parts, { count: this.#parts });
    this.#note.hidden = false;
  }

  succeed() {
    this.#end("succeeded");
    this.#note.hidden = this.#size <= SHOWN_CHARACTERS;
    this.#note.textContent = format(words.cut, { size: this.#size });
  }

  fail(reason) {
    this.#end("failed");
    this.#reason.textContent = reason;
    this.#reason.hidden = false;
    this.#note.hidden = true;
  }

  #end(state) {
    this.pending = false;
    this.#ms = Math.round(performance.now() - this.#began);
    this.#answered = Date.now();
    this.#status.textContent = words[state];
    this.element.className = `panel call call--${state}`;
    this.tick();
  }

  /** Says anew how long ago things were. */
  tick() {
    const shown = [[words.sent, agoText(this.#sent)]];
    if (!this.pending) {
      shown.unshift([words.duration, format(words.milliseconds, { ms: this.#ms })]);
      shown.push([words.answered, agoText(this.#answered)]);
    }
    this.#facts.replaceChildren(facts(...shown));
  }
}
