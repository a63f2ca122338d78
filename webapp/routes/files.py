"""Files of pairs, scored while the answer is sent: one JSON object a line."""

import io
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import IO, Any

from flask import Response
from flask_openapi import APIBlueprint, FileStorage, Tag

from inference import metrics
from inference.engine import Engine
from inference.pair_table import PairRow, PairTable, Summary, score_rows
from inference.pipeline import ReadOptions
from inference.table import open_table
from webapp import stream
from webapp.errors import error_body
from webapp.observation import notes
from webapp.reply import encode_json
from webapp.schema import ErrorReply, ScoreFileForm, ScoreFileLine
from webapp.service import current_engine

NDJSON = "application/x-ndjson"

_TEXTS = {"query", "document"}

_ERRORS: dict[Any, Any] = dict.fromkeys((400, 401, 413, 422, 429, 500, 503), ErrorReply)

_LINES: dict[Any, Any] = {
    200: {
        "description": "One JSON object a line, sent while the file is scored.",
        "content": {NDJSON: {"schema": ScoreFileLine.model_json_schema()}},
    },
}

files = APIBlueprint(
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
    upload = _take_over(form.file)
    try:
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
    except BaseException:
        upload.close()
        raise
    lines = _Lines(engine, pairs, options, with_texts=form.texts, notes=notes())
    body = stream.pump(lines.pieces(), lines.heartbeat, interval_s=stream.HEARTBEAT_S)
    response = Response(body, content_type=f"{NDJSON}; charset=utf-8")
    # nginx would otherwise collect the lines.
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(upload.close)
    return response


def _take_over(file: FileStorage) -> IO[bytes]:
    """The upload, which the request would otherwise close before the answer has begun."""
    upload, file.stream = file.stream, io.BytesIO()
    return upload


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
        outcome = "client left"
        try:
            yield _line({"start": self._start()})
            for window in score_rows(self.engine, self.pairs, options=self.options):
                self.summary.add(window)
                yield b"".join(_line(self._row(row)) for row in window.rows)
            seconds = round(time.perf_counter() - began, 3)
            yield _line({"summary": {**vars(self.summary), "seconds": seconds}})
            outcome = "complete"
        except Exception as error:
            outcome = "failed"
            yield _line({"error": error_body(error)})
        finally:
            self._observe(outcome)

    def heartbeat(self) -> bytes:
        return _line({"heartbeat": {"rows": self.summary.rows}})

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

    def _observe(self, outcome: str) -> None:
        summary = self.summary
        self.notes.update(
            rows=summary.rows, failed=summary.failed, tokens=summary.tokens, outcome=outcome
        )
        metrics.FILE_ROWS.labels("scored").inc(summary.scored)
        metrics.FILE_ROWS.labels("failed").inc(summary.failed)


def _line(value: dict[str, Any]) -> bytes:
    return encode_json(value) + b"\n"
