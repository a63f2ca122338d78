// JSON Lines as they arrive.

/** Yields the values of the lines that each chunk of a byte stream completes, as an array. */
export async function* jsonLines(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let open = ""; // The line that no chunk has ended yet.
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const lines = (open + decoder.decode(chunk.value, { stream: true })).split("\n");
    open = lines.pop();
    const values = parse(lines);
    if (values.length > 0) yield values;
  }
  const values = parse([open + decoder.decode()]);
  if (values.length > 0) yield values;
}

function parse(lines) {
  return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
}
