// A document with the passage marked that is closest to the query, and no more of it than reads well.

import { el } from "./dom.js";
import { messages } from "./messages.js";

const SHOWN_WHOLE = 400;
const AROUND = 120;
const LONGEST_WORD = 20;
const GAP = "…";

/**
 * The document as a paragraph, and a button for the rest where it is shortened.
 *
 * `passage` is the API's `{start, end}`; without one the beginning of a long document is shown.
 */
export function excerpt(text, passage) {
  const span = passage && { start: unitIndex(text, passage.start), end: unitIndex(text, passage.end) };
  const around = span ? { start: span.start - AROUND, end: span.end + AROUND } : { start: 0, end: SHOWN_WHOLE };
  const start = text.length > SHOWN_WHOLE ? wordStart(text, around.start) : 0;
  const end = text.length > SHOWN_WHOLE ? wordEnd(text, around.end) : text.length;
  const paragraph = el("p", {}, ...marked(text, span, start, end));
  if (start === 0 && end === text.length) return [paragraph];
  const all = el("button", { class: "text-button", type: "button" }, messages.result.show_all);
  all.addEventListener("click", () => {
    paragraph.replaceChildren(...marked(text, span, 0, text.length));
    paragraph.tabIndex = -1;
    paragraph.focus();
    all.remove();
  });
  return [paragraph, all];
}

/** A short text whole, as nodes, with the passage marked. */
export function highlighted(text, passage) {
  return marked(text, { start: unitIndex(text, passage.start), end: unitIndex(text, passage.end) }, 0, text.length);
}

/** Whether a passage is only a part of its document. */
export function isPart(text, passage) {
  return Boolean(passage) && unitIndex(text, passage.end - passage.start) < text.length;
}

/** The API counts code points; JavaScript's strings are UTF-16 units, of which some code points need two. */
function unitIndex(text, codePoints) {
  let index = 0;
  for (let left = codePoints; left > 0; left--) index += text.codePointAt(index) > 0xffff ? 2 : 1;
  return index;
}

/** The next place where a word begins, if one does soon. */
function wordStart(text, index) {
  if (index <= 0) return 0;
  const space = text.slice(index, index + LONGEST_WORD).search(/\s\S/);
  return whole(text, space < 0 ? index : index + space + 1);
}

function wordEnd(text, index) {
  if (index >= text.length) return text.length;
  const last = text.slice(index - LONGEST_WORD, index).match(/\s\S*$/);
  return whole(text, last ? index - LONGEST_WORD + last.index : index);
}

/** An index that does not part the two halves of a code point. */
function whole(text, index) {
  return text.codePointAt(index - 1) > 0xffff ? index - 1 : index;
}

function marked(text, span, start, end) {
  const before = start > 0 ? GAP : "";
  const after = end < text.length ? GAP : "";
  if (!span) return [before + text.slice(start, end) + after];
  return [
    before + text.slice(start, span.start),
    el("mark", {}, text.slice(span.start, span.end)),
    text.slice(span.end, end) + after,
  ];
}
