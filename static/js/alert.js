// What went wrong, in the page's words.

import { ApiError } from "./api.js";
import { el } from "./dom.js";
import { format, messages } from "./messages.js";

/** A box with what an error means to the reader, and what the server says about it. */
export function alertOf(error) {
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
