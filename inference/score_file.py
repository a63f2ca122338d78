"""Files of scores and of other records: CSV for spreadsheets, and JSON Lines."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import orjson

from inference.errors import InvalidInput

Record = dict[str, Any]
Write = Callable[[Iterable[Record]], None]

_COLUMNS = (
    "row",
    "query",
    "document",
    "score",
    "grade",
    "match",
    "query_tokens",
    "document_tokens",
    "truncated",
    "error",
)

# Spreadsheets run a cell that begins so (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def open_score_file(path: Path) -> AbstractContextManager[Write]:
    """A function that writes records of scored rows to a file; see :func:`open_record_file`."""
    return open_record_file(path, _COLUMNS)


@contextmanager
def open_record_file(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """A function that writes records to a file, which is there when all are.

    Args:
        path: of the file.
        columns: of a CSV: names that records may have.

    Raises:
        InvalidInput: the ending is neither ``.csv`` nor ``.jsonl``.
    """
    if path.suffix not in _WRITERS:
        raise InvalidInput(
            f"The ending of {path.name} tells the format: it must be {' or '.join(_WRITERS)}."
        )
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with _WRITERS[path.suffix](temporary, columns) as write:
            yield write
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _csv_writer(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """CSV as Excel opens it: with a byte order mark, and texts that are never formulas."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        yield lambda records: writer.writerows(
            {name: _cell(value) for name, value in record.items()} for record in records
        )


@contextmanager
def _jsonl_writer(path: Path, _columns: Sequence[str]) -> Iterator[Write]:
    with path.open("wb") as file:
        yield lambda records: file.writelines(map(json_line, records))


def json_line(record: Record) -> bytes:
    """A record as a line of JSON Lines."""
    return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula.

    >>> _cell("=1+1"), _cell(-0.5), _cell("3"), _cell(True)
    ("'=1+1", -0.5, '3', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


_WRITERS: dict[str, Callable[[Path, Sequence[str]], AbstractContextManager[Write]]] = {
    ".csv": _csv_writer,
    ".jsonl": _jsonl_writer,
}
