// Messages of application/vnd.amazon.eventstream as they arrive. TLS and TCP check them; their checksums are not.

const PRELUDE_BYTES = 12;
const CHECKSUM_BYTES = 4;
const text = new TextDecoder();

/** Yields `{headers, payload}` of each message of a byte stream: texts by name, and bytes. */
export async function* eventStream(stream) {
  const reader = stream.getReader();
  let bytes = new Uint8Array();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    bytes = joined(bytes, chunk.value);
    for (let length = lengthOf(bytes); length <= bytes.length; length = lengthOf(bytes)) {
      yield messageOf(bytes.subarray(0, length));
      bytes = bytes.subarray(length);
    }
  }
  if (bytes.length > 0) throw new Error("The stream ended within a message.");
}

function joined(left, right) {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}

function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function lengthOf(bytes) {
  return bytes.length < PRELUDE_BYTES ? Infinity : viewOf(bytes).getUint32(0);
}

function messageOf(bytes) {
  const start = PRELUDE_BYTES + viewOf(bytes).getUint32(4);
  return {
    headers: headersOf(bytes.subarray(PRELUDE_BYTES, start)),
    payload: bytes.subarray(start, bytes.length - CHECKSUM_BYTES),
  };
}

/** A header: length of its name, name, type (always text here), two bytes of length, value. */
function headersOf(bytes) {
  const headers = {};
  for (let at = 0; at < bytes.length; ) {
    const value = at + 1 + bytes[at] + 3;
    const end = value + viewOf(bytes).getUint16(value - 2);
    headers[text.decode(bytes.subarray(at + 1, value - 3))] = text.decode(bytes.subarray(value, end));
    at = end;
  }
  return headers;
}
