// Whether an answer was good: a vote that can be changed and taken back.

import { alertOf } from "./alert.js";
import { post, put, remove } from "./api.js";
import { el } from "./dom.js";
import { messages } from "./messages.js";

const words = messages.chat.talk;
const ROOT = "/api/feedback";
const THUMB = "M6.5 9 9.6 2.6c1.1 0 2 .9 2 2V7.5h3.7c1 0 1.7.9 1.5 1.8l-1 5.2c-.1.7-.8 1.3-1.5 1.3H6.5M6.5 9H3.6v6.8h2.9z";

export class Vote {
  #turn;
  #collection;
  #hooks;
  #busy = false;
  #buttons = new Map([["up", thumb("up")], ["down", thumb("down")]]);
  #alert = el("div", { role: "alert" });

  /** `hooks.changed()` hears that `turn.vote` is another one, and `hooks.announce(text)` what that means. */
  constructor(turn, collection, hooks) {
    this.#turn = turn;
    this.#collection = collection;
    this.#hooks = hooks;
    for (const [verdict, button] of this.#buttons) button.addEventListener("click", () => this.#press(verdict));
    this.element = el("div", { class: "vote" },
      el("div", { class: "vote__buttons", role: "group", "aria-label": words.vote }, ...this.#buttons.values()),
      this.#alert);
    this.#show();
  }

  #show() {
    for (const [verdict, button] of this.#buttons) {
      button.setAttribute("aria-pressed", this.#turn.vote?.verdict === verdict);
    }
  }

  async #press(verdict) {
    if (this.#busy) return;
    this.#busy = true;
    this.#alert.replaceChildren();
    try {
      this.#turn.vote = await this.#send(verdict);
      this.#hooks.changed();
      this.#hooks.announce(this.#turn.vote ? words.voted : words.unvoted);
    } catch (error) {
      this.#alert.replaceChildren(alertOf(error));
    } finally {
      this.#busy = false;
      this.#show();
    }
  }

  /** The vote that stands once a button was pressed; the one that is pressed already takes it back. */
  async #send(verdict) {
    const { vote, question, answer, sources } = this.#turn;
    if (!vote) {
      const cited = sources.map(({ number, document, passage }) => ({ document_id: document.id, number, passage }));
      const { id } = await post(ROOT, { collection: this.#collection, vote: verdict, question, answer, sources: cited });
      return { id, verdict };
    }
    const path = `${ROOT}/${encodeURIComponent(vote.id)}`;
    if (vote.verdict === verdict) {
      await remove(path);
      return null;
    }
    await put(path, { vote: verdict });
    return { ...vote, verdict };
  }
}

function thumb(verdict) {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("class", `icon vote__icon vote__icon--${verdict}`);
  icon.setAttribute("viewBox", "0 0 20 20");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(icon.namespaceURI, "path");
  path.setAttribute("d", THUMB);
  icon.append(path);
  return el("button", { class: "icon-button vote__button", type: "button", title: words[verdict], "aria-label": words[verdict] }, icon);
}
