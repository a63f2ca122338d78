"""What commands on collections share: their flags, and the collections while a command runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from inference.errors import ModelUnavailable
from webapp.commands.model import MODEL_SETTINGS, loaded_engine, settings_flags
from webapp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.corpus.base import Corpus, Document, EmbeddedPassage, Identity
    from inference.engine import Engine
    from inference.similarity import Vectors

CORPUS_SETTINGS = ("data_dir", "corpus", "exact")

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended."""

corpus_flags = settings_flags("data_dir", "corpus")
"""Gives a command the flags of where collections are kept."""

search_flags = settings_flags(*CORPUS_SETTINGS, *MODEL_SETTINGS)
"""The same with those of the model, and of how it searches."""


@contextmanager
def opened_corpus(settings: Settings) -> Iterator["Corpus"]:
    """The collections without a model: to be looked at, not searched by meaning."""
    # These load what a help text does not need.
    from inference.corpus import open_corpus
    from webapp.corpus import data_folder

    address = settings.corpus.get_secret_value()
    corpus = open_corpus(address, _NoModel(), data_folder(settings), exact=settings.exact)
    try:
        yield corpus
    finally:
        corpus.close()


@contextmanager
def loaded_corpus(settings: Settings) -> Iterator[tuple["Corpus", "Engine"]]:
    """The collections with the model that makes their vectors."""
    from webapp.corpus import create_corpus

    with loaded_engine(settings) as engine:
        corpus = create_corpus(settings, engine)
        try:
            yield corpus, engine
        finally:
            corpus.close()


def stop(message: str) -> NoReturn:
    """Ends a command that was interrupted, with what was done and how to go on."""
    click.echo(f"\n{message}", err=True)
    sys.exit(INTERRUPTED)


class _NoModel:
    """Stands where a model makes vectors, in commands that need none."""

    @property
    def identity(self) -> "Identity":
        raise ModelUnavailable("This command loads no model.")

    def embed_documents(self, documents: "Sequence[Document]") -> list[list["EmbeddedPassage"]]:
        raise ModelUnavailable("This command loads no model.")

    def embed_query(self, query: str) -> "Vectors":
        raise ModelUnavailable("This command loads no model.")
