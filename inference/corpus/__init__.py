"""Collections of documents, searched by meaning and by words."""

from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import InvalidInput

if TYPE_CHECKING:
    from inference.corpus.base import Corpus, Embedder

_OPENSEARCH = "opensearch+"


def open_corpus(address: str, embedder: "Embedder", folder: Path, *, exact: bool) -> "Corpus":
    """The corpus at an address; nothing is read or written yet.

    Args:
        address: empty for the folder, or ``opensearch+https://user:password@host:9200``.
        embedder: makes the vectors.
        folder: where collections are kept if they are kept here.
        exact: search vectors exactly, however many there are.

    Raises:
        InvalidInput: the address is of no known kind.
    """
    # Each loads libraries that the other does not need.
    if not address:
        from inference.corpus.local import LocalCorpus

        return LocalCorpus(folder, embedder, exact=exact)
    if address.startswith(_OPENSEARCH):
        from inference.corpus.opensearch import OpenSearchCorpus

        return OpenSearchCorpus(address.removeprefix(_OPENSEARCH), embedder)
    raise InvalidInput(
        "The corpus must be empty, for the data folder, or begin with opensearch+https://.",
        item="corpus",
    )
