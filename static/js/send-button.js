// A button that sends a form.

import { byId } from "./dom.js";

/** The button stays usable while a request runs: pressing it again replaces that request. */
export function setSending(sending, id = "send") {
  const button = byId(id);
  const label = button.querySelector(".button__label");
  button.dataset.idle ??= label.textContent;
  label.textContent = sending ? button.dataset.sending : button.dataset.idle;
  button.setAttribute("aria-busy", sending);
}
