"""``ssang collections``: what is kept, and how it is carried elsewhere."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import click
import orjson

from inference.errors import InvalidInput
from webapp.commands.corpus import corpus_flags, loaded_corpus, opened_corpus, search_flags, stop
from webapp.commands.progress import progress_bar
from webapp.commands.source import open_source
from webapp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.corpus.base import CollectionInfo

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _Reembeddable(Protocol):
    def reembed(self, progress: "Callable[[int, int], None] | None" = None) -> None: ...


class _Copyable(Protocol):
    def backup(self, path: Path) -> None: ...


@click.group()
def collections() -> None:
    """List collections, and export, back up, re-embed or delete them.

    Documents are put in by `ssang index`, and found by `ssang search`.
    """


@collections.command("list")
@_AS_JSON
@corpus_flags
def list_all(settings: Settings, as_json: bool) -> None:
    """List the collections."""
    with opened_corpus(settings) as corpus:
        infos = corpus.list_collections()
    if as_json:
        _print_json([_record(info) for info in infos])
        return
    if not infos:
        click.echo("There is no collection yet: make one with `ssang index`.", err=True)
    for info in infos:
        click.echo(f"{info.name}: {_summary(info)}")


@collections.command()
@click.argument("name")
@_AS_JSON
@corpus_flags
def info(settings: Settings, name: str, as_json: bool) -> None:
    """Describe the collection NAME."""
    with opened_corpus(settings) as corpus:
        described = _record(corpus.open(name).info())
    if as_json:
        _print_json(described)
        return
    described["created"] = datetime.fromtimestamp(described["created"], UTC).isoformat(
        " ", "seconds"
    )
    width = max(map(len, described))
    for key, value in described.items():
        click.echo(f"{key:{width}}  {'-' if value is None else value}")


@collections.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: standard output]",
)
@corpus_flags
def export(settings: Settings, name: str, output: Path | None) -> None:
    """Write the documents of the collection NAME as JSON Lines.

    They are as they stood at one moment, whatever is written meanwhile. `ssang collections import`
    reads them, anywhere and with any model.
    """
    with opened_corpus(settings) as corpus, _writing(output) as file:
        collection = corpus.open(name)
        count = 0
        with progress_bar(collection.info().documents, unit="documents") as bar:
            for document in collection.iterate():
                file.write(orjson.dumps(vars(document)) + b"\n")
                count += 1
                bar.update()
    click.echo(f"{count:,} documents of {name} are written.", err=True)


@collections.command("import")
@click.argument("name")
@click.argument(
    "source", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@search_flags
def import_file(settings: Settings, name: str, source: str) -> None:
    """Put documents that were exported into the collection NAME.

    FILE is JSON Lines with a text, and perhaps an id, a title and metadata, a line; - for standard
    input.
    """
    from inference.corpus.loaders import open_documents
    from webapp.commands.index import put_documents, read_source

    with open_source(source) as file:
        documents = open_documents(file, name=source, file_format="jsonl")
        put_documents(settings, name, read_source(source, documents))


@collections.command()
@click.argument("name")
@click.argument("output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@corpus_flags
def backup(settings: Settings, name: str, output: Path) -> None:
    """Copy the collection NAME, vectors included, to FILE, a SQLite database.

    The copy is of one moment, whatever is written meanwhile. To put it back, place it as
    collections/NAME/documents.sqlite in a data folder that has no such collection.
    """
    with opened_corpus(settings) as corpus:
        collection = corpus.open(name)
        if not hasattr(collection, "backup"):
            raise InvalidInput(
                "Only collections in a folder are backed up so: take a snapshot of the cluster, or "
                "use `ssang collections export`."
            )
        cast(_Copyable, collection).backup(output)
    click.echo(f"{name} is copied to {output}: {output.stat().st_size:,} bytes.", err=True)


@collections.command()
@click.argument("name")
@search_flags
def reembed(settings: Settings, name: str) -> None:
    """Give the documents of the collection NAME vectors of the loaded model.

    The old ones are searched until all are made. A run that was interrupted or killed goes on
    where it was when the same command is given again.
    """
    with loaded_corpus(settings) as (corpus, engine):
        collection = corpus.open(name)
        with progress_bar(collection.info().documents, unit="documents") as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            try:
                cast(_Reembeddable, collection).reembed(show)
            except KeyboardInterrupt:
                stop("Stopped: the old vectors are still searched. Give the same command to go on.")
        click.echo(f"{name} is searched with {engine.model.name}.", err=True)


@collections.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@corpus_flags
def delete(settings: Settings, name: str, yes: bool) -> None:
    """Delete the collection NAME with everything in it."""
    with opened_corpus(settings) as corpus:
        documents = corpus.open(name).info().documents
        if not yes:
            click.confirm(f"Delete {name} with its {documents:,} documents?", abort=True, err=True)
        corpus.delete(name)
    click.echo(f"{name} is deleted.", err=True)


def _record(info: "CollectionInfo") -> dict[str, Any]:
    described = asdict(info)
    identity = described.pop("identity")
    return {
        **described,
        "model": identity["model"] if identity else None,
        "dimension": identity["dimension"] if identity else None,
    }


def _summary(info: "CollectionInfo") -> str:
    model = f", vectors of {info.identity.model}" if info.identity else ""
    next_model = f", {info.reembedded:.0%} embedded anew" if info.reembedded is not None else ""
    return f"{info.documents:,} documents, {info.passages:,} passages{model}{next_model}"


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@contextmanager
def _writing(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that takes its place when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
