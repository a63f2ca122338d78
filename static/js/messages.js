// The page's words, from the catalogue that the server put into the page.

const language = document.documentElement.lang;
const numbers = new Intl.NumberFormat(language);
const plurals = new Intl.PluralRules(language);

export const messages = JSON.parse(document.getElementById("messages").textContent);

/**
 * Fills the holes of a message: `{name}` with a value, `{name|one|other}` with the form that fits a number.
 *
 * `format("{count} {count|row|rows}", {count: 3000})` is "3,000 rows".
 */
export function format(template, values) {
  return template.replace(/\{(\w+)(?:\|([^|}]*)\|([^|}]*))?\}/g, (hole, name, one, other) => {
    if (!(name in values)) return hole;
    const value = values[name];
    if (one !== undefined) return plurals.select(value) === "one" ? one : other;
    return typeof value === "number" ? numbers.format(value) : value;
  });
}

export function numberText(value) {
  return numbers.format(value);
}
