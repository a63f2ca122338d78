// The conversation about a collection: asking, and answers that arrive piece by piece.

import { ApiError, postEvents } from "./api.js";
import { loadTurns, saveTurns } from "./chat-store.js";
import { newTurn, TurnView } from "./chat-turn.js";
import { collectionPath } from "./collection.js";
import { byId } from "./dom.js";
import { format, messages } from "./messages.js";

const words = messages.chat.talk;
const REMEMBERED_TURNS = 6; // Sent along, so that a question may refer to what was said.
const ABOVE = 16; // Pixels left above a question whose answer is longer than the screen.

export class Conversation {
  #hooks;
  #collection; // The one that is asked; undefined before the first is shown.
  #views = [];
  #running = null; // The AbortController of the answer that is on its way.
  #field = byId("question");

  /**
   * `narrow(key, value)` adds a condition to the list of documents, `search(query)` searches them, and `failed(error)`
   * hears why an answer did not come.
   */
  constructor(hooks) {
    this.#hooks = hooks;
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendTyped();
    });
    this.#field.addEventListener("keydown", (event) => {
      // The Enter that ends a syllable is not the reader's: 229 is what Safari tells of it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      if (!event.repeat) this.#sendTyped();
    });
    byId("ask-stop").addEventListener("click", () => this.#stop());
    byId("fresh").addEventListener("click", () => this.#begin());
    for (const button of document.querySelectorAll("[data-ask]")) {
      button.addEventListener("click", () => this.ask(button.dataset.ask));
    }
    addEventListener("pagehide", () => this.#save());
  }

  /**
   * Shows what was said about a collection; `info` is its description, or undefined where there is none.
   *
   * `state` is whether it can be asked: "ready", or "empty", "gone", or "none" where there is no collection at all.
   */
  show(collection, info, state) {
    if (this.#collection !== collection) {
      this.#save();
      this.#stop();
      this.#collection = collection;
      this.#fill(info ? loadTurns(collection) : []);
    }
    byId("ask").hidden = state !== "ready";
    byId("turns").hidden = state !== "ready";
    byId("about").textContent = info ? format(words.about, { name: info.name, count: info.documents }) : "";
    this.#showWelcome(state);
  }

  /** Goes to where the next question is typed, unless that would lay a phone's keyboard over the answer. */
  focus() {
    const place = matchMedia("(pointer: coarse)").matches ? byId("turns") : this.#field;
    place.focus({ preventScroll: true });
  }

  async ask(question) {
    if (this.#running) return;
    const history = this.#history();
    const controller = new AbortController();
    const view = this.#add(newTurn(question));
    this.#setRunning(controller);
    this.#announce(words.looking);
    this.focus();
    const body = { question, history, stream: true };
    try {
      await this.#receive(view, postEvents(`${collectionPath(this.#collection)}/ask`, body, controller.signal));
      this.#end(view, "done");
    } catch (error) {
      this.#fail(view, error, controller.signal);
    } finally {
      if (this.#running === controller) this.#setRunning(null);
    }
  }

  async #receive(view, events) {
    for await (const { name, value } of events) {
      const atEnd = this.#below(view) <= ABOVE;
      if (name === "sources") view.showFound(value);
      else if (name === "text") view.append(value.text);
      else if (name === "error") throw new ApiError(value.code, value.message);
      else if (name === "done") return;
      if (atEnd) this.#follow(view);
    }
    throw new ApiError("interrupted");
  }

  #fail(view, error, signal) {
    if (signal.aborted) {
      this.#end(view, "stopped");
      return;
    }
    this.#end(view, "failed", error);
    this.#hooks.failed(error);
    if (!(error instanceof ApiError)) throw error;
  }

  #end(view, state, error) {
    const atEnd = this.#below(view) <= ABOVE;
    view.end(state, error);
    if (!this.#views.includes(view)) return; // Another collection's conversation is on show.
    if (atEnd) this.#follow(view);
    if (state !== "failed") this.#announce(view.spoken); // An error is an alert, which is read out anyhow.
    this.#save();
  }

  #sendTyped() {
    const question = this.#field.value.trim();
    if (question === "" || this.#running) {
      this.focus();
      return;
    }
    this.#field.value = "";
    this.ask(question);
  }

  #stop() {
    this.#running?.abort();
  }

  /** Asks once more what was not answered. */
  #again(view) {
    if (this.#running) return;
    this.#views = this.#views.filter((one) => one !== view);
    view.element.remove();
    this.ask(view.turn.question);
  }

  /** Begins anew. */
  #begin() {
    this.#stop();
    this.#fill([]);
    this.#save();
    this.#showWelcome("ready");
    this.#announce(words.fresh_done);
    this.focus();
  }

  #fill(turns) {
    this.#views = [];
    byId("turns").replaceChildren();
    for (const turn of turns) this.#add(turn);
  }

  #add(turn) {
    const view = new TurnView(turn, this.#collection, {
      narrow: this.#hooks.narrow,
      search: this.#hooks.search,
      again: (failed) => this.#again(failed),
      changed: () => this.#save(),
      announce: (text) => this.#announce(text),
    });
    this.#views.push(view);
    byId("turns").append(view.element);
    if (turn.state === "running") this.#follow(view);
    this.#showWelcome("ready");
    return view;
  }

  #showWelcome(state) {
    const empty = this.#views.length === 0 || state !== "ready";
    byId("welcome").hidden = !empty;
    byId("fresh").hidden = empty;
    for (const part of byId("welcome").children) part.hidden = part.dataset.state !== state;
    byId("starters").hidden = this.#collection !== byId("starters").dataset.collection;
  }

  /** What was said, as the API takes it: what was answered in part or not at all is left out. */
  #history() {
    const turns = this.#views.map((view) => view.turn).filter(({ state, answer }) => state === "done" && answer !== "");
    return turns.slice(-REMEMBERED_TURNS).flatMap(({ question, answer }) => [
      { role: "user", content: question },
      { role: "assistant", content: answer },
    ]);
  }

  /** A page that is left in the middle of an answer comes back with the part that was there. */
  #save() {
    if (!this.#collection) return;
    const turns = this.#views.map(({ turn }) => (turn.state === "running" ? { ...turn, state: "stopped" } : turn));
    saveTurns(this.#collection, turns);
  }

  #setRunning(controller) {
    this.#running = controller;
    byId("ask-send").hidden = controller !== null;
    byId("ask-stop").hidden = controller === null;
    byId("turns").setAttribute("aria-busy", controller !== null);
    if (document.activeElement === document.body) this.focus(); // The button that was pressed has gone.
  }

  /** How far the end of an answer is below what can be seen, in pixels. */
  #below(view) {
    return view.element.getBoundingClientRect().bottom - byId("ask").getBoundingClientRect().top;
  }

  /** Scrolls to the end of an answer, unless its question would leave the screen. */
  #follow(view) {
    const room = view.element.getBoundingClientRect().top - ABOVE;
    const way = Math.min(this.#below(view) + ABOVE, room);
    if (way > 0) scrollBy({ top: way, behavior: "instant" });
  }

  /** For those who hear the page: an answer is read out once, when it is whole. */
  #announce(text) {
    byId("said").textContent = text;
  }
}
