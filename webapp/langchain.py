"""A collection of a running service as a vector store of LangChain.

The service embeds, stores and searches; this only asks it: ``pip install "ssang[langchain]"``.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

import requests
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from inference.corpus.base import Mode, make_document

TITLE = "ssang_title"
"""Key of the metadata that holds a document's title, such as the question of a FAQ."""

PASSAGE = "ssang_passage"
"""Key of a found document's metadata: the part that matched best, as the service tells it:
``field`` (``title`` or ``text``), ``start``, ``end`` (in characters) and ``text``."""


class ServiceError(Exception):
    """The service refused, or could not do, what was asked.

    Args:
        message: what was wrong and the mend, in its words.
        status: of HTTP.
        code: such as ``conflict``.
    """

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class SsangVectorStore(VectorStore):
    """Documents of a collection, found by meaning, by words or by both.

    A document's text is its ``page_content``; its title stands in the metadata under ``TITLE``,
    there and back. What is found has the best passage under ``PASSAGE``, which is never stored.
    Of maximal marginal relevance the service knows nothing, and neither does this.

    Args:
        base_url: of the service, such as ``http://127.0.0.1:8000``.
        collection: its name; made with the first text, if it is not there.
        api_key: where the service asks for one.
        mode: ``vector``, ``keyword`` or ``hybrid``; None leaves it to the service.
        batch_size: documents sent at a time; each batch is stored or refused as a whole.
        timeout_s: seconds within which the service must begin to answer.
    """

    def __init__(
        self,
        base_url: str,
        collection: str,
        *,
        api_key: str | None = None,
        mode: Mode | None = None,
        batch_size: int = 256,
        timeout_s: float = 120.0,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/api/collections/{quote(collection, safe='')}"
        self._headers = {"X-API-Key": api_key} if api_key else {}
        self._mode = mode
        self._batch_size = batch_size
        self._timeout_s = timeout_s

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> "SsangVectorStore":
        """A store with these texts in it.

        Args:
            texts, metadatas, ids: as in :meth:`add_texts`.
            embedding: not used, since the service embeds.
            kwargs: of the class, ``base_url`` and ``collection`` at least.
        """
        store = cls(**kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Puts texts in, or in the place of those with their ids; gives their ids.

        A text without an id gets one of its content, so that no text is in there twice.

        Raises:
            ServiceError: the service refused a batch. Those before it are stored.
            InvalidInput: a text is empty, or its metadata cannot be kept.
        """
        texts = list(texts)
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(texts):
                raise ValueError(f"There are {len(texts)} texts, but {len(given)} {name}.")
        rows = zip(texts, metadatas or [{}] * len(texts), ids or [None] * len(texts), strict=True)
        documents = [
            _as_stored(text, metadata, given, item=f"texts[{index}]")
            for index, (text, metadata, given) in enumerate(rows)
        ]
        self._ask("PUT", "")
        for batch in _batches(documents, self._batch_size):
            self._ask("POST", "/documents", json={"documents": batch})
        return [document["id"] for document in documents]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Takes documents out; without ids, all of them. Unknown ids are passed over."""
        if ids is None:
            self._ask("DELETE", "")
            self._ask("PUT", "")
            return True
        for document_id in ids:
            self._ask_about("DELETE", document_id)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of these ids; unknown ones are passed over."""
        replies = (self._ask_about("GET", document_id) for document_id in ids)
        return [_as_document(reply.json()) for reply in replies if reply is not None]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The ``k`` best documents; see :meth:`similarity_search_with_score`."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangChain's name for it
        score_threshold: float | None = None,
        offset: int = 0,
        mode: Mode | None = None,
    ) -> list[tuple[Document, float]]:
        """The ``k`` best documents with the scores that order them, the higher the better.

        Args:
            query: what to look for.
            k: most documents.
            filter: metadata that documents must have, as the service reads it.
            score_threshold: least cosine.
            offset: documents to pass over.
            mode: in place of the store's. Scores are cosines (``vector``), BM25 (``keyword``) or
                reciprocal rank fusion of both (``hybrid``).

        Raises:
            ServiceError: the service refused.
        """
        hits = self._search(query, k, filter, score_threshold, offset, mode or self._mode)
        return [(_as_found(hit), hit["score"]) for hit in hits]

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The ``k`` nearest documents with their cosines, those below 0 made 0."""
        found = self.similarity_search_with_score(query, k, **{**kwargs, "mode": "vector"})
        return [(document, max(score, 0.0)) for document, score in found]

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return await asyncio.to_thread(
            self._similarity_search_with_relevance_scores, query, k, **kwargs
        )

    def _search(
        self,
        query: str,
        k: int,
        where: dict[str, Any] | None,
        min_score: float | None,
        offset: int,
        mode: Mode | None,
    ) -> list[dict[str, Any]]:
        asked = {
            "query": query,
            "top_k": k,
            "offset": offset,
            "filter": where or {},
            "min_score": min_score,
            "mode": mode,
        }
        hits: list[dict[str, Any]] = self._ask("POST", "/search", json=asked).json()["hits"]
        return hits

    def _ask(self, method: str, path: str, **body: Any) -> requests.Response:
        response = requests.request(
            method, self._url + path, headers=self._headers, timeout=self._timeout_s, **body
        )
        if not response.ok:
            raise _error(response)
        return response

    def _ask_about(self, method: str, document_id: str) -> requests.Response | None:
        """The answer about a document; None if there is none of this id."""
        try:
            return self._ask(method, f"/documents/{quote(document_id, safe='')}")
        except ServiceError as error:
            if error.status == requests.codes.not_found:
                return None
            raise


def _error(response: requests.Response) -> ServiceError:
    try:
        error = response.json()["error"]
    except (ValueError, LookupError, TypeError):
        # Something in between answered.
        message = f"{response.url} answered {response.status_code} {response.reason}."
        return ServiceError(message, status=response.status_code, code="http_error")
    return ServiceError(error["message"], status=response.status_code, code=error["code"])


def _as_stored(
    text: str, metadata: dict[str, Any], document_id: str | None, *, item: str
) -> dict[str, Any]:
    title = metadata.get(TITLE, "")
    kept = {key: value for key, value in metadata.items() if key not in {TITLE, PASSAGE}}
    document = make_document(
        text, title=title, metadata=kept, document_id=document_id or "", item=item
    )
    return vars(document)


def _as_document(stored: dict[str, Any]) -> Document:
    title = {TITLE: stored["title"]} if stored["title"] else {}
    metadata = {**stored["metadata"], **title}
    return Document(id=stored["id"], page_content=stored["text"], metadata=metadata)


def _as_found(hit: dict[str, Any]) -> Document:
    document = _as_document(hit["document"])
    document.metadata[PASSAGE] = hit["passage"]
    return document


def _batches(documents: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    rest = iter(documents)
    while batch := list(islice(rest, size)):
        yield batch
