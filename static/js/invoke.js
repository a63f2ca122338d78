// The page that invokes the endpoint as AWS's clients do, and remembers what came of it.

import { BASE } from "./api.js";
import { byId } from "./dom.js";
import { eventStream } from "./event-stream.js";
import { showProblem } from "./field.js";
import { Call } from "./invoke-call.js";
import { invokeSnippets } from "./invoke-snippet.js";
import { format, messages } from "./messages.js";
import { setSending } from "./send-button.js";
import { connectSnippetPanel } from "./snippet-panel.js";

const words = messages.invoke;
const TICK_MS = 1000;

const form = byId("form");
const body = byId("body");
const showSnippets = connectSnippetPanel(invokeSnippets);
let calls = [];
let running = 0;

/** The JSON of the editor, or undefined where it is none. */
function parsed() {
  try {
    return JSON.parse(body.value);
  } catch {
    return undefined;
  }
}

function choose(index) {
  body.value = JSON.stringify(JSON.parse(words.examples[index].body), null, 2);
  changed();
}

function changed() {
  showProblem(body, null);
  const value = parsed();
  if (value === undefined) return; // The code stays as it was for the last JSON.
  showSnippets({ endpoint: form.dataset.endpoint, body: value, streaming: byId("streaming").checked });
}

function setBusy(change) {
  running += change;
  setSending(running > 0);
  byId("output").setAttribute("aria-busy", running > 0);
}

function showHistory() {
  byId("empty").hidden = calls.length > 0;
  byId("clear").hidden = calls.length === 0;
}

async function send() {
  if (parsed() === undefined) {
    showProblem(body, words.body_invalid);
    body.focus();
    return;
  }
  const call = new Call(body.value);
  calls.unshift(call);
  byId("history").prepend(call.element);
  showHistory();
  setBusy(1);
  try {
    await (byId("streaming").checked ? receiveStream(call) : receive(call));
    call.succeed();
    byId("announcement").textContent = words.announce_done;
  } catch (error) {
    call.fail(error instanceof Refusal ? error.message : messages.errors.network);
    byId("announcement").textContent = words.announce_failed;
    if (!(error instanceof Refusal || error instanceof TypeError)) throw error;
  } finally {
    setBusy(-1);
  }
}

/** What the endpoint answered in place of a result. */
class Refusal extends Error {}

async function receive(call) {
  const response = await post("invocations", call.body, { Accept: "application/json" });
  call.append(await response.text());
}

async function receiveStream(call) {
  const headers = { "X-Amzn-SageMaker-Accept": "application/jsonlines" };
  const response = await post("invocations-response-stream", call.body, headers);
  const decoder = new TextDecoder();
  for await (const { headers: kind, payload } of eventStream(response.body)) {
    if (kind[":message-type"] !== "event") throw new Refusal(JSON.parse(decoder.decode(payload)).Message);
    call.append(decoder.decode(payload, { stream: true }));
  }
}

async function post(operation, content, headers) {
  const response = await fetch(`${BASE}/endpoints/${form.dataset.endpoint}/${operation}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: content,
  });
  if (!response.ok) throw new Refusal(await reasonOf(response));
  return response;
}

async function reasonOf(response) {
  const kind = response.headers.get("x-amzn-ErrorType") ?? `HTTP ${response.status}`;
  const { Message: message } = await response.json().catch(() => ({}));
  return message ? `${kind}: ${message}` : kind;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
form.addEventListener("input", ({ target }) => (target.id === "example" ? choose(target.value) : changed()));
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
  event.preventDefault();
  form.requestSubmit();
});
byId("shortcut").textContent = format(messages.form.shortcut, {
  key: /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl",
});
byId("clear").addEventListener("click", () => {
  for (const call of calls.filter(({ pending }) => !pending)) call.element.remove();
  calls = calls.filter(({ pending }) => pending);
  showHistory();
});
setInterval(() => calls.forEach((call) => call.tick()), TICK_MS);
if (body.value === "") choose(0);
else changed();
