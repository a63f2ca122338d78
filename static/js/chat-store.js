// Conversations that survive a reload: they stay in the tab, and go with it.

const STORED = "ssang-conversations";
const MOST_TURNS = 30;
const LONGEST_TEXT = 2000; // Of a source: a tab has room for a few million characters.
const AROUND = 600;

/** What was said about a collection, oldest first. */
export function loadTurns(collection) {
  return stored()[collection] ?? [];
}

export function saveTurns(collection, turns) {
  const { [collection]: _, ...others } = stored();
  const kept = turns.slice(-MOST_TURNS).map(lasting);
  keep(kept.length > 0 ? { ...others, [collection]: kept } : others);
}

/** Forgets what was said about collections that are gone. */
export function keepOnly(collections) {
  keep(Object.fromEntries(Object.entries(stored()).filter(([collection]) => collections.includes(collection))));
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? {};
  } catch {
    return {};
  }
}

function keep(conversations) {
  try {
    if (Object.keys(conversations).length > 0) sessionStorage.setItem(STORED, JSON.stringify(conversations));
    else sessionStorage.removeItem(STORED);
  } catch {} // Storage throws where the browser blocks it and where it is full; a reload then begins anew.
}

function lasting({ sources, ...turn }) {
  return { ...turn, sources: sources.map((source) => ({ ...source, document: shortened(source) })) };
}

/** A long document around its passage; `start` is how many code points of its text are left out before. */
function shortened({ document, passage }) {
  if ("start" in document) return document;
  const points = [...document.text];
  if (points.length <= LONGEST_TEXT) return document;
  const place = passage.field === "text" ? passage : { start: 0, end: 0 };
  const start = Math.max(0, place.start - AROUND);
  const text = points.slice(start, place.end + AROUND).join("");
  return { ...document, text, start };
}
