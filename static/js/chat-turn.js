// A question and its answer, as they stand in the conversation.

import { alertOf } from "./alert.js";
import { Sources } from "./chat-sources.js";
import { CitedText } from "./chat-text.js";
import { Vote } from "./chat-vote.js";
import { el } from "./dom.js";
import { format, messages } from "./messages.js";

const words = messages.chat.talk;

/** What is known of a question that nobody has answered yet. `state` becomes "done", "stopped" or "failed". */
export function newTurn(question) {
  return { question, state: "running", found: null, answer: "", sources: [], generator: "", vote: null };
}

export class TurnView {
  #turn;
  #collection;
  #hooks;
  #sources = null;
  #waiting = el("p", { class: "turn__waiting" }, words.looking);
  #answer = el("p", { class: "turn__answer", hidden: true });
  #below = el("div", { class: "turn__below" });
  #text = new CitedText(this.#answer, (number) => this.#sources?.citation(number));

  /**
   * `hooks` are `narrow(key, value)` for a condition that is pressed, `search(question)` for a search instead,
   * `again(view)` to ask once more, `changed()` for a vote, and `announce(text)`.
   */
  constructor(turn, collection, hooks) {
    this.#turn = turn;
    this.#collection = collection;
    this.#hooks = hooks;
    this.element = el("li", { class: "turn" },
      el("h3", { class: "turn__question" },
        el("span", { class: "visually-hidden" }, `${words.asked}: `), turn.question),
      el("div", { class: "turn__reply" }, this.#waiting, this.#answer, this.#below));
    if (turn.state !== "running") this.#restore();
  }

  get turn() {
    return this.#turn;
  }

  /** What is near the question; the answer comes after it. */
  showFound({ found, sources, generator }) {
    Object.assign(this.#turn, { found, sources, generator });
    if (!found) return;
    this.#waiting.textContent = words.writing;
    this.#sources = new Sources(sources, this.#hooks.narrow);
    this.#below.append(this.#sources.element);
  }

  append(piece) {
    this.#turn.answer += piece;
    if (!this.#turn.found) return; // The page says so in the reader's language.
    this.#waiting.hidden = true;
    this.#answer.hidden = false;
    this.#text.append(piece);
  }

  /** Nothing comes any more; `error` is why, where it failed. */
  end(state, error) {
    this.#turn.state = state;
    this.#text.end();
    this.#waiting.remove();
    if (state === "failed") this.#below.prepend(error ? raised(error) : notice(words.broken), this.#againButton());
    else if (state === "stopped") this.#below.prepend(notice(words.stopped), this.#againButton());
    else if (!this.#turn.found) this.#below.append(this.#nothing());
    else this.#below.append(this.#foot());
  }

  /** What is read out once the answer is whole. */
  get spoken() {
    if (this.#turn.state === "stopped") return words.stopped;
    return this.#turn.found ? format(words.spoken, { answer: this.#turn.answer }) : words.nothing;
  }

  #restore() {
    const { state, answer } = this.#turn;
    if (this.#turn.found) {
      this.showFound(this.#turn);
      this.#answer.hidden = answer === "";
      this.#text.append(answer);
    }
    this.end(state);
  }

  #nothing() {
    const button = el("button", { class: "quiet-button", type: "button" }, words.nothing_search);
    button.addEventListener("click", () => this.#hooks.search(this.#turn.question));
    return el("div", { class: "turn__nothing" },
      el("p", { class: "turn__none" }, words.nothing),
      el("p", { class: "turn__hint" }, words.nothing_hint),
      button);
  }

  #againButton() {
    const button = el("button", { class: "quiet-button turn__again", type: "button" }, words.again);
    button.addEventListener("click", () => this.#hooks.again(this));
    return button;
  }

  #foot() {
    const { generator } = this.#turn;
    const origin = generator === "extractive" ? words.quoted : words.written;
    return el("div", { class: "turn__foot" },
      new Vote(this.#turn, this.#collection, this.#hooks).element,
      el("p", { class: "turn__origin" }, origin));
  }
}

function raised(error) {
  return el("div", { role: "alert" }, alertOf(error));
}

function notice(text) {
  return el("p", { class: "notice" }, text);
}
