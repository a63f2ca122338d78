// A request as a program somebody can paste. Both snippets hold for any text.

// Characters that JSON leaves bare although a terminal would act on them or a reader would not see them.
const UNPRINTABLE = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Indented JSON in which every line break, quote and control character inside a text is escaped. */
function printableJson(body, indent) {
  const escape = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(body, null, indent).replace(UNPRINTABLE, escape);
}

/** The shell reads a quoted heredoc as it stands, and no line of the JSON can be its end mark. */
export function curlSnippet(url, body) {
  return `curl -sS '${url}' \\
  -H 'Content-Type: application/json' \\
  --data-binary @- <<'JSON'
${printableJson(body, 2)}
JSON`;
}

/**
 * JSON of objects, lists, texts and numbers is a Python literal too, escapes included.
 * `printing` are the lines that show the reply; they may use `payload` and `response`.
 */
export function pythonSnippet(url, body, printing) {
  return `import requests

payload = ${printableJson(body, 4)}
response = requests.post("${url}", json=payload, timeout=60)
response.raise_for_status()
${printing}`;
}
