// The fields of a form: filling them, and saying at a field what is wrong with it.

import { byId } from "./dom.js";

/** The fields' texts by name. */
export function valuesOf(fields) {
  return Object.fromEntries(fields.map((field) => [field.name, field.value]));
}

/** Whether each switch is on, by name. */
export function statesOf(switches) {
  return Object.fromEntries(switches.map((field) => [field.name, field.checked && !field.disabled]));
}

/** Fills the fields from texts by name; listeners hear of it as if somebody had typed. */
export function fill(fields, texts) {
  for (const field of fields) {
    field.value = texts[field.name];
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/** Shows problems, messages by field name, at their fields and goes to the first one; true when there are none. */
export function showProblems(fields, problems) {
  for (const field of fields) showProblem(field, problems[field.name] ?? null);
  const first = fields.find((field) => field.name in problems);
  first?.focus();
  return first === undefined;
}

export function showProblem(field, problem) {
  const place = byId(`${field.id}-problem`);
  place.textContent = problem ?? "";
  place.hidden = problem === null;
  if (problem === null) field.removeAttribute("aria-invalid");
  else field.setAttribute("aria-invalid", "true");
}
