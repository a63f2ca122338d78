"""Which encoding a text file is in, and its text with the places marked that it cannot be.

Korean spreadsheets arrive as UTF-8 with or without a byte order mark, as UTF-16 with one ("Unicode
text") and as CP949 (Excel's plain CSV). One damaged byte must not cost the whole file, so a byte
that cannot be decoded becomes a mark that whoever reads the row can see.
"""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Literal, TextIO, cast, get_args

from inference.errors import InvalidInput

Encoding = Literal["utf-8", "utf-16", "cp949"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)

UNDECODABLE = "\ufdd0"
"""Stands where bytes could not be decoded: a noncharacter, which no text to be exchanged holds."""

_CODECS: dict[Encoding, str] = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "cp949": "cp949"}

_HANDLER = "ssang.mark"
codecs.register_error(_HANDLER, lambda error: (UNDECODABLE, cast(UnicodeDecodeError, error).end))

_CHUNK_BYTES = 2**20

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# First bytes of what people upload in place of text.
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or another archive: save the sheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"\x1f\x8b": "compressed: unpack it first",
    b"PAR1": "a Parquet file: save it as CSV or JSON Lines",
}


def detect_encoding(file: IO[bytes]) -> Encoding:
    """The encoding of a whole file: by its byte order mark, else the one that fits best.

    Korean in UTF-8 is hardly ever valid CP949 and the other way round; where neither fits, the one
    with fewer undecodable places wins.

    Args:
        file: seekable; left anywhere.

    Raises:
        InvalidInput: the file is empty, or plainly no text.
    """
    file.seek(0)
    start = file.read(4)
    if not start:
        raise InvalidInput("The file is empty.", item="file")
    for magic, what in _NOT_TEXT.items():
        if start.startswith(magic):
            raise InvalidInput(f"The file is {what}.", item="file")
    if start.startswith(_UTF16_MARKS):
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8"
    faults: dict[Encoding, int] = {}
    for encoding in ("utf-8", "cp949"):
        faults[encoding] = _count_undecodable(file, encoding)
        if not faults[encoding]:
            return encoding
    return min(faults, key=lambda encoding: faults[encoding])


@contextmanager
def open_text(file: IO[bytes], encoding: Encoding) -> Iterator[TextIO]:
    """The text of a file from its start, line breaks as they are; the file itself stays open.

    Raises:
        InvalidInput: it should be UTF-16, but does not say in which order its bytes are.
    """
    file.seek(0)
    if encoding == "utf-16" and file.read(2) not in _UTF16_MARKS:
        raise InvalidInput(
            "The file does not begin with a byte order mark, as UTF-16 does: save it with one, or "
            "leave the encoding to be found out.",
            item="file",
        )
    file.seek(0)
    text = io.TextIOWrapper(
        cast(io.BufferedReader, file), _CODECS[encoding], errors=_HANDLER, newline=""
    )
    try:
        yield text
    finally:
        # Otherwise the wrapper would close the file when it is collected.
        if not file.closed:
            text.detach()


def _count_undecodable(file: IO[bytes], encoding: Encoding) -> int:
    decoder = codecs.getincrementaldecoder(_CODECS[encoding])(errors=_HANDLER)
    file.seek(0)
    chunks = iter(partial(file.read, _CHUNK_BYTES), b"")
    count = sum(decoder.decode(chunk).count(UNDECODABLE) for chunk in chunks)
    return count + decoder.decode(b"", final=True).count(UNDECODABLE)
