// The panel with the request as code: tabs, and a copy button in each.

import { BASE } from "./api.js";
import { byId } from "./dom.js";
import { messages } from "./messages.js";
import { snippetsOf } from "./snippet.js";

const COPIED_MS = 2000;

const ownSnippets = (request) => snippetsOf(BASE + request.path, request);

/** Wires the panel and returns the function that shows a request in it; `write` gives the code for each tab. */
export function connectSnippetPanel(write = ownSnippets) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tabs, tab));
    tab.addEventListener("keydown", (event) => {
      const next = neighbour(tabs, tab, event.key);
      if (!next) return;
      event.preventDefault();
      select(tabs, next);
      next.focus();
    });
  }
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", () => copyFrom(button));
  }
  return (request) => {
    for (const [name, code] of Object.entries(write(request))) {
      byId(`code-${name}`).textContent = code;
    }
  };
}

function select(tabs, chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", tab === chosen);
    tab.tabIndex = tab === chosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  }
}

function neighbour(tabs, tab, key) {
  const index = tabs.indexOf(tab);
  const moves = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: -1 };
  return key in moves ? tabs.at(moves[key] % tabs.length) : null;
}

async function copyFrom(button) {
  const { copied, copy_failed: failed, copy_code: copy } = messages.snippet;
  button.textContent = (await copyText(byId(button.dataset.copies).textContent)) ? copied : failed;
  byId("announcement").textContent = button.textContent;
  clearTimeout(button.resetTimer);
  button.resetTimer = setTimeout(() => {
    button.textContent = copy;
  }, COPIED_MS);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // Plain http has no clipboard object, and a browser may refuse the one it has.
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.className = "visually-hidden";
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}
