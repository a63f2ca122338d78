"""Documents of files: a row of a table, a section of Markdown, a text file or a page of a PDF each.

What cannot be read says why and spoils nothing else. Of a table no more is held than the row that
is read, of other files one whole file.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

from inference.charset import UNDECODABLE, Encoding, detect_encoding, open_text
from inference.corpus.base import Document, Metadata, make_document
from inference.corpus.markdown import read_front_matter, split_sections
from inference.errors import InvalidInput, first_line
from inference.table import Row, Table, open_table
from inference.text_source import TABLE_SUFFIXES
from inference.tokenizer import replace_surrogates

if TYPE_CHECKING:
    from pypdf import PdfReader

DocumentFormat = Literal["csv", "tsv", "json", "jsonl", "markdown", "text", "pdf"]
DOCUMENT_FORMATS: tuple[DocumentFormat, ...] = get_args(DocumentFormat)

_PROSE_SUFFIXES: dict[str, DocumentFormat] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".pdf": "pdf",
}

TEXT_COLUMNS = (
    *("text", "answer", "document", "content", "contents", "body", "passage", "page_content"),
    *("답변", "내용", "본문", "Information"),
)
"""Columns in which a text is looked for; the first that is there counts."""

TITLE_COLUMNS = ("title", "question", "query", "subject", "질문", "제목")
"""The same for a title."""

# The layout `no,Category,Information,type,Source` of Korean FAQs calls the question so.
_FAQ_TEXT, _FAQ_TITLE = "Information", "Category"

_METADATA = "metadata"

# Rows of a JSON file that are asked for its columns, since each has its own.
_EARLY_ROWS = 100

# Characters among which a NUL means that this is no text.
_START = 16

_PDF_MAGIC = b"%PDF-"

_LINE_BREAK = re.compile(r"\r\n?")


@dataclass(frozen=True)
class Fault:
    """Something that gave no document.

    Attributes:
        row: number of the row, section or page, from 1.
        message: what is wrong with it.
    """

    row: int
    message: str


@dataclass(frozen=True)
class DocumentSource:
    """A file that is read document by document, as often as needed, but not twice at once.

    Each row, section or page is a document or a :class:`Fault`, in their order.

    Attributes:
        format: how the file is written.
        encoding: how its text is encoded; None in a PDF.
        columns: of a table with a header.
        title_column, text_column: of a table; a table may have no titles.
    """

    format: DocumentFormat
    encoding: Encoding | None
    columns: list[str] | None
    title_column: str | None
    text_column: str | None
    _read: Callable[[], Iterator[Document | Fault]]

    def __iter__(self) -> Iterator[Document | Fault]:
        return self._read()


def open_documents(
    file: IO[bytes],
    *,
    name: str = "",
    file_format: DocumentFormat | None = None,
    encoding: Encoding | None = None,
    title_column: str = "",
    text_column: str = "",
    id_column: str = "",
) -> DocumentSource:
    """Finds out how a file holds documents.

    Args:
        file: seekable; the caller closes it.
        name: of the file; its ending tells the format. Documents of files that are no tables have
            it as ``source`` in their metadata.
        file_format: None looks at the name, then at the content.
        encoding: None looks at the content.
        title_column: of a table; default the first of ``TITLE_COLUMNS``, and in the FAQ layout
            ``Category``.
        text_column: the same; default the first of ``TEXT_COLUMNS``.
        id_column: the same; default ``id``. A row without an id gets one of its content.

    Raises:
        InvalidInput: the file is empty or of no known format, lacks a column, or pypdf is missing.
    """
    file_format = file_format or _prose_format(file, name)
    metadata = {"source": name} if name else {}
    if file_format == "pdf":
        reader = _open_pdf(file)
        return DocumentSource("pdf", None, None, None, None, partial(_pages, reader, metadata))
    if file_format == "markdown" or file_format == "text":
        encoding = encoding or detect_encoding(file)
        read = _sections if file_format == "markdown" else _whole_text
        return DocumentSource(
            file_format, encoding, None, None, None, partial(read, file, encoding, metadata)
        )
    table = open_table(file, name=name, file_format=file_format, encoding=encoding)
    return _open_rows(table, title_column, text_column, id_column)


def find_files(folder: Path) -> Iterator[Path]:
    """The files in a folder and in those in it, sorted; hidden ones are passed over."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def is_document_file(path: Path) -> bool:
    """Whether the ending of a file is that of a format that holds documents."""
    suffix = path.suffix.lower()
    return suffix in _PROSE_SUFFIXES or suffix in TABLE_SUFFIXES


def _prose_format(file: IO[bytes], name: str) -> DocumentFormat | None:
    """What a file is that is no table."""
    suffix = Path(name).suffix.lower()
    if suffix in _PROSE_SUFFIXES:
        return _PROSE_SUFFIXES[suffix]
    file.seek(0)
    return "pdf" if file.read(len(_PDF_MAGIC)) == _PDF_MAGIC else None


# Tables


@dataclass(frozen=True)
class _Columns:
    """Where the rows of a table hold what; ``header`` has all of a table that has one."""

    header: list[str] | None
    text: str
    title: str | None
    id: str | None


def _open_rows(table: Table, title_column: str, text_column: str, id_column: str) -> DocumentSource:
    if table.columns is None:
        table = replace(table, first_columns=_early_columns(table))
    text = _text_column(table, text_column)
    columns = _Columns(
        table.columns,
        text,
        table.require_column(title_column) if title_column else _title_column(table, text),
        table.require_column(id_column) if id_column else table.find_column("id"),
    )
    return DocumentSource(
        table.format,
        table.encoding,
        table.columns,
        columns.title,
        columns.text,
        partial(_rows, table, columns),
    )


def _early_columns(table: Table) -> list[str]:
    """The columns of the first rows, of which one alone may lack some."""
    return list(
        dict.fromkeys(column for row in islice(table, _EARLY_ROWS) for column in row.values)
    )


def _text_column(table: Table, asked: str) -> str:
    column = table.find_column(*([asked] if asked else TEXT_COLUMNS))
    if column is None:
        wanted = f"'{asked}'" if asked else "for the text, such as 'text', 'answer' or '내용'"
        there = ", ".join(f"'{name}'" for name in table.first_columns)
        raise InvalidInput(
            f"The file has no column {wanted}; it has {there}: name the text's with text_column.",
            item="file",
        )
    return column


def _title_column(table: Table, text: str) -> str | None:
    is_faq = text == table.find_column(_FAQ_TEXT)
    names = (*TITLE_COLUMNS, _FAQ_TITLE) if is_faq else TITLE_COLUMNS
    column = table.find_column(*names)
    return None if column == text else column


def _rows(table: Table, columns: _Columns) -> Iterator[Document | Fault]:
    for row in table:
        try:
            yield _read_row(row, columns)
        except InvalidInput as error:
            yield Fault(row.number, error.message)


def _read_row(row: Row, columns: _Columns) -> Document:
    # First, since it also refuses a row that cannot be read at all.
    text = row.text(columns.text)
    return make_document(
        text,
        title=_label(row, columns.title),
        metadata=_row_metadata(row, columns),
        document_id=_label(row, columns.id).strip(),
    )


def _label(row: Row, column: str | None) -> str:
    """A title or an id, which a row need not have."""
    value = row.values.get(column) if column else None
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return row.text(str(column))


def _row_metadata(row: Row, columns: _Columns) -> dict[str, Any]:
    """The other columns that are not empty, and what an object ``metadata`` holds."""
    used = {columns.text, columns.title, columns.id}
    metadata: dict[str, Any] = {}
    for column in columns.header or row.values:
        value = row.values.get(column)
        if column == _METADATA and isinstance(value, dict):
            kept = {key: inner for key, inner in value.items() if inner is not None}
        elif column in used or not column:
            continue
        else:
            value = value.strip() if isinstance(value, str) else value
            kept = {} if value in (None, "", []) else {column: value}
        metadata.update((_clean(key, column), _clean(inner, column)) for key, inner in kept.items())
    return metadata


def _clean(value: Any, column: str) -> Any:
    """A value as it can be kept, without halves of UTF-16 pairs."""
    if isinstance(value, list):
        return [_clean(one, column) for one in value]
    if isinstance(value, float) and not isfinite(value):
        raise InvalidInput(f"'{column}' holds a number that JSON has no way to write.")
    if not isinstance(value, str):
        return value
    if UNDECODABLE in value:
        raise InvalidInput(f"'{column}' holds bytes that are not in the file's encoding.")
    return value if value.isascii() else replace_surrogates(value)


# Text and Markdown


def _whole_text(
    file: IO[bytes], encoding: Encoding, metadata: Metadata
) -> Iterator[Document | Fault]:
    yield _document(1, _read_text(file, encoding), metadata=metadata)


def _sections(
    file: IO[bytes], encoding: Encoding, metadata: Metadata
) -> Iterator[Document | Fault]:
    entries, text = read_front_matter(_read_text(file, encoding))
    metadata = {**entries, **metadata}
    number = 0
    for number, section in enumerate(split_sections(text, entries.get("title", "")), start=1):
        yield _document(number, section.text, title=section.title, metadata=metadata)
    if not number:
        yield Fault(1, "The file holds no text.")


def _read_text(file: IO[bytes], encoding: Encoding) -> str:
    with open_text(file, encoding) as text:
        whole = text.read()
    return _LINE_BREAK.sub("\n", whole)


def _document(number: int, text: str, *, title: str = "", metadata: Metadata) -> Document | Fault:
    """A document of a file that is no table."""
    if UNDECODABLE in title or UNDECODABLE in text:
        return Fault(number, "The text holds bytes that are not in the file's encoding.")
    if "\0" in text[:_START]:
        return Fault(number, "The file is no text.")
    try:
        return make_document(text, title=title, metadata=metadata)
    except InvalidInput as error:
        return Fault(number, error.message)


# PDF


def _open_pdf(file: IO[bytes]) -> "PdfReader":
    try:
        from pypdf import PasswordType, PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError as error:
        raise InvalidInput(
            "PDF files need pypdf: pip install 'ssang[pdf]', or save the text.", item="file"
        ) from error
    file.seek(0)
    try:
        reader = PdfReader(file)
        # Many are encrypted with an empty password, only against changes.
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise InvalidInput("The PDF needs a password: save it without one.", item="file")
        len(reader.pages)
    except DependencyError as error:
        raise InvalidInput(
            "The PDF is encrypted: save it without encryption.", item="file"
        ) from error
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"The PDF cannot be read: {first_line(error)}.", item="file") from error
    return reader


def _pages(reader: "PdfReader", metadata: Metadata) -> Iterator[Document | Fault]:
    for number, page in enumerate(reader.pages, start=1):
        try:
            text = page.extract_text()
        except Exception as error:  # whatever a damaged file makes the library do
            yield Fault(number, f"The page cannot be read: {first_line(error)}.")
            continue
        if text.strip():
            yield _document(number, replace_surrogates(text), metadata={**metadata, "page": number})
        else:
            yield Fault(
                number, "The page holds no text: it is blank, or a picture that needs OCR first."
            )
