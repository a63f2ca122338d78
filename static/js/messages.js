// The page's words, from the catalogue that the server put into the page.

export const messages = JSON.parse(document.getElementById("messages").textContent);

/** Fills `{name}` in a message: `format("{count}개", {count: 3})` is "3개". */
export function format(template, values) {
  return template.replace(/\{(\w+)\}/g, (hole, name) => (name in values ? String(values[name]) : hole));
}
