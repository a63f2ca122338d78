// What the pages' forms share: ways of sending, and that the newest request alone is answered.

import { ApiError, post } from "./api.js";
import { byId } from "./dom.js";
import { fill, showProblem, showProblems, statesOf, valuesOf } from "./field.js";
import { hadAnswer } from "./language.js";
import { format, messages } from "./messages.js";
import { modelInfo } from "./model.js";
import { Output } from "./output.js";
import { setSending } from "./send-button.js";

/**
 * Wires the page's form.
 *
 * `examples` are texts by field name, one for each example button.
 * `read(values)` makes the request of the fields' values: `{path, body, printing}`, with `printing` for the Python snippet.
 * `missing(request)` names the fields that are empty: `{field name: message}`.
 * `render(reply, request, info)` returns `{nodes, announcement}`; `info` is the model's description or null.
 */
export function connectForm({ examples, read, missing, render }) {
  const form = byId("form");
  const fields = [...form.querySelectorAll("textarea")];
  const switches = [...form.querySelectorAll("[type=checkbox]")];
  const output = new Output();
  const current = () => read({ ...valuesOf(fields), ...statesOf(switches) });
  let running = null; // The AbortController of the newest request.

  function setBusy(busy) {
    setSending(busy);
    output.setBusy(busy);
  }

  async function send() {
    const request = current();
    if (!showProblems(fields, missing(request))) return;
    running?.abort();
    const controller = new AbortController();
    running = controller;
    setBusy(true);
    try {
      const [reply, info] = await Promise.all([post(request.path, request.body, controller.signal), modelInfo()]);
      if (running !== controller) return; // A newer request took over and will answer.
      output.showAnswer(request, render(reply, request, info));
      output.compareWith(current()); // The fields may have changed while the request was on its way.
    } catch (error) {
      if (running !== controller) return;
      output.showError(error);
      if (!(error instanceof ApiError)) throw error;
    } finally {
      if (running === controller) setBusy(false);
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form.addEventListener("input", (event) => {
    if (fields.includes(event.target)) showProblem(event.target, null);
    output.compareWith(current());
  });
  connectShortcut(form);
  connectExamples(form, fields, examples);
  if (hadAnswer) form.requestSubmit();
}

function connectShortcut(form) {
  form.addEventListener("keydown", (event) => {
    // Also while a syllable is being composed, as the last one of a Korean text nearly always is: it is in the field's
    // value already, and where the input method makes a second key press of it, the second request replaces the first.
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
    event.preventDefault();
    form.requestSubmit();
  });
  const key = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";
  byId("shortcut").textContent = format(messages.form.shortcut, { key });
}

function connectExamples(form, fields, examples) {
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => {
      fill(fields, examples[Number(button.dataset.example)]);
      form.requestSubmit();
    });
  }
}
