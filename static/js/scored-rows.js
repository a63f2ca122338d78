// The scored rows of a file, in order.

import { GRADES } from "./score.js";

const COLUMNS = ["query", "document", "score", "grade", "match", "query_tokens", "document_tokens", "truncated"];
const FILE_COLUMNS = ["row", ...COLUMNS, "error"];

/** Kept as columns: a hundred thousand objects would take several times the memory. */
export class ScoredRows {
  #columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));
  #numbers = [];
  #errors = new Map(); // Message by index: nearly every row has none.
  #sum = 0;

  truncated = 0;
  grades = Object.fromEntries(GRADES.map((grade) => [grade, 0]));

  get count() {
    return this.#numbers.length;
  }

  get failed() {
    return this.#errors.size;
  }

  get scored() {
    return this.count - this.failed;
  }

  /** NaN while nothing is scored. */
  get mean() {
    return this.#sum / this.scored;
  }

  /** Takes a row as the API sends it. */
  add(row) {
    if (row.error) this.#errors.set(this.count, row.error.message);
    this.#numbers.push(row.row);
    for (const name of COLUMNS) this.#columns[name].push(row[name]);
    if (row.error) return;
    this.#sum += row.score;
    this.grades[row.grade] += 1;
    if (row.truncated) this.truncated += 1;
  }

  /** A row as it came, with `error` as a text; a failed row lacks what the API left out. */
  at(index) {
    const row = { row: this.#numbers[index], error: this.#errors.get(index) };
    for (const name of COLUMNS) row[name] = this.#columns[name][index];
    return row;
  }

  /** The rows of cells for a file: its header has the API's names in every language, for programs to read. */
  *cells() {
    yield FILE_COLUMNS;
    for (let index = 0; index < this.count; index++) {
      const row = this.at(index);
      yield FILE_COLUMNS.map((name) => row[name]);
    }
  }
}
