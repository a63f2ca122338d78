"""Texts of a file: a text a line, or a column of a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

from inference.charset import UNDECODABLE, Encoding, detect_encoding, open_text
from inference.errors import InvalidInput
from inference.table import Table, open_table

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class TextSource:
    """Texts of a file with the numbers of their lines or rows; may be read again and again.

    Attributes:
        file: the file.
        encoding: of the file.
        table: None for a text a line.
        column: of the table.
        skip_empty: pass over texts that are empty; else they are an error.
    """

    file: IO[bytes]
    encoding: Encoding
    table: Table | None
    column: str
    skip_empty: bool

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Numbers from 1 and texts.

        Raises:
            InvalidInput: a text is empty or cannot be read; the message names its line.
        """
        return self._lines() if self.table is None else self._cells(self.table)

    def _lines(self) -> Iterator[tuple[int, str]]:
        with open_text(self.file, self.encoding) as text:
            for number, line in enumerate(text, start=1):
                if line.strip():
                    if UNDECODABLE in line:
                        raise InvalidInput(f"Line {number:,} holds bytes that are not text.")
                    yield number, line.rstrip("\r\n")
                elif not self.skip_empty:
                    raise InvalidInput(_EMPTY.format(f"Line {number:,}"))

    def _cells(self, table: Table) -> Iterator[tuple[int, str]]:
        for row in table:
            value = row.values.get(self.column)
            if isinstance(value, str) and not value.strip():
                if self.skip_empty:
                    continue
                raise InvalidInput(_EMPTY.format(f"Row {row.number:,}"))
            try:
                yield row.number, row.text(self.column)
            except InvalidInput as error:
                raise InvalidInput(f"Row {row.number:,}: {error.message}") from error


_EMPTY = "{} is empty: put a text there, or have empty ones skipped."


def open_texts(
    file: IO[bytes], *, name: str = "", column: str = "", skip_empty: bool = False
) -> TextSource:
    """Finds out how a file holds its texts.

    Args:
        file: seekable; the caller closes it.
        name: of the file; the ending of a table's makes it one.
        column: makes it a table too; the default column of one is ``text``.
        skip_empty: as in :class:`TextSource`.

    Raises:
        InvalidInput: the file is empty or no text, or there is no such column.
    """
    if column or PurePath(name).suffix.lower() in TABLE_SUFFIXES:
        table = open_table(file, name=name)
        found = table.require_column(column or "text")
        return TextSource(file, table.encoding, table, found, skip_empty)
    return TextSource(file, detect_encoding(file), None, "", skip_empty)
