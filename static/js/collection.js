// The API of collections.

import { get, put, remove } from "./api.js";

const ROOT = "/api/collections";

export function collectionPath(name) {
  return `${ROOT}/${encodeURIComponent(name)}`;
}

export function documentsPath(name) {
  return `${collectionPath(name)}/documents`;
}

/** Descriptions of all collections. */
export async function listCollections() {
  return (await get(ROOT)).collections;
}

export function createCollection(name) {
  return put(collectionPath(name));
}

export function deleteCollection(name) {
  return remove(collectionPath(name));
}

/** Some documents: `{documents, total}`. */
export function listDocuments(name, { offset = 0, limit, filter = {} }, signal) {
  const parameters = new URLSearchParams({ offset, limit, filter: JSON.stringify(filter) });
  return get(`${documentsPath(name)}?${parameters}`, signal);
}

export function deleteDocument(name, id) {
  return remove(`${documentsPath(name)}/${encodeURIComponent(id)}`);
}

const NAME = /^[a-z0-9가-힣][a-z0-9가-힣_-]{0,63}$/;

/** Whether a collection may be called so: inference/corpus/base.py says the same. */
export function isName(text) {
  return NAME.test(text);
}

/** The name that a text comes closest to, or "" where nothing is left of it. Some systems write Hangul in parts. */
export function nameOf(text) {
  return text
    .normalize("NFC")
    .toLowerCase()
    .replace(/[^a-z0-9가-힣_-]+/g, "-")
    .replace(/^[-_]+|-+$/g, "")
    .slice(0, 64);
}
