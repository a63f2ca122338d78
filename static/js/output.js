// The part of the page below the form: an answer, or an error in its place.

import { alertOf } from "./alert.js";
import { byId } from "./dom.js";
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
    this.clear();
    this.announce("");
    this.showAlert(error);
  }

  clear() {
    this.#answered = null;
    byId("answer").hidden = true;
    byId("alert").replaceChildren();
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
