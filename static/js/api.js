// The JSON API: requests out, replies or one kind of error in.

import { jsonLines } from "./json-lines.js";
import { serverEvents } from "./server-events.js";

/** The app's address without a trailing slash; a proxy may have mounted it below the origin's root. */
export const BASE = location.origin + document.documentElement.dataset.root;

export class ApiError extends Error {
  /** `code` is the API's error code, or "network", "interrupted" or "unknown"; `retryAfter` is in seconds, or null. */
  constructor(code, message = "", retryAfter = null) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export function get(path, signal) {
  return request(path, { signal });
}

/** Without a body, nothing is sent but the request. */
export function put(path, body) {
  return request(path, body === undefined ? { method: "PUT" } : withJson("PUT", body));
}

/** What is deleted answers with nothing. */
export async function remove(path) {
  await answerTo(path, { method: "DELETE" });
}

/** An aborted request rejects with the signal's reason, everything else with ApiError. */
export function post(path, body, signal) {
  return request(path, withJson("POST", body, signal));
}

/** Yields the server-sent events of the reply as they come, `{name, value}`; rejects as `post` does. */
export async function* postEvents(path, body, signal) {
  const response = await answerTo(path, withJson("POST", body, signal));
  yield* unbroken(serverEvents(response.body), signal);
}

/** Sends a form with a file and yields the lines of the reply as they come, some at a time; rejects as `post` does. */
export async function* postFile(path, { file, fields }, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file);
  const response = await answerTo(path, { method: "POST", body: form, signal });
  yield* unbroken(jsonLines(response.body), signal);
}

function withJson(method, body, signal) {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
}

/** What a reply is made of; that it broke off is an error of ours, unless we aborted it. */
async function* unbroken(parts, signal) {
  try {
    yield* parts;
  } catch (error) {
    signal.throwIfAborted();
    throw new ApiError("interrupted", error.message);
  }
}

async function request(path, options) {
  const response = await answerTo(path, options);
  return JSON.parse(await reached(response.text(), options.signal));
}

async function answerTo(path, options) {
  const response = await reached(fetch(BASE + path, options), options.signal);
  if (!response.ok) throw refusal(response, await reached(response.text(), options.signal));
  return response;
}

/** What a promise of the network gives; that it gave nothing is an error of ours, unless we aborted it. */
async function reached(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw new ApiError("network", error.message);
  }
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
