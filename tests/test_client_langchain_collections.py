"""The vector store for LangChain, in LangChain, against a running service."""

import asyncio
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from running_service import RunningService, StartService

from inference.engine import Engine
from inference.errors import InvalidInput
from webapp.langchain import PASSAGE, TITLE, ServiceError, SsangVectorStore

KEY = "a-key"

FAQ = [
    Document(
        id="card/lost",
        page_content="분실 신고는 24시간 받습니다.",
        metadata={TITLE: "카드를 잃어버렸어요", "type": "카드", "views": 30},
    ),
    Document(
        id="certificate",
        page_content="앱의 인증 메뉴에서 다시 발급받으실 수 있습니다.",
        metadata={TITLE: "인증서가 만료되었어요", "type": "인증서", "views": 7},
    ),
    Document(page_content="영업점은 평일 9시부터 16시까지 엽니다.", metadata={"views": 11}),
]


@pytest.fixture(scope="module")
def service(
    start_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> RunningService:
    folder = tmp_path_factory.mktemp("langchain")
    # The vectors that scores are compared with are the engine's.
    return start_service(api_keys=KEY, data_dir=folder, precision="fp32")


@pytest.fixture
def empty(service: RunningService, request: pytest.FixtureRequest) -> SsangVectorStore:
    name = request.node.name[:60].rstrip("_-").partition("[")[0]
    return SsangVectorStore(service.url, name, api_key=KEY)


@pytest.fixture
def store(empty: SsangVectorStore) -> SsangVectorStore:
    empty.add_documents(FAQ)
    return empty


def _ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def test_ids_come_in_the_order_of_the_documents(empty: SsangVectorStore) -> None:
    ids = empty.add_documents(FAQ)
    assert ids[:2] == ["card/lost", "certificate"]
    assert empty.add_documents(FAQ[::-1]) == ids[::-1]
    found = empty.get_by_ids([ids[2], "nothing", ids[0]])
    assert [document.page_content for document in found] == [
        FAQ[2].page_content,
        FAQ[0].page_content,
    ]
    assert found[1] == FAQ[0]
    assert empty.delete([ids[0], "nothing"])
    assert empty.get_by_ids(ids) == [found[0], *empty.get_by_ids(["certificate"])][::-1]
    empty.delete()
    assert empty.get_by_ids(ids) == []


def test_many_texts_go_in_batches(service: RunningService) -> None:
    store = SsangVectorStore(service.url, "many", api_key=KEY, batch_size=2)
    texts = [f"{number}번 안내입니다." for number in range(5)]
    ids = store.add_texts(texts, [{"number": number} for number in range(5)], ids=list("abcde"))
    assert ids == list("abcde")
    assert [document.metadata for document in store.get_by_ids(ids)] == [
        {"number": number} for number in range(5)
    ]


def test_what_is_found_has_its_title_and_passage(store: SsangVectorStore) -> None:
    (found,) = store.similarity_search("카드를 잃어버렸어요", k=1)
    assert found.page_content == FAQ[0].page_content
    assert found.metadata.pop(PASSAGE) == {
        "field": "title",
        "start": 0,
        "end": 10,
        "text": "카드를 잃어버렸어요",
    }
    assert found == FAQ[0]


def test_what_was_found_can_be_put_in_again(store: SsangVectorStore) -> None:
    found = store.similarity_search("카드", k=3)
    assert PASSAGE in found[0].metadata
    store.add_documents(found)
    assert store.get_by_ids(["card/lost"]) == [FAQ[0]]


def test_scores_are_cosines_where_they_are_asked_for(
    store: SsangVectorStore, engine: Engine
) -> None:
    query = "체크카드를 분실했어요"
    pairs = [(query, part) for part in (FAQ[0].metadata[TITLE], FAQ[0].page_content)]
    best = max(float(pair.score) for pair in engine.score_pairs(pairs).pairs)
    (_, score), *_ = store.similarity_search_with_score(query, mode="vector")
    assert score == pytest.approx(best, abs=1e-4)
    (found, relevance), *_ = store.similarity_search_with_relevance_scores(query)
    assert (found.id, relevance) == ("card/lost", score)
    far = store.similarity_search_with_relevance_scores("양자역학 슈뢰딩거 방정식", k=3)
    assert all(0 <= relevance <= 1 for _, relevance in far)


def test_retriever_takes_k_filter_mode_and_threshold(store: SsangVectorStore) -> None:
    def found(**kwargs: object) -> list[str | None]:
        return _ids(store.as_retriever(search_kwargs=kwargs).invoke("카드를 잃어버렸어요"))

    assert len(found()) == 3
    assert found(k=1) == ["card/lost"]
    assert found(filter={"type": ["인증서", "대출"]}) == ["certificate"]
    assert found(mode="keyword") == ["card/lost", "certificate"]
    assert found(score_threshold=0.99) == ["card/lost"]
    retriever = store.as_retriever(
        search_type="similarity_score_threshold",
        search_kwargs={"score_threshold": 0.99, "filter": {"views": {"gte": 10}}},
    )
    assert _ids(retriever.invoke("카드를 잃어버렸어요")) == ["card/lost"]
    assert _ids(asyncio.run(retriever.ainvoke("인증서가 만료되었어요"))) == []


def test_retriever_in_a_chain(store: SsangVectorStore) -> None:
    def join(documents: list[Document]) -> str:
        return "\n".join(document.page_content for document in documents)

    prompt = ChatPromptTemplate.from_template("{context}\n질문: {question}")
    chain = (
        {
            "context": store.as_retriever(search_kwargs={"k": 1}) | join,
            "question": RunnablePassthrough(),
        }
        | prompt
        | RunnableLambda(lambda asked: asked.to_messages()[0])
        | StrOutputParser()
    )
    question = "체크카드를 분실했어요"
    assert chain.invoke(question) == f"{FAQ[0].page_content}\n질문: {question}"


def test_store_is_made_from_texts_and_documents(service: RunningService) -> None:
    place: dict[str, Any] = {
        "base_url": f"{service.url}/",
        "collection": "made",
        "api_key": KEY,
    }
    SsangVectorStore.from_texts(["첫 안내입니다."], None, ids=["first"], **place)
    store = SsangVectorStore.from_documents(FAQ[:1], None, **place)  # type: ignore[arg-type]
    assert _ids(store.get_by_ids(["first", "card/lost"])) == ["first", "card/lost"]


def test_refusals_are_exceptions_in_the_service_s_words(
    service: RunningService, store: SsangVectorStore
) -> None:
    with pytest.raises(ServiceError, match="There is no such collection") as caught:
        SsangVectorStore(service.url, "nothing", api_key=KEY).similarity_search("가")
    assert (caught.value.status, caught.value.code) == (404, "not_found")
    with pytest.raises(ServiceError, match="API key") as caught:
        SsangVectorStore(service.url, "made").similarity_search("가")
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")
    with pytest.raises(ServiceError, match="query is empty"):
        store.similarity_search(" ")
    with pytest.raises(ServiceError, match="lower-case"):
        SsangVectorStore(service.url, "FAQ", api_key=KEY).add_texts(["가"])
    with pytest.raises(InvalidInput, match=r"texts\[1\]"):
        store.add_texts(["가", " "])
    with pytest.raises(ValueError, match="2 texts, but 1 ids"):
        store.add_texts(["가", "나"], ids=["a"])
    with pytest.raises(NotImplementedError):
        store.max_marginal_relevance_search("가")
