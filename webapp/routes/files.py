"""Files of pairs, scored while the answer is sent: one JSON object a line."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from flask import Response
from flask_openapi import Tag

from inference import metrics
from inference.engine import Engine
from inference.pair_table import PairRow, PairTable, Summary, score_rows
from inference.pipeline import ReadOptions
from inference.table import open_table
from webapp import stream
from webapp.blueprint import ApiBlueprint
from webapp.observation import notes
from webapp.schema import ErrorReply, ScoreFileForm, ScoreFileLine
from webapp.service import current_engine
from webapp.stream import json_line

_TEXTS = {"query", "document"}

_ERRORS: dict[Any, Any] = dict.fromkeys((400, 401, 413, 422, 429, 500, 503), ErrorReply)

_LINES: dict[Any, Any] = {
    200: {
        "description": "One JSON object a line, sent while the file is scored.",
        "content": {stream.NDJSON: {"schema": ScoreFileLine.model_json_schema()}},
    },
}

files = ApiBlueprint(
    "files",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="files", description="Score files")],
    abp_responses=_ERRORS,
)
stream.limit_streams(files)


@files.post("/score-file", summary="Score a file of pairs", responses=_LINES)
def score_file(form: ScoreFileForm) -> Response:
    """Cosine similarity and grade of the pair in each row, one line a row, in their order.

    CSV, TSV, JSON and JSON Lines, in UTF-8, UTF-16 or CP949, are told apart by themselves. A row
    that cannot be scored is answered by a line with an error, and the others are scored.
    """
    with stream.taken_over(form.file) as upload:
        options = ReadOptions(max_length=form.max_length, truncate=form.truncate)
        engine = current_engine()
        engine.check_options(options)
        table = open_table(
            upload,
            name=form.file.filename or "",
            file_format=None if form.format == "auto" else form.format,
            encoding=None if form.encoding == "auto" else form.encoding,
        )
        pairs = PairTable.of(
            table, query_column=form.query_column, document_column=form.document_column
        )
    lines = _Lines(engine, pairs, options, with_texts=form.texts, notes=notes())
    return stream.lines_reply(lines, upload)


@dataclass
class _Lines:
    """The lines of one answer, those of a window at a time."""

    engine: Engine
    pairs: PairTable
    options: ReadOptions
    with_texts: bool
    notes: dict[str, Any]
    summary: Summary = field(default_factory=Summary)

    def pieces(self) -> Generator[bytes]:
        began = time.perf_counter()
        yield json_line({"start": self._start()})
        for window in score_rows(self.engine, self.pairs, options=self.options):
            self.summary.add(window)
            yield b"".join(json_line(self._row(row)) for row in window.rows)
        seconds = round(time.perf_counter() - began, 3)
        yield json_line({"summary": {**vars(self.summary), "seconds": seconds}})

    def heartbeat(self) -> bytes:
        return json_line({"heartbeat": {"rows": self.summary.rows}})

    def observe(self, outcome: str) -> None:
        summary = self.summary
        self.notes.update(
            rows=summary.rows, failed=summary.failed, tokens=summary.tokens, outcome=outcome
        )
        metrics.FILE_ROWS.labels("scored").inc(summary.scored)
        metrics.FILE_ROWS.labels("failed").inc(summary.failed)

    def _start(self) -> dict[str, Any]:
        table = self.pairs.table
        return {
            "model": self.engine.model.name,
            "format": table.format,
            "encoding": table.encoding,
            "columns": table.columns,
            "query_column": self.pairs.query_column,
            "document_column": self.pairs.document_column,
            "thresholds": vars(self.engine.model.thresholds),
        }

    def _row(self, row: PairRow) -> dict[str, Any]:
        line = row.as_record(self.engine.model.thresholds)
        if "error" in line:
            line["error"] = {"code": "invalid_input", "message": line["error"]}
        if not self.with_texts:
            line = {name: value for name, value in line.items() if name not in _TEXTS}
        return line
