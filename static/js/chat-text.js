// The text of an answer, which comes in pieces and cites its sources as [1], [2].

const CITATION = /\[(\d{1,2})\]/;
const OPEN = /\[\d{0,2}$/; // What the next piece may make a citation of.

export class CitedText {
  #element;
  #cite;
  #open = "";

  /** `cite(number)` gives what stands for a citation, or undefined where there is no such source. */
  constructor(element, cite) {
    this.#element = element;
    this.#cite = cite;
  }

  append(piece) {
    const text = this.#open + piece;
    this.#open = OPEN.exec(text)?.[0] ?? "";
    this.#write(text.slice(0, text.length - this.#open.length));
  }

  /** Nothing comes any more. */
  end() {
    this.#write(this.#open);
    this.#open = "";
  }

  #write(text) {
    const nodes = text.split(CITATION).map((part, index) => (index % 2 === 0 ? part : this.#citation(part)));
    this.#element.append(...nodes.filter((node) => node !== ""));
  }

  #citation(digits) {
    return this.#cite(Number(digits)) ?? `[${digits}]`;
  }
}
