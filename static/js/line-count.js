// How many rows a file has, as far as its line breaks tell.

const LINE_FEED = 10;

/** About as many rows as the file has; a quoted cell with line breaks counts as several. */
export async function countLines(file) {
  const reader = file.stream().getReader();
  let breaks = 0;
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    for (let at = chunk.value.indexOf(LINE_FEED); at >= 0; at = chunk.value.indexOf(LINE_FEED, at + 1)) breaks += 1;
  }
  return breaks;
}
