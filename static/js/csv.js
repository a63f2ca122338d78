// Results as a CSV file that a spreadsheet opens as it stands, and that runs nothing in it.

import { el } from "./dom.js";
import { messages } from "./messages.js";

const BYTE_ORDER_MARK = "\ufeff"; // Without it Excel reads the file in the computer's old encoding.
const FORMULA = /^[=+\-@\t\r]/; // A spreadsheet would calculate a text that begins so.
const SPECIAL = /[",\r\n]/;
const LINES_A_PART = 1000;
const REVOKE_MS = 60_000;

/** A button that saves rows of cells under a name; `rows()` is asked when it is pressed. */
export function downloadButton(name, rows) {
  const button = el("button", { class: "quiet-button", type: "button" }, messages.result.download);
  button.addEventListener("click", () => save(name(), csvParts(rows())));
  return button;
}

/** Pieces of the file, so that a large one never is one string. */
function csvParts(rows) {
  const parts = [BYTE_ORDER_MARK];
  let lines = [];
  for (const row of rows) {
    lines.push(`${row.map(cellText).join(",")}\r\n`);
    if (lines.length === LINES_A_PART) {
      parts.push(lines.join(""));
      lines = [];
    }
  }
  return [...parts, lines.join("")];
}

/** A number stays one, a negative one too; an absent cell is empty. */
function cellText(cell) {
  if (typeof cell === "number") return String(cell);
  const text = String(cell ?? "");
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return SPECIAL.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function save(name, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type: "text/csv;charset=utf-8" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS); // A browser may read the file after it has asked where to.
}
