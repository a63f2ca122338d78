// The part of the page below the form: an answer, or an error in its place.

import { ApiError } from "./api.js";
import { byId, el } from "./dom.js";
import { format, messages } from "./messages.js";
import { connectSnippetPanel } from "./snippet-panel.js";

/** Two requests with one key have the same answer. */
function keyOf({ path, body, file, fields }) {
  return JSON.stringify([path, body, fields, file && [file.name, file.size, file.lastModified]]);
}

export class Output {
  #showSnippets = connectSnippetPanel();
  #answered = null; // The key of the request whose answer is shown.

  showAnswer(request, { nodes, announcement }) {
    this.#answered = keyOf(request);
    byId("alert").replaceChildren();
    byId("result").replaceChildren(...nodes);
    this.announce(announcement);
    this.#showSnippets(request);
    byId("answer").hidden = false;
    nodes[0].scrollIntoView({ block: "nearest" });
  }

  /** The older answer goes: below the words about a newer request it would be taken for that request's. */
  showError(error) {
    this.#answered = null;
    byId("answer").hidden = true;
    this.announce("");
    this.showAlert(error);
  }

  /** An error with the answer left in place: what came before the error is still right. */
  showAlert(error) {
    byId("alert").replaceChildren(alertOf(error));
    byId("alert").scrollIntoView({ block: "nearest" });
  }

  /** For those who hear the page: it does not show. */
  announce(text) {
    byId("announcement").textContent = text;
  }

  /** Marks the answer as stale unless it is the one to this request, which the fields make now. */
  compareWith(request) {
    const stale = this.#answered !== null && this.#answered !== keyOf(request);
    byId("stale").hidden = !stale;
    byId("answer").classList.toggle("answer--stale", stale);
  }

  setBusy(busy) {
    byId("output").setAttribute("aria-busy", busy);
  }
}

function alertOf(error) {
  const code = error instanceof ApiError && error.code in messages.errors ? error.code : "unknown";
  const words =
    code === "overloaded" && error.retryAfter !== null
      ? format(messages.errors.overloaded_wait, { seconds: error.retryAfter })
      : messages.errors[code];
  const alert = el("div", { class: "alert" }, el("p", { class: "alert__text" }, words));
  // The browser's own words about a failed connection are English and say nothing more.
  if (error.message && code !== "network" && code !== "interrupted") {
    alert.append(el("p", { class: "alert__detail" }, format(messages.errors.detail, { message: error.message })));
  }
  return alert;
}
