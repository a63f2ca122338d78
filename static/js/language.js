// The language switch: a cookie for the server, and what was typed for the same page in the other language.

import { byId } from "./dom.js";

const COOKIE = "ssang_language"; // The server reads it: webapp/routes/pages.py.
const STORED = "ssang-typed";
const YEAR_S = 365 * 24 * 60 * 60;

/** Whether the page showed an answer to what it is filled with again. */
export const hadAnswer = restore();

byId("language").addEventListener("click", ({ currentTarget }) => {
  keep();
  const path = document.documentElement.dataset.root || "/";
  document.cookie = `${COOKIE}=${currentTarget.lang}; Max-Age=${YEAR_S}; Path=${path}; SameSite=Lax`;
  location.reload();
});

/** A script cannot choose a file again, so a chosen file is not kept. */
function fields() {
  return [...(byId("form")?.elements ?? [])].filter(({ name, type }) => name && type !== "file");
}

function keep() {
  const typed = {
    path: location.pathname,
    values: fields().map((field) => (field.type === "checkbox" ? field.checked : field.value)),
    answered: byId("answer")?.hidden === false,
  };
  try {
    sessionStorage.setItem(STORED, JSON.stringify(typed));
  } catch {} // Storage throws where the browser blocks it and where it is full; the fields then come back empty.
}

function restore() {
  try {
    const typed = JSON.parse(sessionStorage.getItem(STORED));
    sessionStorage.removeItem(STORED);
    if (typed?.path !== location.pathname) return false;
    for (const [index, field] of fields().entries()) {
      if (field.type === "checkbox") field.checked = typed.values[index];
      else field.value = typed.values[index];
    }
    return typed.answered;
  } catch {
    return false;
  }
}
