// The page that answers a question from a text.

import { renderAnswer } from "./answer-result.js";
import { byId } from "./dom.js";
import { connectForm } from "./form.js";
import { format, messages } from "./messages.js";

const words = messages.answer;

const SHOWN = 5;

function read({ question, context }) {
  return {
    path: "/api/answer",
    body: { question, context, n_best: SHOWN },
    printing: 'reply = response.json()\nprint(reply["answer"] if reply["found"] else "-", reply["score"])',
  };
}

function missing({ body: { question, context } }) {
  return {
    ...(question.trim() === "" && { question: words.question_missing }),
    ...(context.trim() === "" && { context: words.context_missing }),
  };
}

/** Characters as a reader counts them, which may be two units of a string. */
function countCharacters() {
  const field = byId("context");
  const show = () => {
    byId("context-count").textContent = format(words.characters, { count: [...field.value].length });
  };
  field.addEventListener("input", show);
  show();
}

countCharacters();
connectForm({ examples: words.examples, read, missing, render: renderAnswer });
