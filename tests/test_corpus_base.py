"""What can be stored, and what can be looked for."""

import pytest

from inference.corpus.base import (
    Metadata,
    Mode,
    Query,
    check_collection_name,
    check_query,
    make_document,
)
from inference.errors import EmptyInput, InvalidInput


def test_equal_documents_get_equal_ids_of_their_content() -> None:
    one = make_document("답", title="질문", metadata={"type": "카드", "no": 1})
    same = make_document("답", title="질문", metadata={"no": 1, "type": "카드"})
    other = make_document("답", title="질문?", metadata={"type": "카드", "no": 1})
    assert one.id == same.id
    assert one.content_hash == same.content_hash
    assert one.id != other.id
    assert make_document("답", document_id="7").id == "7"


@pytest.mark.parametrize(
    ("text", "document_id", "metadata", "item"),
    [
        (" \n", "", {}, "documents[3].text"),
        ("답", " 7", {}, "documents[3].id"),
        ("답", "7\n", {}, "documents[3].id"),
        ("답", "7" * 257, {}, "documents[3].id"),
        ("답", "", {"a": {"b": 1}}, "documents[3].metadata"),
        ("답", "", {"a": [None]}, "documents[3].metadata"),
        ("답", "", {"a": float("nan")}, "documents[3].metadata"),
        ("답", "", {'a"b': 1}, "documents[3].metadata"),
        ("답", "", {"": 1}, "documents[3].metadata"),
        ("답", "", {"a": "가" * 20_000}, "documents[3].metadata"),
        ("답", "", {"a": 2**70}, "documents[3]"),
        ("답\ud800", "", {}, "documents[3]"),
    ],
)
def test_what_cannot_be_stored_is_named(
    text: str, document_id: str, metadata: Metadata, item: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_document(text, document_id=document_id, metadata=metadata, item="documents[3]")
    assert caught.value.item == item
    assert caught.value.message.startswith(item)


@pytest.mark.parametrize("name", ["faq", "은행-faq", "a_1", "가" * 64, "7"])
def test_names_of_collections(name: str) -> None:
    assert check_collection_name(name) == name


@pytest.mark.parametrize("name", ["", "FAQ", "a b", "../a", "-a", "_a", "a.b", "a/b", "가" * 65])
def test_names_that_would_be_other_folders_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="lower-case"):
        check_collection_name(name)


@pytest.mark.parametrize(
    ("query", "item"),
    [
        (Query("질문", top_k=0), "top_k"),
        (Query("질문", top_k=1001), "top_k"),
        (Query("질문", offset=-1), "offset"),
        (Query("질문", offset=10_001), "offset"),
        (Query("질문", mode="keyword", min_score=0.5), "min_score"),
        (Query("질문", mode="other"), "mode"),  # type: ignore[arg-type]
    ],
)
def test_queries_that_cannot_be_answered_name_what_is_wrong(query: Query, item: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_query(query)
    assert caught.value.item == item


def test_queries_need_a_text_and_have_a_mode() -> None:
    with pytest.raises(EmptyInput):
        check_query(Query(" "))
    assert check_query(Query("질문")) == "vector"
    modes: tuple[Mode, ...] = ("vector", "keyword", "hybrid")
    assert [check_query(Query("질문", mode=mode)) for mode in modes] == list(modes)
