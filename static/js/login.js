import { keepOnly } from "./chat-store.js";

keepOnly([]); // Whoever signs in next in this tab need not be the one who asked.

// A link may bring the key behind its #, where no server or log sees it.
const linked = new URLSearchParams(location.hash.slice(1)).get("key");

// Neither does it stay in the address, nor would reloading the page behind a wrong key, as the language switch does,
// send that key again.
history.replaceState(null, "", location.pathname + location.search);

if (linked) {
  const field = document.querySelector("#key");
  field.value = linked;
  field.form.requestSubmit();
} else {
  // A browser keeps the cookie to itself when a link on another site leads here. This page is no other site: where it
  // is told to go on, so is the reader.
  const { type } = await fetch(location.href, { redirect: "manual" });
  if (type === "opaqueredirect") location.replace(location.href);
}
