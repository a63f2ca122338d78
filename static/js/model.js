// The model behind the page: its description for whoever needs it, and its state in the header.

import { BASE, get } from "./api.js";
import { byId } from "./dom.js";
import { messages } from "./messages.js";

const POLL_MS = 1000;
const LONGEST_POLL_MS = 60_000;

let pending = null;

/** The reply of /api/info, asked for once; null where the model cannot be described now. */
export function modelInfo() {
  pending ??= get("/api/info").catch(() => {
    pending = null;
    return null;
  });
  return pending;
}

/** "ready", or a key of the messages under `model`. */
async function readiness() {
  try {
    const response = await fetch(`${BASE}/ready`, { cache: "no-store" });
    const { status } = await response.json();
    return status === "ready" || status in messages.model ? status : "loading";
  } catch {
    return "unreachable";
  }
}

async function watch(badge) {
  const text = badge.querySelector(".model__text");
  const show = (state, words) => {
    if (badge.dataset.state === state) return; // A status region that is set again is read out again.
    badge.dataset.state = state;
    text.textContent = words;
  };
  let wait = POLL_MS;
  for (let state = await readiness(); state !== "ready"; state = await readiness()) {
    show(state, messages.model[state]);
    await new Promise((resolve) => setTimeout(resolve, wait));
    // A load ends soon; a failed model or a server that is away may stay so while a forgotten page is open for days.
    wait = state === "loading" ? POLL_MS : Math.min(2 * wait, LONGEST_POLL_MS);
  }
  const info = await modelInfo();
  show("ready", info ? `${info.model} · ${info.device}` : messages.model.unnamed);
}

watch(byId("model"));
