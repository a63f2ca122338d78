"""The reader that the settings name."""

from inference.reader_model import ReaderLimits, ReaderModel, open_reader
from webapp.settings import Settings

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
