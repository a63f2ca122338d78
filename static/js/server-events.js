// Server-sent events as they arrive, which https://html.spec.whatwg.org/multipage/server-sent-events.html describes.

/** Yields `{name, value}` of each event of a byte stream, whose data is JSON. Comments, as heartbeats are, go unseen. */
export async function* serverEvents(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let open = ""; // The event that no empty line has ended yet.
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const blocks = (open + decoder.decode(chunk.value, { stream: true })).split("\n\n");
    open = blocks.pop();
    yield* blocks.map(eventOf).filter(Boolean);
  }
}

function eventOf(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
  return fields.data && { name: fields.event, value: JSON.parse(fields.data) };
}
