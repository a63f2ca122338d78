// The page that scores the pairs of a file.

import { ApiError, postFile } from "./api.js";
import { byId } from "./dom.js";
import { FileField } from "./file-field.js";
import { FileResult } from "./file-result.js";
import { countLines } from "./line-count.js";
import { format, messages } from "./messages.js";
import { Output } from "./output.js";
import { Progress } from "./progress.js";
import { scoreText } from "./score.js";
import { setSending } from "./send-button.js";

const words = messages.file;
const OPTIONS = ["query_column", "document_column", "format", "encoding"];
const SAMPLE_NAME = "pairs.csv";

const form = byId("form");
const field = new FileField(words.drop_hint);
const output = new Output();
const progress = new Progress(() => running?.abort());
let running = null; // The AbortController of the file that is being scored.

function current() {
  const fields = OPTIONS.map((name) => [name, byId(name).value.trim()]).filter(([, value]) => value !== "");
  return {
    path: "/api/score-file",
    file: field.file,
    fields: Object.fromEntries(fields),
    printing: 'if "score" in row:\n    print(row["row"], row["score"])',
  };
}

async function send() {
  if (!field.check()) return;
  const request = current();
  running?.abort();
  const controller = new AbortController();
  running = controller;
  setSending(true);
  output.setBusy(true);
  progress.start();
  const receipt = { result: null, summary: null, total: null };
  try {
    await receive(request, receipt, controller);
    if (running === controller) output.announce(closing(receipt.result));
  } catch (error) {
    if (running !== controller) return; // A newer file took over.
    report(error, receipt.result, controller.signal.aborted);
  } finally {
    if (running === controller) end(receipt);
  }
}

/** Shows the lines of the reply as they come, and keeps in `receipt` what they told. */
async function receive(request, receipt, controller) {
  countLines(request.file).then((lines) => {
    receipt.lines = lines;
  }, () => {}); // A file that cannot be read any more fails the request, which says so.
  for await (const lines of postFile(request.path, request, controller.signal)) {
    for (const line of lines) take(line, request, receipt);
    progress.show(receipt.result.rows.count, totalOf(receipt));
    receipt.result.refresh(progress.seconds);
  }
  if (!receipt.summary) throw new ApiError("interrupted");
}

function take(line, request, receipt) {
  if (line.start) {
    receipt.format = line.start.format;
    receipt.result = new FileResult(line.start, request.file.name);
    output.showAnswer(request, { nodes: receipt.result.nodes, announcement: words.started });
    output.setBusy(false); // What is on show now is the new answer.
    output.compareWith(current()); // The fields may have changed while the file was on its way.
  } else if (line.summary) {
    receipt.summary = line.summary;
  } else if (line.row) {
    receipt.result.add(line);
  } else if (line.error) {
    throw new ApiError(line.error.code, line.error.message);
  }
}

/** A table's first line has the names of the columns; the lines of a JSON document tell nothing. */
function totalOf({ format, lines }) {
  if (lines === undefined || format === "json") return null;
  return format === "jsonl" ? lines : lines - 1;
}

function report(error, result, stopped) {
  if (!stopped && result) output.showAlert(error);
  if (!stopped && !result) output.showError(error);
  if (stopped) output.announce(words.stopped);
  if (error.code === "invalid_input") byId("options").open = true; // The columns are named there.
  if (!stopped && !(error instanceof ApiError)) throw error;
}

function end({ result, summary }) {
  running = null;
  setSending(false);
  output.setBusy(false);
  progress.end();
  result?.finish(summary?.seconds ?? progress.seconds, summary !== null);
}

function closing({ rows }) {
  const counted = format(words.finished, { rows: rows.count, scored: rows.scored });
  return rows.scored > 0 ? `${counted} ${format(words.finished_mean, { mean: scoreText(rows.mean) })}` : counted;
}

async function sendSample() {
  const response = await fetch(form.dataset.sample);
  field.choose(new File([await response.blob()], SAMPLE_NAME, { type: "text/csv" }));
  for (const name of OPTIONS) byId(name).value = "";
  form.requestSubmit();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
for (const kind of ["input", "change"]) form.addEventListener(kind, () => output.compareWith(current()));
document.querySelector("[data-example]").addEventListener("click", sendSample);
addEventListener("beforeunload", (event) => {
  if (running) event.preventDefault(); // The browser asks whether to leave what is not finished.
});
byId("options").open = OPTIONS.some((name) => byId(name).value !== "");
