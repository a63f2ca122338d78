// Files on their way into a collection: the form, how far they have come, and what became of their rows.

import { alertOf } from "./alert.js";
import { ApiError, postFile } from "./api.js";
import { documentsPath, nameOf } from "./collection.js";
import { byId } from "./dom.js";
import { FileField } from "./file-field.js";
import { countLines } from "./line-count.js";
import { messages } from "./messages.js";
import { Progress } from "./progress.js";
import { setSending } from "./send-button.js";
import { UploadReport } from "./upload-report.js";

const words = messages.chat.upload;
const OPTIONS = ["title_column", "text_column", "id_column", "format", "encoding"];
const UNNAMED = "documents";

export class DocumentUpload {
  #field = new FileField(words.drop_hint);
  #progress = new Progress(() => this.#running?.abort());
  #running = null; // The AbortController of the file that is on its way.
  #hooks;

  /**
   * `target(name)` resolves with the collection that a file goes into, `name` being what a new one would be called;
   * `stored(collection)` hears that it holds more now, and `announce(text)` tells those who hear the page.
   */
  constructor(hooks) {
    this.#hooks = hooks;
    byId("upload-open").addEventListener("click", () => {
      this.open(byId("upload").hidden);
      if (!byId("upload").hidden) byId("file").focus();
    });
    byId("upload-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    byId("file").addEventListener("change", () => {
      if (this.#field.file) this.open(true);
    });
    // The form may be closed when files are dropped on the page, and says what is wrong with them.
    document.addEventListener("drop", ({ dataTransfer }) => {
      if (dataTransfer?.types.includes("Files")) this.open(true);
    });
    addEventListener("beforeunload", (event) => {
      if (this.#running) event.preventDefault(); // The browser asks whether to leave what is not finished.
    });
  }

  open(open) {
    byId("upload").hidden = !open;
    byId("upload-open").setAttribute("aria-expanded", open);
  }

  /** Forgets the last file, unless one is on its way: its report was about another collection. */
  reset() {
    if (this.#running) return;
    byId("upload-alert").replaceChildren();
    byId("upload-report").replaceChildren();
  }

  /** Puts a file into a collection with everything found out, and tells whether all of it came. */
  async sendFile(file, collection) {
    for (const name of OPTIONS) byId(name).value = "";
    this.#field.choose(file);
    return this.#send(collection);
  }

  async #send(collection) {
    if (!this.#field.check()) return false;
    const { file } = this.#field;
    this.#running?.abort();
    const controller = new AbortController();
    this.#running = controller;
    const report = new UploadReport(file.name);
    this.#begin();
    let target = collection;
    try {
      target ??= await this.#hooks.target(nameOf(file.name.replace(/\.[^.]*$/, "")) || UNNAMED);
      await this.#receive(target, file, report, controller.signal);
      if (this.#running === controller) this.#field.clear();
    } catch (error) {
      this.#tell(error, controller);
    } finally {
      if (this.#running === controller) this.#end(report);
    }
    if (target) await this.#hooks.stored(target);
    return report.complete;
  }

  async #receive(collection, file, report, signal) {
    let lines = null;
    countLines(file).then((count) => {
      lines = count;
    }, () => {}); // A file that cannot be read any more fails the request, which says so.
    for await (const batch of postFile(documentsPath(collection), { file, fields: this.#fields() }, signal)) {
      for (const line of batch) {
        if (line.start) this.#hooks.announce(words.started);
        if (line.error) throw new ApiError(line.error.code, line.error.message);
        report.take(line);
      }
      this.#progress.show(report.rows, report.totalOf(lines));
      byId("upload-report").replaceChildren(...report.nodes);
    }
    if (!report.complete) throw new ApiError("interrupted");
    this.#hooks.announce(report.closing);
  }

  #fields() {
    const fields = OPTIONS.map((name) => [name, byId(name).value.trim()]).filter(([, value]) => value !== "");
    return Object.fromEntries(fields);
  }

  #begin() {
    byId("upload-alert").replaceChildren();
    byId("upload-report").replaceChildren();
    setSending(true, "upload-send");
    this.#progress.start();
  }

  #end(report) {
    this.#running = null;
    setSending(false, "upload-send");
    this.#progress.end();
    report.finish(this.#progress.seconds);
    byId("upload-report").replaceChildren(...report.nodes);
  }

  #tell(error, controller) {
    if (this.#running !== controller) return; // A newer file took over.
    if (controller.signal.aborted) {
      this.#hooks.announce(words.stopped);
      return;
    }
    this.open(true);
    byId("upload-alert").replaceChildren(alertOf(error));
    if (error.code === "invalid_input") byId("options").open = true; // The columns are named there.
    if (!(error instanceof ApiError)) throw error;
  }
}
