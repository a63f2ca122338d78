"""Pairs of a table, scored in windows: the memory this needs does not grow with the file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from inference.engine import Engine
from inference.errors import InvalidInput
from inference.pipeline import ReadOptions
from inference.result import PairScore
from inference.similarity import Thresholds
from inference.table import Table
from inference.window import in_windows

_QUERY_COLUMNS = ("query", "sentence1")
_DOCUMENT_COLUMNS = ("document", "sentence2")

_WINDOW_ROWS = 4096
_WINDOW_CHARACTERS = 4 * 2**20


@dataclass(frozen=True)
class PairRow:
    """One row of a table of pairs, before or after it was scored.

    Attributes:
        number: from 1.
        query, document: None where the row has no such text.
        score: None before, and where there is a fault.
        fault: why it cannot be scored.
    """

    number: int
    query: str | None
    document: str | None
    score: PairScore | None = None
    fault: str | None = None

    def as_record(self, thresholds: Thresholds) -> dict[str, object]:
        """Its number, the texts it has, and what the model says of it or else the ``error``."""
        record: dict[str, object] = {"row": self.number}
        texts = {"query": self.query, "document": self.document}
        record |= {name: text for name, text in texts.items() if text is not None}
        if self.score is None:
            return {**record, "error": self.fault}
        return {
            **record,
            "score": self.score.score,
            "grade": self.score.grade,
            "match": bool(self.score.score >= thresholds.binary),
            "query_tokens": self.score.query_tokens,
            "document_tokens": self.score.document_tokens,
            "truncated": self.score.truncated,
        }


@dataclass(frozen=True)
class Window:
    """Rows that were scored together, in the order of the file, and the tokens read for them."""

    rows: list[PairRow]
    tokens: int


@dataclass
class Summary:
    """What became of the rows so far."""

    rows: int = 0
    scored: int = 0
    failed: int = 0
    truncated: int = 0
    tokens: int = 0

    def add(self, window: Window) -> None:
        scores = [row.score for row in window.rows if row.score]
        self.rows += len(window.rows)
        self.scored += len(scores)
        self.failed += len(window.rows) - len(scores)
        self.truncated += sum(score.truncated for score in scores)
        self.tokens += window.tokens


@dataclass(frozen=True)
class PairTable:
    """A table and which of its columns hold the two texts of a pair."""

    table: Table
    query_column: str
    document_column: str

    @classmethod
    def of(cls, table: Table, *, query_column: str = "", document_column: str = "") -> "PairTable":
        """Finds the columns: those named, or query and document, or sentence1 and sentence2.

        Raises:
            InvalidInput: they are not there; the message says which are.
        """
        query_names = (query_column,) if query_column else _QUERY_COLUMNS
        document_names = (document_column,) if document_column else _DOCUMENT_COLUMNS
        return cls(table, table.require_column(*query_names), table.require_column(*document_names))

    def __iter__(self) -> Iterator[PairRow]:
        for row in self.table:
            texts: list[str | None] = []
            faults: list[str] = []
            for column in (self.query_column, self.document_column):
                try:
                    texts.append(row.text(column))
                except InvalidInput as error:
                    texts.append(None)
                    faults.append(error.message)
            fault = " ".join(dict.fromkeys(faults)) or None
            yield PairRow(row.number, texts[0], texts[1], fault=fault)


def score_rows(
    engine: Engine, rows: Iterable[PairRow], *, options: ReadOptions
) -> Iterator[Window]:
    """Scores rows as they come; a row with a fault passes through.

    With ``options.truncate`` off, a row with a text that is too long gets a fault.

    Raises:
        SsangError: the engine itself cannot go on.
    """
    return in_windows(
        rows,
        lambda window: _score(engine, window, options),
        characters=lambda row: len(row.query or "") + len(row.document or ""),
        max_items=_WINDOW_ROWS,
        max_characters=_WINDOW_CHARACTERS,
    )


def _score(engine: Engine, window: list[PairRow], options: ReadOptions) -> Window:
    pairs = [
        (row.query, row.document)
        for row in window
        if not row.fault and row.query is not None and row.document is not None
    ]
    scored = engine.score_pairs(pairs, options=replace(options, truncate=True))
    scores = iter(scored.pairs)
    rows = [row if row.fault else replace(row, score=next(scores)) for row in window]
    if not options.truncate:
        rows = [_refuse_truncated(row) for row in rows]
    return Window(rows, scored.tokens)


def _refuse_truncated(row: PairRow) -> PairRow:
    if row.score is None or not row.score.truncated:
        return row
    longest = max(row.score.query_tokens, row.score.document_tokens)
    fault = f"A text of the row has {longest:,} tokens, more than are read: shorten it."
    return replace(row, score=None, fault=fault)
