"""The collections of the service, where its settings say."""

from pathlib import Path

from platformdirs import user_data_path

from inference.corpus import open_corpus
from inference.corpus.base import Corpus
from inference.embedder import EngineEmbedder
from inference.engine import Engine
from webapp.settings import Settings


def create_corpus(settings: Settings, engine: Engine) -> Corpus:
    """The collections, whose vectors are those of ``engine``.

    Nothing is read or written yet, so that a folder or a cluster that cannot be used stops nobody
    who does not ask for collections.
    """
    return open_corpus(
        settings.corpus.get_secret_value(),
        EngineEmbedder(engine),
        data_folder(settings),
        exact=settings.exact,
    )


def data_folder(settings: Settings) -> Path:
    """The folder that is written: that of the settings, or the user's own."""
    return Path(settings.data_dir) if settings.data_dir else user_data_path("ssang")
