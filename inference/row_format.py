"""How rows are written in each format: from a file's text to the values of its rows."""

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Literal, TextIO, get_args

import ijson

from inference.charset import UNDECODABLE
from inference.errors import InvalidInput, first_line

Format = Literal["csv", "tsv", "json", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)

RowValues = tuple[Mapping[str, object], str | None]
"""Values by column, and why they could not be read."""

# Members of a JSON object that may hold the rows.
ROW_MEMBERS = ("pairs", "results", "documents")

_READ_CHARACTERS = 65_536

# An escape of JSON: a whole UTF-16 pair, half of one, or any other.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F]..)|.|$)", re.DOTALL
)
_LONGEST_ESCAPE = len(r"\ud83d\ude00")


def read_header(text: TextIO, file_format: Literal["csv", "tsv"]) -> list[str]:
    """The columns of a CSV or TSV text.

    Raises:
        InvalidInput: its first line cannot be read.
    """
    return _header(_tsv_records(text) if file_format == "tsv" else _csv_records(text))


def _header(records: Iterator[list[str]] | Iterator[list[str] | str]) -> list[str]:
    header = next(records, None)
    if not isinstance(header, list):
        raise InvalidInput("The file has no header that can be read.", item="file")
    return [column.strip() for column in header]


def _csv_values(text: TextIO) -> Iterator[RowValues]:
    records = _csv_records(text)
    columns = _header(records)
    for record in records:
        if isinstance(record, str):
            yield {}, record
        elif any(cell.strip() for cell in record[len(columns) :]):
            fault = (
                f"The row has {len(record)} columns where the header has {len(columns)}: a text "
                "with a separator in it needs quotes around it."
            )
            yield {}, fault
        else:
            yield _by_column(columns, record), None


def _tsv_values(text: TextIO) -> Iterator[RowValues]:
    records = _tsv_records(text)
    columns = _header(records)
    for record in records:
        yield _by_column(columns, record), None


def _by_column(columns: list[str], record: list[str]) -> dict[str, object]:
    """The cells of a record by their column; of columns with one name the first counts."""
    cells = list(zip(columns, record, strict=False))
    return dict(reversed(cells))


class _Lines:
    """Lines that can be taken back, since an open quote may swallow many before it is noticed."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    def keep(self) -> None:
        """The lines taken so far were well used."""
        self._taken = []

    def take_back_but_first(self) -> None:
        """All lines since the last ``keep`` come again, except the first of them."""
        self._again.extendleft(reversed(self._taken[1:]))
        self._taken = []


def _csv_records(text: TextIO) -> Iterator[list[str] | str]:
    first = next((line for line in text if line.strip()), "")
    lines = _Lines(chain([first], text))
    reader = csv.reader(lines, delimiter=_delimiter(first), strict=True)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # What follows is not lost: only the line where the quotes went wrong is.
            lines.take_back_but_first()
            yield f"The row's quotes are not in order: {error}. Close them, or double those inside."
            continue
        lines.keep()
        if record and (len(record) > 1 or record[0].strip()):
            yield record


def _delimiter(header: str) -> str:
    """The one of comma, semicolon and tab that gives the most columns.

    >>> _delimiter('id;"a,b";c')
    ';'
    """

    def width(delimiter: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=delimiter)))
        except csv.Error:
            return 0

    return max(",;\t", key=width)


def _tsv_records(text: TextIO) -> Iterator[list[str]]:
    """Without quoting, because corpora such as KorSTS hold quotes that nothing closes."""
    for line in text:
        if line.strip():
            yield [_unquote(cell) for cell in line.rstrip("\r\n").split("\t")]


def _unquote(cell: str) -> str:
    """A cell without the quotes that Excel puts around one with quotes or commas in it.

    >>> _unquote('"그는 ""네""라고 했다"'), _unquote('"네" 또는 "아니요"')
    ('그는 "네"라고 했다', '"네" 또는 "아니요"')
    """
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"':
        return cell
    inside = cell[1:-1]
    return cell if '"' in inside.replace('""', "") else inside.replace('""', '"')


def _json_line_values(text: TextIO) -> Iterator[RowValues]:
    for line in text:
        if not line.strip():
            continue
        if UNDECODABLE in line:
            yield {}, "The line holds bytes that are not in the file's encoding."
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield {}, f"The line is not JSON: {first_line(error)}."
            continue
        yield _object_values(value)


def _json_values(text: TextIO) -> Iterator[RowValues]:
    try:
        prefix = _rows_prefix(_JsonBytes(text))
        text.seek(0)
        for value in ijson.items(_JsonBytes(text), prefix, use_float=True):
            yield _object_values(value)
    except ijson.JSONError as error:
        yield {}, f"The JSON breaks off here: {first_line(error)}."


def _rows_prefix(source: "_JsonBytes") -> str:
    """Where ijson finds the rows: the items of the file's array, or of a known member's."""
    for path, event, _ in ijson.parse(source):
        if event == "start_array" and path in {"", *ROW_MEMBERS}:
            return f"{path}.item".removeprefix(".")
    raise InvalidInput(
        "The file holds no rows: send an array of objects, alone or as the member "
        f"{' or '.join(ROW_MEMBERS)} of an object.",
        item="file",
    )


class _JsonBytes:
    """JSON text as ijson reads it: UTF-8, with halves of UTF-16 pairs made U+FFFD.

    ijson would end at the first of those, which JavaScript and Python write without a thought.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._rest = ""

    def read(self, size: int) -> bytes:
        """Some bytes, not ``size`` of them; none for a size of 0 and at the end."""
        if not size:
            return b""
        whole = ""
        while not whole:
            more = self._text.read(_READ_CHARACTERS)
            chunk = self._rest + more
            cut = _before_last_escape(chunk) if more else len(chunk)
            whole, self._rest = chunk[:cut], chunk[cut:]
            if not more:
                break
        return (_ESCAPE.sub(_mend, whole) if _HALF.search(whole) else whole).encode()


def _before_last_escape(chunk: str) -> int:
    """Where ``chunk``, which starts with a whole escape or none, is cut so that it ends so too."""
    cut = len(chunk)
    # The last one may be unfinished, and the one before it the first half of the same pair.
    for escape in reversed(deque(_ESCAPE.finditer(chunk), maxlen=2)):
        is_last = cut == len(chunk)
        if escape.start() > len(chunk) - _LONGEST_ESCAPE and (is_last or escape.end() == cut):
            cut = escape.start()
    return cut


def _mend(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape["half"] else escape[0]


def _object_values(value: object) -> RowValues:
    if isinstance(value, dict):
        return value, None
    return {}, "The row is no JSON object, such as {...}."


READERS: dict[Format, Callable[[TextIO], Iterator[RowValues]]] = {
    "csv": _csv_values,
    "tsv": _tsv_values,
    "json": _json_values,
    "jsonl": _json_line_values,
}
