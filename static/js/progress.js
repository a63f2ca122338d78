// How far a file has been scored.

import { byId } from "./dom.js";
import { format, messages } from "./messages.js";
import { secondsText } from "./score.js";

const words = messages.file;
const TICK_MS = 500;

export class Progress {
  #started = 0;
  #timer = null;

  /** `stop` is called when somebody presses the button to stop. */
  constructor(stop) {
    byId("stop").addEventListener("click", stop);
  }

  get seconds() {
    return (performance.now() - this.#started) / 1000;
  }

  start() {
    this.#started = performance.now();
    byId("progress-text").textContent = words.uploading;
    this.#showShare(null);
    this.#showTime();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#showTime(), TICK_MS);
    byId("progress").hidden = false;
  }

  /** `total` is about how many rows there are, or null where nobody knows. */
  show(rows, total) {
    const known = total !== null && rows <= total;
    byId("progress-text").textContent = format(known ? words.progress_of : words.progress, { rows, total });
    this.#showShare(known ? rows / total : null);
  }

  end() {
    clearInterval(this.#timer);
    byId("progress").hidden = true;
  }

  #showTime() {
    byId("progress-time").textContent = secondsText(Math.floor(this.seconds));
  }

  #showShare(share) {
    const bar = byId("progress-bar");
    bar.classList.toggle("progress__track--unknown", share === null);
    if (share === null) {
      bar.removeAttribute("aria-valuenow");
      return;
    }
    bar.setAttribute("aria-valuenow", Math.round(100 * share));
    bar.style.setProperty("--share", share);
  }
}
