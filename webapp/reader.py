"""The reader that the settings name, and its answers as the API shows them."""

from typing import TYPE_CHECKING, Any

from inference.reader_model import ReaderLimits, ReaderModel, open_reader
from webapp.settings import Settings

if TYPE_CHECKING:
    from inference.reader import Answer, Answers

_OFF = "none"


def open_served_reader(settings: Settings) -> ReaderModel | None:
    """The reader's files, checked; None where answers are turned off.

    Raises:
        NotFound, InvalidInput: there is no such reader, or it cannot be used.
    """
    if settings.reader == _OFF and not settings.reader_checkpoint:
        return None
    return open_reader(
        settings.reader,
        lightning=settings.reader_checkpoint,
        base=settings.reader_base,
        limits=ReaderLimits(
            max_seq_length=settings.max_seq_length,
            max_query_length=settings.max_query_length,
            max_answer_length=settings.max_answer_length,
            doc_stride=settings.doc_stride,
        ),
    )


def answer_body(found: "Answers") -> dict[str, Any]:
    """What a reader found, as JSON: the best part of the texts is the answer, or one of many."""
    parts = [_part(part) for part in found.answers]
    nothing = {"answer": "", "score": 0.0, "start": None, "end": None, "document_index": None}
    best = parts.pop(0) if found.found else nothing
    return {
        **best,
        "found": found.found,
        "alternatives": parts,
        "no_answer_score": found.no_answer_score,
        "usage": {"tokens": found.tokens},
        "timing_ms": found.timing.as_dict(),
    }


def _part(part: "Answer") -> dict[str, Any]:
    return {
        "answer": part.text,
        "score": part.score,
        "start": part.start,
        "end": part.end,
        "document_index": part.document_index,
    }
