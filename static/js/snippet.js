// A request as a program somebody can paste. Both snippets hold for any text.

// Characters that JSON leaves bare although a terminal would act on them or a reader would not see them.
const UNPRINTABLE = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Indented JSON in which every line break, quote and control character inside a text is escaped. */
export function printableJson(body, indent) {
  const escape = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(body, null, indent).replace(UNPRINTABLE, escape);
}

// A reader with a cookie here needs the key itself elsewhere; it is never in the page.
export const NEEDS_KEY = "signedIn" in document.documentElement.dataset;
const CURL_KEY = NEEDS_KEY ? [`-H "Authorization: Bearer $SSANG_API_KEY"`] : [];
const PYTHON_HEADERS = `{"Authorization": "Bearer " + os.environ["SSANG_API_KEY"]}`;

/** A request as code for each tab of the panel. A request has a JSON `body`, or a `file` with the form's `fields`. */
export function snippetsOf(url, request) {
  return request.file
    ? { curl: curlFileSnippet(url, request), python: pythonFileSnippet(url, request) }
    : { curl: curlSnippet(url, request), python: pythonSnippet(url, request) };
}

/** The shell reads a quoted heredoc as it stands, and no line of the JSON can be its end mark. */
export function curlSnippet(url, { body }) {
  const options = [...CURL_KEY, "-H 'Content-Type: application/json'", "--data-binary @- <<'JSON'"];
  return `${[`curl -sS '${url}'`, ...options].join(" \\\n  ")}
${printableJson(body, 2)}
JSON`;
}

/**
 * JSON of objects, lists, texts and numbers is a Python literal too, escapes included.
 * `printing` are the lines that show the reply; they may use `payload` and `response`.
 */
function pythonSnippet(url, { body, printing }) {
  const headers = NEEDS_KEY ? `, headers=${PYTHON_HEADERS}` : "";
  return `${pythonImports()}

payload = ${printableJson(body, 4)}
response = requests.post("${url}", json=payload${headers}, timeout=60)
response.raise_for_status()
${printing}`;
}

function curlFileSnippet(url, { file, fields }) {
  // A comma or a semicolon would end the name for curl, unless it stands in curl's own quotes.
  const name = /[",;\\]/.test(file.name) ? `"${file.name.replace(/["\\]/g, "\\$&")}"` : file.name;
  const options = Object.entries(fields).map(([field, value]) => `--form-string ${shellQuoted(`${field}=${value}`)}`);
  return [`curl -sN '${url}'`, ...CURL_KEY, ...options, `-F ${shellQuoted(`file=@${name}`)}`].join(" \\\n  ");
}

function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Modules of the standard library stand before others, behind a blank line. */
function pythonImports(...modules) {
  const standard = NEEDS_KEY ? [...modules, "os"] : modules;
  const blocks = [standard.map((name) => `import ${name}`).join("\n"), "import requests"];
  return blocks.filter(Boolean).join("\n\n");
}

/** Rows are printed as they come; `printing` are the lines that show one, which may use `row`. */
function pythonFileSnippet(url, { file, fields, printing }) {
  const data = Object.keys(fields).length > 0 ? `\n        data=${printableJson(fields)},` : "";
  const headers = NEEDS_KEY ? `\n        headers=${PYTHON_HEADERS},` : "";
  return `${pythonImports("json")}

with open(${printableJson(file.name)}, "rb") as file:
    response = requests.post(
        "${url}",
        files={"file": file},${data}${headers}
        stream=True,
        timeout=60,
    )
response.raise_for_status()
for line in response.iter_lines():
    row = json.loads(line)
${printing.replace(/^/gm, "    ")}`;
}
