"""What every kind of corpus does alike."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hash_embedder import HashEmbedder
from opensearch_server import opensearch_server

from inference.corpus.base import Collection, Corpus, Document, Filter, Mode, Query
from inference.corpus.local import LocalCorpus
from inference.corpus.opensearch import OpenSearchCorpus
from inference.errors import Conflict, EmptyInput, InvalidInput, NotFound

Open = Callable[[str], Corpus]

FAQ = [
    Document(
        "1", "앱의 인증 센터에서 받습니다.", "인증서는 어디서 받나요?", {"type": "인증서", "no": 1}
    ),
    Document(
        "2", "영업점에서 상담해 드립니다.", "전세자금대출을 받고 싶어요.", {"type": "대출", "no": 2}
    ),
    Document(
        "3", "만기 전에도 갚으실 수 있습니다.", "대출은 언제 갚나요?", {"type": "대출", "no": 3}
    ),
    Document("4", "고객 센터에 전화해 주세요.", "", {"type": ["카드", "분실"], "no": 4}),
]


@pytest.fixture(params=["folder", "opensearch"])
def open_corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a corpus with an embedder of some name, always in the same place."""
    opened: list[Corpus] = []

    def open_with(model: str, address: str = "") -> Corpus:
        embedder = HashEmbedder(model)
        corpus: Corpus
        corpus = OpenSearchCorpus(address, embedder) if address else LocalCorpus(tmp_path, embedder)
        opened.append(corpus)
        return corpus

    if request.param == "folder":
        yield open_with
    else:
        with opensearch_server() as server:
            yield lambda model: open_with(model, server.url)
            for corpus in opened:
                corpus.close()
            opened.clear()
    for corpus in opened:
        corpus.close()


@pytest.fixture
def corpus(open_corpus: Open) -> Corpus:
    return open_corpus("first")


@pytest.fixture
def faq(corpus: Corpus) -> Collection:
    """A collection of four documents."""
    collection, _ = corpus.create("faq")
    collection.add(FAQ)
    return collection


def found(collection: Collection, query: Query) -> list[str]:
    return [hit.document.id for hit in collection.search(query).hits]


def test_collections_are_made_once_and_deleted(corpus: Corpus) -> None:
    assert corpus.list_collections() == []
    assert corpus.create("나")[1]
    assert corpus.create("가")[1]
    assert not corpus.create("나")[1]
    assert [info.name for info in corpus.list_collections()] == ["가", "나"]
    corpus.delete("나")
    assert [info.name for info in corpus.list_collections()] == ["가"]
    for act in (corpus.open, corpus.delete):
        with pytest.raises(NotFound):
            act("나")
    with pytest.raises(InvalidInput):
        corpus.create("../나")


def test_another_opener_sees_a_collection_made_anew(open_corpus: Open) -> None:
    one, other = open_corpus("first"), open_corpus("first")
    one.create("faq")[0].add(FAQ)
    assert found(other.open("faq"), Query(FAQ[0].text))[0] == "1"
    one.delete("faq")
    with pytest.raises(NotFound):
        other.open("faq")
    one.create("faq")[0].add([replace(FAQ[0], text="다릅니다.")])
    assert other.open("faq").get("1").text == "다릅니다."
    assert other.open("faq").info().documents == 1


def test_documents_are_added_replaced_and_left_alone(faq: Collection) -> None:
    changed = replace(FAQ[1], text="앱에서도 신청하십니다.")
    new = Document("5", "새 답변입니다.")
    result = faq.add([FAQ[0], changed, new])
    assert (result.added, result.replaced, result.unchanged) == (["5"], ["2"], ["1"])
    assert faq.get("2") == changed
    assert faq.info().documents == 5
    assert found(faq, Query(changed.text, top_k=1)) == ["2"]
    assert [document.id for document in faq.iterate()] == ["1", "2", "3", "4", "5"]
    # Of one id twice, the last counts.
    faq.add([replace(new, text="하나"), replace(new, text="둘")])
    assert faq.get("5").text == "둘"


def test_documents_are_removed(faq: Collection) -> None:
    assert faq.remove(["1", "3", "nobody"]) == 2
    assert faq.remove(["1"]) == 0
    with pytest.raises(NotFound):
        faq.get("1")
    assert faq.list_documents().total == 2
    assert "1" not in found(faq, Query(FAQ[0].title, mode="hybrid"))


def test_documents_are_listed_in_their_order(faq: Collection) -> None:
    page = faq.list_documents(offset=1, limit=2)
    assert ([document.id for document in page.documents], page.total) == (["2", "3"], 4)
    page = faq.list_documents(where={"type": "대출"}, limit=1)
    assert ([document.id for document in page.documents], page.total) == (["2"], 2)


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_a_question_or_its_answer_finds_a_document_once(faq: Collection, mode: Mode) -> None:
    for document in FAQ[:3]:
        for field, text in (("title", document.title), ("text", document.text)):
            hits = faq.search(Query(text, mode=mode)).hits
            assert hits[0].document == document
            place = hits[0].passage
            assert (place.field, place.start, place.end) == (field, 0, len(text))
            assert [hit.document.id for hit in hits].count(document.id) == 1


def test_words_are_found_within_words(faq: Collection) -> None:
    assert sorted(found(faq, Query("대출", mode="keyword"))) == ["2", "3"]
    assert found(faq, Query("환율", mode="keyword")) == []
    assert found(faq, Query('"AND (', mode="keyword")) == []


def test_scores_are_cosines_but_for_words(faq: Collection) -> None:
    (best, *others) = faq.search(Query(FAQ[0].text)).hits
    assert best.score == best.similarity == pytest.approx(1, abs=1e-5)
    assert all(-1 <= hit.score < 0.9 for hit in others)
    words = faq.search(Query("대출", mode="keyword")).hits
    assert all(hit.similarity is None and hit.score > 0 for hit in words)
    both = faq.search(Query(FAQ[0].text, mode="hybrid")).hits
    assert both[0].similarity == pytest.approx(1, abs=1e-5)
    assert all(hit.similarity is not None for hit in both)


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_a_least_score_is_a_cosine(faq: Collection, mode: Mode) -> None:
    assert found(faq, Query(FAQ[2].text, mode=mode, min_score=0.9)) == ["3"]
    assert found(faq, Query("아무도 묻지 않은 것", mode=mode, min_score=0.99)) == []


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"type": "대출"}, ["2", "3"]),
        ({"type": ["대출", "분실"]}, ["2", "3", "4"]),
        ({"no": {"gte": 2, "lt": 4}, "type": "대출"}, ["2", "3"]),
        ({"no": "3"}, ["3"]),
        ({"type": "환전"}, []),
    ],
)
def test_filters_hold_in_every_mode(
    faq: Collection, mode: Mode, where: Filter, ids: list[str]
) -> None:
    # Words that stand in every document that the filters may let through.
    query = Query("대출 카드 센터 인증 전화 갚나요", mode=mode, filter=where)
    assert sorted(found(faq, query)) == ids


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_pages_hold_every_hit_once(corpus: Corpus, mode: Mode) -> None:
    collection, _ = corpus.create("many")
    collection.add([Document(str(number), f"대출 안내 {number}번") for number in range(30)])
    pages = [
        found(collection, Query("대출 안내", mode=mode, top_k=7, offset=offset))
        for offset in range(0, 35, 7)
    ]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    assert len({number for page in pages for number in page}) == 30


def test_queries_that_cannot_be_answered(faq: Collection) -> None:
    with pytest.raises(EmptyInput):
        faq.search(Query("  "))
    with pytest.raises(InvalidInput, match="min_score"):
        faq.search(Query("대출", mode="keyword", min_score=0.1))
    with pytest.raises(InvalidInput, match="type"):
        faq.search(Query("대출", filter={"type": {"near": 3}}))


def test_another_model_is_a_conflict_that_names_the_mend(
    faq: Collection, open_corpus: Open
) -> None:
    other = open_corpus("second").open("faq")
    for act in (
        lambda: other.search(Query("대출")),
        lambda: other.add([Document("9", "새 답변입니다.")]),
    ):
        with pytest.raises(Conflict, match="reembed"):
            act()
    # Words need no model.
    assert sorted(found(other, Query("대출", mode="keyword"))) == ["2", "3"]
    assert faq.info().documents == 4
    other.reembed()  # type: ignore[attr-defined]
    assert found(other, Query(FAQ[3].text, top_k=1)) == ["4"]
    with pytest.raises(Conflict):
        faq.search(Query("대출"))
