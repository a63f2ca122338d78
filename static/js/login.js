// Reloading the page behind a wrong key, as the language switch does, would send that key again.
history.replaceState(null, "", location.href);

// A browser keeps the cookie to itself when a link on another site leads here. This page is no other site: where it is
// told to go on, so is the reader.
const { type } = await fetch(location.href, { redirect: "manual" });
if (type === "opaqueredirect") location.replace(location.href);
