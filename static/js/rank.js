// The page that ranks documents: a list for one query, a heat map for several.

import { byId } from "./dom.js";
import { connectForm } from "./form.js";
import { renderHeatMap } from "./heat-map.js";
import { format, messages } from "./messages.js";
import { renderRanking } from "./ranking.js";

const words = messages.rank;

/** Blank lines are left out here, so that the API's indexes are positions in these very lists. */
function linesOf(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function read(values) {
  const queries = linesOf(values.queries);
  const documents = linesOf(values.documents);
  if (queries.length > 1) {
    return {
      path: "/api/matrix",
      body: { queries, documents },
      queries,
      documents,
      printing: 'for row in response.json()["scores"]:\n    print(row)',
    };
  }
  return {
    path: "/api/rank",
    body: { query: queries[0] ?? "", documents, ...(values.chunk && { long: "chunk" }) },
    queries,
    documents,
    printing: 'for result in response.json()["results"]:\n    print(result["index"], result["score"])',
  };
}

function missing({ queries, documents }) {
  return {
    ...(queries.length === 0 && { queries: words.queries_missing }),
    ...(documents.length === 0 && { documents: words.documents_missing }),
  };
}

function render(reply, request, info) {
  return request.queries.length > 1 ? renderHeatMap(reply, request, info) : renderRanking(reply, request);
}

function countLines(name, template) {
  const field = byId(name);
  const show = () => {
    byId(`${name}-count`).textContent = format(template, { count: linesOf(field.value).length });
  };
  field.addEventListener("input", show);
  show();
}

/** The API compares in parts for one query only; the switch says so while there are several. */
function connectSwitch() {
  const field = byId("queries");
  const show = () => {
    const single = linesOf(field.value).length <= 1;
    byId("chunk").disabled = !single;
    byId("chunk-hint").textContent = single ? words.chunk_hint : words.chunk_single;
  };
  field.addEventListener("input", show);
  show();
}

const examples = words.examples.map(({ queries, documents }) => ({
  queries: queries.join("\n"),
  documents: documents.join("\n"),
}));

countLines("queries", words.query_lines);
countLines("documents", words.document_lines);
connectSwitch();
connectForm({ examples, read, missing, render });
