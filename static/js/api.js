// The JSON API: requests out, replies or one kind of error in.

/** The app's address without a trailing slash; a proxy may have mounted it below the origin's root. */
export const BASE = location.origin + document.documentElement.dataset.root;

export class ApiError extends Error {
  /** `code` is the API's error code, or "network" or "unknown"; `retryAfter` is in seconds, or null. */
  constructor(code, message = "", retryAfter = null) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export function get(path) {
  return request(path, {});
}

/** An aborted request rejects with the signal's reason, everything else with ApiError. */
export function post(path, body, signal) {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

async function request(path, options) {
  let response;
  let reply;
  try {
    response = await fetch(BASE + path, options);
    reply = await response.text();
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new ApiError("network", error.message);
  }
  if (!response.ok) throw refusal(response, reply);
  return JSON.parse(reply);
}

function refusal(response, reply) {
  const { code, message } = errorBody(reply) ?? { code: "unknown", message: `HTTP ${response.status}` };
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  return new ApiError(code, message, Number.isNaN(seconds) ? null : seconds);
}

/** The API's error object, or undefined where something else answered, such as a proxy with a page of its own. */
function errorBody(reply) {
  try {
    return JSON.parse(reply).error;
  } catch {
    return undefined;
  }
}
