"""LangChain's clients, as they are, over a real socket."""

from collections.abc import Iterator

import cohere
import numpy as np
import openai
import pytest
from langchain_cohere import CohereRerank
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from openai import DefaultHttpxClient
from pydantic import SecretStr

from inference.engine import Engine

DOCUMENTS = ["파리의 에펠탑", "인공지능 기술이 빠르게 발전하고 있습니다.", "맛있는 김치찌개"]
QUERY = "최신 기술 발전"


@pytest.fixture
def embeddings(exact_server: str) -> Iterator[OpenAIEmbeddings]:
    # LangChain never closes a connection of its own, and an open one fails a test.
    with DefaultHttpxClient() as http_client:
        yield OpenAIEmbeddings(
            openai_api_base=f"{exact_server}/v1",
            openai_api_key=SecretStr("unused"),
            check_embedding_ctx_length=False,
            http_client=http_client,
        )


def test_openai_embeddings(embeddings: OpenAIEmbeddings, engine: Engine) -> None:
    vectors = embeddings.embed_documents(DOCUMENTS)
    np.testing.assert_allclose(vectors, engine.embed(DOCUMENTS).vectors, atol=1e-4)
    vector = embeddings.embed_query(QUERY)
    np.testing.assert_allclose(vector, engine.embed([QUERY]).vectors[0], atol=1e-4)


def test_vector_store_finds_what_is_near(embeddings: OpenAIEmbeddings) -> None:
    store = InMemoryVectorStore.from_texts(DOCUMENTS, embeddings)
    (found,) = store.similarity_search(QUERY, k=1)
    assert found.page_content == DOCUMENTS[1]


def test_side_of_an_embeddings_object_is_chosen_in_its_extra_body(
    embeddings: OpenAIEmbeddings,
) -> None:
    extra = {"extra_body": {"input_type": "query"}}
    queries = embeddings.model_copy(update={"model_kwargs": extra})
    np.testing.assert_allclose(queries.embed_query(QUERY), embeddings.embed_query(QUERY), atol=1e-4)
    wrong = embeddings.model_copy(update={"model_kwargs": {"extra_body": {"input_type": "no"}}})
    with pytest.raises(openai.BadRequestError, match="input_type"):
        wrong.embed_query(QUERY)


def test_cohere_rerank(live_server: str) -> None:
    documents = [Document(text, metadata={"line": line}) for line, text in enumerate(DOCUMENTS)]
    with cohere.ClientV2(api_key="unused", base_url=live_server) as client:
        reranker = CohereRerank(client=client, model="rerank-v3.5", top_n=2)
        best = reranker.compress_documents(documents, QUERY)
    assert len(best) == 2
    assert best[0].metadata["line"] == 1
    assert best[0].metadata["relevance_score"] > best[1].metadata["relevance_score"]
