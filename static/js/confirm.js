// The question that comes before anything is deleted.

import { byId } from "./dom.js";

/** Asks, and tells whether the answer was yes. The browser puts the focus back to where it was. */
export function confirmed({ heading, text }) {
  const dialog = byId("confirm");
  byId("confirm-heading").textContent = heading;
  byId("confirm-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
