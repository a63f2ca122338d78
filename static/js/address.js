// What the page of collections shows, kept in its address: a link leads there, and a reload back.

const MODES = ["vector", "keyword", "hybrid"];

/**
 * The state that an address names.
 *
 * `collection` is null where none is named; `mode` is "" for the server's choice; `filter` is the API's.
 */
export function readAddress() {
  const parameters = new URLSearchParams(location.search);
  return {
    collection: parameters.get("collection"),
    query: parameters.get("q") ?? "",
    mode: MODES.find((mode) => mode === parameters.get("mode")) ?? "",
    filter: parsedFilter(parameters.get("filter")),
  };
}

/** Writes the state into the address; a new one becomes a step of the browser's history. */
export function writeAddress({ collection, query, mode, filter }) {
  const named = {
    collection,
    q: query,
    mode,
    filter: Object.keys(filter).length > 0 ? JSON.stringify(filter) : "",
  };
  const parameters = new URLSearchParams(Object.entries(named).filter(([, value]) => value));
  const address = `${location.pathname}?${parameters}`.replace(/\?$/, "");
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
}

/** Somebody may have edited the address. */
function parsedFilter(text) {
  try {
    const filter = JSON.parse(text);
    return filter instanceof Object && !Array.isArray(filter) ? filter : {};
  } catch {
    return {};
  }
}
