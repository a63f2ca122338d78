// The chat page: asking a collection, and beside that putting documents in, looking at them, and searching.

import { readAddress, writeAddress } from "./address.js";
import { ApiError, post } from "./api.js";
import { Conversation } from "./chat-conversation.js";
import { keepOnly } from "./chat-store.js";
import { collectionPath, createCollection, listDocuments } from "./collection.js";
import { CollectionPicker } from "./collection-picker.js";
import { DocumentFilter } from "./document-filter.js";
import { DocumentList } from "./document-list.js";
import { DocumentUpload } from "./document-upload.js";
import { byId } from "./dom.js";
import { messages } from "./messages.js";
import { Output } from "./output.js";
import { PAGE_SIZE, renderHits, renderNothing } from "./search-result.js";
import { setSending } from "./send-button.js";

const words = messages.chat;
const LOADING_MS = 2000;
const SAMPLE = "sample-faq";
const EARLY_DOCUMENTS = 100; // Looked at for the values that the filter offers.

const form = byId("form");
const field = byId("query");
const output = new Output();
const picker = new CollectionPicker((collection, news) => {
  go({ collection, query: "", filter: {} });
  keepOnly(picker.names);
  output.announce(news);
});
const filter = new DocumentFilter((value) => go({ filter: value }));
const narrow = (key, value) => filter.narrow(key, value);
const conversation = new Conversation({
  narrow: (key, value) => go({ query: "", filter: {} }).then(() => narrow(key, value)),
  search: (query) => mend({ query }),
  failed: lookAgainAfter,
});
const upload = new DocumentUpload({ target, stored, announce: (text) => output.announce(text) });
const list = new DocumentList({
  came: (documents) => filter.learn(documents),
  deleted: async (collection) => {
    await refresh(collection);
    output.announce(words.remove.document_done);
  },
  failed: report,
  narrow,
});

let state = readAddress();
let offered = null; // The collection whose values the filter offers.
let opened = undefined; // The collection that the fields were made ready for.
let running = null; // The AbortController of what is being fetched.

function requestOf({ collection, query, mode, filter: conditions }, offset = 0) {
  return {
    path: `${collectionPath(collection)}/search`,
    body: {
      query,
      top_k: PAGE_SIZE,
      ...(offset > 0 && { offset }),
      ...(Object.keys(conditions).length > 0 && { filter: conditions }),
      ...(mode && { mode }),
    },
    printing: 'for hit in response.json()["hits"]:\n    print(hit["score"], hit["document"]["title"])',
  };
}

/** The state that the fields make now. */
function typed() {
  return { ...state, query: field.value };
}

/** Goes to another state, which becomes a step of the browser's history. */
function go(changes) {
  state = { ...state, ...changes };
  if ("query" in changes) field.value = state.query;
  writeAddress(state);
  return show();
}

/** Shows the state: what was found, or all documents where nothing is looked for. */
async function show() {
  running?.abort();
  const controller = new AbortController();
  running = controller;
  showFields();
  const there = picker.info(state.collection) !== undefined;
  const searching = there && state.query.trim() !== "";
  setBusy(there, searching);
  if (!searching) output.clear();
  if (!there || searching) list.hide();
  try {
    if (searching) await search(controller.signal);
    else if (there) await list.show(state.collection, state.filter, controller.signal);
    if (there) await offerValues(controller.signal);
  } catch (error) {
    if (running === controller) report(error);
  } finally {
    if (running === controller) setBusy(false, false);
  }
}

function showFields() {
  const info = picker.info(state.collection);
  picker.clearError();
  picker.show(state.collection);
  if (opened !== state.collection) {
    opened = state.collection;
    filter.reset();
    upload.reset();
    upload.open(info ? info.documents === 0 : picker.first === null);
  }
  filter.show(state.filter);
  form.elements.mode.value = state.mode;
  byId("mode-hint").textContent = words.mode_hints[state.mode || "auto"];
  byId("finder").hidden = !info || info.documents === 0;
  byId("questions").hidden = state.collection !== SAMPLE;
  conversation.show(state.collection, info, askable(info));
}

/** Whether there is anything to ask, and if not, why. */
function askable(info) {
  if (info) return info.documents > 0 ? "ready" : "empty";
  return picker.first === null ? "none" : "gone";
}

async function search(signal) {
  const request = requestOf(state);
  const reply = await post(request.path, request.body, signal);
  output.showAnswer(request, reply.hits.length > 0 ? found(reply) : renderNothing(mendOf(reply.mode)));
  output.compareWith(requestOf(typed()));
}

function found(reply) {
  const from = state;
  const leave = () => mend({ query: "" });
  const next = (offset) => {
    const { path, body } = requestOf(from, offset);
    return post(path, body);
  };
  return renderHits(reply, { next, failed: (error) => output.showAlert(error), narrow, leave });
}

/** What may bring more where nothing was found. */
function mendOf(mode) {
  if (Object.keys(state.filter).length > 0) {
    return { reason: words.try_filter, mends: [[words.filter.forget, () => mend({ filter: {} })]] };
  }
  if (mode === "keyword") {
    return { reason: words.try_meaning, mends: [[words.search_meaning, () => mend({ mode: "vector" })]] };
  }
  return { reason: words.try_words, mends: [] };
}

/** Follows a button of the answer, which goes; the focus must not go with it. */
function mend(changes) {
  field.focus();
  go(changes);
}

async function offerValues(signal) {
  if (offered === state.collection) return;
  const { collection } = state;
  const { documents } = await listDocuments(collection, { limit: EARLY_DOCUMENTS }, signal);
  offered = collection;
  filter.learn(documents);
}

function setBusy(busy, searching) {
  output.setBusy(busy);
  setSending(busy && searching);
}

function report(error) {
  output.showError(error);
  lookAgainAfter(error);
  if (!(error instanceof ApiError)) throw error;
}

/** Somebody else may have deleted the collection, or a server with another model taken over. */
async function lookAgainAfter(error) {
  if (!["not_found", "conflict"].includes(error.code)) return;
  await refresh(state.collection);
  if (!picker.info(state.collection)) await show();
}

/** Learns what there is now, and shows what a collection holds if it is the one on show. */
async function refresh(collection) {
  try {
    await picker.refresh();
    if (state.collection === collection) picker.show(collection);
  } catch (error) {
    picker.showError(error);
  }
}

/** The collection that a file goes into: the one on show, or a new one of that name. */
async function target(name) {
  if (!picker.info(state.collection)) await choose(name);
  return state.collection;
}

async function choose(name) {
  await createCollection(name);
  await picker.refresh();
  await go({ collection: name, query: "", filter: {} });
}

async function stored(collection) {
  await refresh(collection);
  if (state.collection !== collection) return;
  offered = null; // There may be new values.
  await show();
}

async function loadSample() {
  setSending(true, "sample");
  try {
    const response = await fetch(byId("collection-panel").dataset.sample);
    const file = new File([await response.blob()], "faq.csv", { type: "text/csv" });
    await choose(SAMPLE);
    if (!(await upload.sendFile(file, SAMPLE))) return;
  } catch (error) {
    picker.showError(error);
    return;
  } finally {
    setSending(false, "sample");
  }
  upload.open(false);
  await go({ query: "" });
  conversation.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go({ query: field.value });
});
form.addEventListener("change", ({ target: changed }) => {
  if (changed.name === "mode") go({ query: field.value, mode: changed.value });
});
field.addEventListener("input", () => {
  if (field.value === "" && state.query !== "") go({ query: "" });
  else output.compareWith(requestOf(typed()));
});
for (const button of document.querySelectorAll("[data-question]")) {
  button.addEventListener("click", () => go({ query: button.dataset.question }));
}
for (const button of document.querySelectorAll("[data-example]")) button.addEventListener("click", loadSample);
addEventListener("popstate", () => {
  state = readAddress();
  field.value = state.query;
  show();
});

async function start() {
  if (field.value === "") field.value = state.query; // A switch of the language has filled it again.
  try {
    await picker.refresh();
  } catch (error) {
    picker.showError(error);
    if (error.code === "model_unavailable") setTimeout(start, LOADING_MS); // Soon it will be there.
    return;
  }
  keepOnly(picker.names);
  state.collection ??= picker.first;
  await show();
}

start();
