"""Rows of CSV, TSV, JSON and JSON Lines files, one at a time, whatever is wrong with some of them.

A row that cannot be read says why and spoils no other, and no more of the file is held than the row
that is read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import IO, TextIO

from inference.charset import UNDECODABLE, Encoding, detect_encoding, open_text
from inference.errors import InvalidInput
from inference.row_format import READERS, ROW_MEMBERS, Format, read_header
from inference.tokenizer import replace_surrogates

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}

# Characters of the first line that tell the format.
_PEEK = 65_536

# Characters among which a NUL means that this is no text, or UTF-16 that does not say so.
_START = 16

# Bad rows that may stand before the first one that shows a JSON file's columns.
_MAX_BAD_START = 1000


@dataclass(frozen=True)
class Row:
    """One row of data.

    Attributes:
        number: from 1; a header and blank lines do not count.
        values: what its columns hold; strings, except in JSON.
        fault: why the row as a whole cannot be read.
    """

    number: int
    values: Mapping[str, object]
    fault: str | None = None

    def text(self, column: str) -> str:
        """The text in a column.

        Raises:
            InvalidInput: the row has none there, or it is damaged or empty.
        """
        if self.fault:
            raise InvalidInput(self.fault)
        if column not in self.values:
            raise InvalidInput(f"The row has no column '{column}'.")
        value = self.values[column]
        if not isinstance(value, str):
            raise InvalidInput(f"'{column}' is not a text: put it in quotes.")
        if UNDECODABLE in value:
            raise InvalidInput(f"'{column}' holds bytes that are not in the file's encoding.")
        if not value.strip():
            raise InvalidInput(f"'{column}' is empty.")
        return value if value.isascii() else replace_surrogates(value)


@dataclass(frozen=True)
class Table:
    """A file that can be read row by row, as often as needed, but not twice at the same time.

    Attributes:
        format: how its rows are written.
        encoding: how its text is encoded.
        columns: of the header; None for JSON, where each row has its own.
        first_columns: of the header, or of the first row that could be read.
    """

    format: Format
    encoding: Encoding
    columns: list[str] | None
    first_columns: list[str]
    _file: IO[bytes]

    def __iter__(self) -> Iterator[Row]:
        with open_text(self._file, self.encoding) as text:
            for number, (values, fault) in enumerate(READERS[self.format](text), start=1):
                yield Row(number, values, fault)

    def find_column(self, *names: str) -> str | None:
        """The first of ``names`` that is a column, letter case and spaces around it aside."""
        there = {_plain(column): column for column in reversed(self.first_columns)}
        return next((there[_plain(name)] for name in names if _plain(name) in there), None)

    def require_column(self, *names: str) -> str:
        """The same.

        Raises:
            InvalidInput: there is none; the message says which columns there are.
        """
        column = self.find_column(*names)
        if column is None:
            wanted = " or ".join(f"'{name}'" for name in names)
            there = ", ".join(f"'{name}'" for name in self.first_columns)
            raise InvalidInput(f"The file has no column {wanted}; it has {there}.", item="file")
        return column


def open_table(
    file: IO[bytes],
    *,
    name: str = "",
    file_format: Format | None = None,
    encoding: Encoding | None = None,
) -> Table:
    """Finds out how a file is written.

    Args:
        file: seekable; the caller closes it.
        name: of the file; its ending tells the format if nothing else does.
        file_format: None looks at the name, then at the content.
        encoding: None looks at the whole content.

    Raises:
        InvalidInput: the file is empty, no text, or holds no row.
    """
    detected = detect_encoding(file)
    encoding = encoding or detected
    with open_text(file, encoding) as text:
        file_format = file_format or _detect_format(text, name)
    columns = None
    if file_format == "csv" or file_format == "tsv":
        with open_text(file, encoding) as text:
            columns = read_header(text, file_format)
    table = Table(file_format, encoding, columns, columns or [], file)
    return replace(table, first_columns=_first_columns(table))


def _first_columns(table: Table) -> list[str]:
    row = None
    for row in table:
        if table.columns is not None:
            return table.columns
        if row.fault is None:
            return list(row.values)
        if row.number >= _MAX_BAD_START:
            break
    if row is None:
        raise InvalidInput("The file has no rows.", item="file")
    raise InvalidInput(f"No row of the file can be read: {row.fault}", item="file")


def _plain(column: str) -> str:
    return column.strip().casefold()


def _detect_format(text: TextIO, name: str) -> Format:
    suffix = PurePath(name).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    line = ""
    while not line.strip():
        line = text.readline(_PEEK)
        if not line:
            raise InvalidInput("The file is empty.", item="file")
    if "\0" in line[:_START]:
        raise InvalidInput("The file is no text: send CSV, TSV, JSON or JSON Lines.", item="file")
    if line.lstrip().startswith("{"):
        return "jsonl" if _is_json_line(line) else "json"
    if line.lstrip().startswith("[") or suffix == ".json":
        return "json"
    return "tsv" if "\t" in line else "csv"


def _is_json_line(line: str) -> bool:
    """Whether a line is a row of its own, and not a whole file of rows in one line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return not any(isinstance(value.get(member), list) for member in ROW_MEMBERS)
