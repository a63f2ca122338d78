"""``ssang index``, and how documents of files get into a collection."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import click

from inference.charset import ENCODINGS, Encoding
from inference.corpus.base import Document, check_collection_name
from inference.corpus.indexing import Totals, index_documents
from inference.corpus.loaders import (
    DOCUMENT_FORMATS,
    DocumentFormat,
    DocumentSource,
    Fault,
    find_files,
    is_document_file,
    open_documents,
)
from inference.errors import InvalidInput, SsangError
from inference.resource import locate
from webapp.commands.corpus import loaded_corpus, search_flags, stop
from webapp.commands.progress import progress_bar, say
from webapp.commands.source import open_path
from webapp.settings import Settings

Rows = Iterator[Document | Fault]

# What is counted in a file, for messages.
_UNITS: dict[DocumentFormat, str] = {"markdown": "section", "pdf": "page"}


@click.command()
@click.argument("name")
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--sample", is_flag=True, help="Put the sample FAQ in, of a bank and a town hall.")
@click.option("--title-column", default="", help="Default: title, question or the like.")
@click.option("--text-column", default="", help="Default: text, answer or the like.")
@click.option("--id-column", default="", help="Default: id; without one, ids are of the content.")
@click.option(
    "--format", "file_format", type=click.Choice(DOCUMENT_FORMATS), help="Default: found out."
)
@click.option("--encoding", type=click.Choice(ENCODINGS), help="Default: found out.")
@search_flags
def index(
    settings: Settings,
    name: str,
    paths: tuple[Path, ...],
    sample: bool,
    title_column: str,
    text_column: str,
    id_column: str,
    file_format: DocumentFormat | None,
    encoding: Encoding | None,
) -> None:
    """Put documents of files into the collection NAME, which is made if there is none.

    PATH is a table (CSV, TSV, JSON or JSON Lines, a document a row), Markdown (a section), a text
    file, a PDF (a page; needs pypdf), or a folder of these. A table's title and text are found by
    the names of their columns, also those of the FAQ layout no,Category,Information,type,Source;
    the other columns are metadata.

    A row that cannot be read is told and the rest goes in. Documents that are there already are
    left alone, so the same command may be given again.
    """
    if sample:
        paths = (*paths, locate("webapp", "static") / "sample" / "faq.csv")
    if not paths:
        raise click.UsageError("Name a PATH, or try it with --sample.")
    open_file = partial(
        open_documents,
        title_column=title_column,
        text_column=text_column,
        id_column=id_column,
        file_format=file_format,
        encoding=encoding,
    )
    put_documents(settings, name, _read(paths, open_file))


def put_documents(settings: Settings, name: str, rows: Rows) -> None:
    """Puts documents into a collection, with a progress bar and a last sentence.

    Raises:
        InvalidInput: there is no document among the rows, or no such name can be given.
    """
    check_collection_name(name)
    # Before the model is loaded in vain.
    first = _until_document(rows)
    totals = Totals()
    with loaded_corpus(settings) as (corpus, _):
        collection, _ = corpus.create(name)
        with progress_bar(None, unit="documents") as bar:
            try:
                for batch in index_documents(collection, chain(first, rows)):
                    totals.add(batch)
                    bar.update(batch.rows)
            except KeyboardInterrupt:
                stop(f"Stopped after {totals.rows:,} documents: give the same command to go on.")
            except SsangError as error:
                if totals.rows:
                    error.message += f" The first {totals.rows:,} are in the collection."
                raise
    click.echo(_report(name, totals), err=True)


def read_source(name: str, source: DocumentSource) -> Rows:
    """The rows of a file; those with a fault are told too."""
    unit = _UNITS.get(source.format, "row")
    for row in source:
        if isinstance(row, Fault):
            say(f"{name}, {unit} {row.row:,}: {row.message}")
        yield row


def _read(paths: Iterable[Path], open_file: Callable[..., DocumentSource]) -> Rows:
    for file in _files(paths):
        with open_path(file.path) as opened:
            try:
                source = open_file(opened, name=file.name)
            except InvalidInput as error:
                say(f"{file.path}: {error.message}")
                yield Fault(0, error.message)
                continue
            yield from read_source(str(file.path), source)


@dataclass(frozen=True)
class _File:
    """A file and the name that its documents give for their source."""

    path: Path
    name: str


def _files(paths: Iterable[Path]) -> Iterator[_File]:
    """The files that were named, and those of a known format in the folders that were."""
    for path in paths:
        if not path.is_dir():
            yield _File(path, path.name)
            continue
        others = 0
        for found in find_files(path):
            if is_document_file(found):
                yield _File(found, found.relative_to(path).as_posix())
            else:
                others += 1
        if others:
            say(f"{path}: {others:,} files of other formats are passed over.")


def _until_document(rows: Rows) -> list[Document | Fault]:
    taken = []
    for row in rows:
        taken.append(row)
        if isinstance(row, Document):
            return taken
    raise InvalidInput("There is no document to put in.")


def _report(name: str, totals: Totals) -> str:
    counts = [f"{totals.added:,} documents are new in {name}"]
    if totals.replaced:
        counts.append(f"{totals.replaced:,} replaced older ones")
    if totals.unchanged:
        counts.append(f"{totals.unchanged:,} were there already")
    if totals.failed:
        counts.append(f"{totals.failed:,} could not be read")
    return f"{', '.join(counts)}."
