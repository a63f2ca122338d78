"""The file of a collection: what it keeps, finds and survives."""

import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_writer import BATCH, DIMENSION, FULL, IDENTITY, row_of, rows, vector_of

from inference.corpus.base import (
    Document,
    EmbeddedPassage,
    Filter,
    Identity,
    Metadata,
    PassagePlace,
)
from inference.corpus.filters import number_of, text_of
from inference.corpus.store import Store
from inference.corpus.vector_source import Generation, Mark
from inference.errors import Conflict, InvalidInput, NotFound, StorageFull

WRITER = Path(__file__).with_name("store_writer.py")
OTHER = Identity("second", "2", 16, "fp32")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "documents.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store.create(path)) as store:
        yield store


def put_texts(store: Store, **texts: str) -> None:
    store.put([row_of(Document(id_, text)) for id_, text in texts.items()], IDENTITY)


def found(store: Store, query: str, where: Filter | None = None) -> list[str]:
    """The ids of the documents that a search by words finds, best first, each once."""
    ranking = store.keyword_search(query, 100, where)
    places = store.places([passage for passage, _ in ranking])
    return list(dict.fromkeys(places[passage][0].id for passage, _ in ranking))


def check_whole(path: Path) -> list[str]:
    """The ids in a file in which every table agrees with the others."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        # The full-text table against itself: it holds no text to compare with.
        database.execute("INSERT INTO keywords (keywords) VALUES ('integrity-check')")
        without = database.execute(
            "SELECT count(*) FROM documents WHERE number NOT IN (SELECT document FROM passages)"
        ).fetchone()
        assert without == (0,)
        # A row of sizes for each passage.
        passages = database.execute("SELECT id FROM passages ORDER BY id").fetchall()
        assert (
            database.execute("SELECT id FROM keywords_docsize ORDER BY id").fetchall() == passages
        )
        return [id_ for (id_,) in database.execute("SELECT id FROM documents ORDER BY number")]


# Documents


def test_a_document_comes_back_as_it_went_in(store: Store) -> None:
    document = Document("가/나", "본문\n둘째 줄", "제목", {"a": [1, 2.5, "x", True], "b": 3.0})
    added = store.put([row_of(document)], IDENTITY)
    assert (added.added, added.replaced, added.unchanged) == (["가/나"], [], [])
    assert store.get("가/나") == document
    assert store.get("가/나").content_hash == document.content_hash
    with pytest.raises(NotFound):
        store.get("가")


def test_puts_are_idempotent_and_replace_by_content(store: Store) -> None:
    store.put(rows(0, 3), IDENTITY)
    other = row_of(Document("1", "다른 답변", "1번 질문인가요?"))
    documents = [rows(0, 1)[0][0], other[0], Document("9", "없는 문서")]
    assert store.unchanged(documents) == {"0"}
    added = store.put([*rows(0, 1), other, *rows(3, 4)], IDENTITY)
    assert (added.added, added.replaced, added.unchanged) == (["3"], ["1"], ["0"])
    assert [document.id for document in store.iterate()] == ["0", "1", "2", "3"]
    assert store.get("1").text == "다른 답변"
    assert store.counts().passages == 8
    assert found(store, "다른") == ["1"]
    assert store.list_documents(where={"n": 1}).total == 0


def test_of_one_id_twice_the_last_counts(store: Store) -> None:
    added = store.put([row_of(Document("a", "먼저")), row_of(Document("a", "나중"))], IDENTITY)
    assert added.added == ["a"]
    assert store.get("a").text == "나중"
    assert store.counts().documents == 1


def test_pages_are_in_the_order_of_arrival(store: Store) -> None:
    store.put(rows(0, 30), IDENTITY)
    store.put([row_of(Document("3", "새 답변"))], IDENTITY)
    page = store.list_documents(offset=2, limit=3)
    assert [document.id for document in page.documents] == ["2", "3", "4"]
    assert page.total == 30
    page = store.list_documents(offset=1, limit=2, where={"odd": True})
    assert [document.id for document in page.documents] == ["5", "7"]
    assert page.total == 14


def test_what_is_removed_is_gone_everywhere(store: Store, path: Path) -> None:
    store.put(rows(0, 3), IDENTITY)
    assert store.remove(["1", "1", "none"]) == 1
    assert store.remove([]) == 0
    assert found(store, "1") == []
    assert sorted(found(store, "답변")) == ["0", "2"]
    assert store.list_documents(where={"odd": True}).total == 0
    assert store.match({"odd": True}).tolist() == []
    assert store.changes(1, Mark()).removed.tolist() == [3, 4]
    assert store.owners([2, 3]) == {2: 1}
    assert store.places([2, 3]) == {2: (store.get("0"), PassagePlace("text", 0, 9))}
    left = store.changes(1, Mark())
    vectors = dict(zip(left.ids.tolist(), left.vectors, strict=True))
    assert [number for number in (2, 3, 5) if number in vectors] == [2, 5]
    assert np.array_equal(vectors[2], vector_of("0번 답변입니다."))
    assert np.array_equal(vectors[5], vector_of("2번 질문인가요?"))
    assert check_whole(path) == ["0", "2"]


def test_an_iteration_stands_still_while_others_write(store: Store) -> None:
    store.put(rows(0, 300), IDENTITY)
    documents = store.iterate()
    seen = [next(documents).id]
    store.remove([str(n) for n in range(100, 200)])
    store.put(rows(300, 310), IDENTITY)
    seen.extend(document.id for document in documents)
    assert seen == [str(n) for n in range(300)]
    assert store.counts().documents == 210


@pytest.mark.parametrize(
    "passages",
    [[], [EmbeddedPassage("text", 0, 1, vector_of("x", DIMENSION + 1))]],
    ids=["none", "another dimension"],
)
def test_a_row_that_could_not_be_searched_undoes_the_whole_put(
    store: Store, passages: list[EmbeddedPassage]
) -> None:
    with pytest.raises(ValueError, match=r"passages|shape"):
        store.put([*rows(0, 3), (Document("a", "본문"), passages)], IDENTITY)
    assert store.counts().documents == 0
    assert store.serving() is None


# Models


def test_vectors_of_another_model_are_refused(store: Store) -> None:
    assert store.serving() is None
    store.check_identity(OTHER)
    store.put(rows(0, 2), IDENTITY)
    assert store.serving_space() == (1, DIMENSION)
    # Of another precision they may be compared.
    store.check_identity(Identity("first", "1", DIMENSION, "int8"))
    for act in (store.check_identity, lambda other: store.put(rows(2, 3), other)):
        with pytest.raises(Conflict, match="ssang collections reembed"):
            act(OTHER)
    assert store.counts().documents == 2


def test_other_weights_of_the_same_name_are_told_from_another_model(store: Store) -> None:
    store.put(rows(0, 2), IDENTITY)
    with pytest.raises(Conflict, match="of the model first, and the model second is loaded"):
        store.check_identity(OTHER)
    with pytest.raises(Conflict, match="of the model first, and another of that name is loaded"):
        store.check_identity(Identity("first", "2", DIMENSION, "fp32"))


def test_an_empty_collection_takes_any_model(store: Store) -> None:
    store.put(rows(0, 2), IDENTITY)
    store.remove(["0", "1"])
    assert store.serving_space() is None
    store.put([row_of(Document("a", "본문"), OTHER.dimension)], OTHER)
    assert store.serving_space() == (2, OTHER.dimension)


def rebuild(store: Store, limit: int) -> None:
    store.add_built(
        [row_of(document, OTHER.dimension) for document in store.missing(limit)],
    )


def test_a_new_model_takes_over_when_nothing_is_missing(store: Store, path: Path) -> None:
    store.put(rows(0, 10), IDENTITY)
    old = store.changes(1, Mark())
    store.begin_building(OTHER)
    assert not store.serve_building()
    rebuild(store, 4)
    assert (store.counts().rebuilt, store.counts().reembedded) == (4, 0.4)
    # The old model is searched, and takes documents, until the end.
    assert store.serving_space() == (1, DIMENSION)
    assert len(found(store, "답변")) == 10
    store.put([*rows(10, 11), row_of(Document("0", "바뀐 답변"))], IDENTITY)
    assert store.counts().rebuilt == 3
    while store.missing(1):
        assert not store.serve_building()
        rebuild(store, 4)
    # What follows an index of the old space learns of all that was removed.
    gone = store.changes(1, old.mark).removed.tolist()
    assert gone[:2] == [1, 2]
    assert store.serve_building()
    assert store.serving_space() == (2, OTHER.dimension)
    assert store.building() is None
    assert store.counts().reembedded is None
    new = store.changes(2, Mark())
    assert len(new.ids) == store.counts().passages == 21
    assert not set(new.ids) & set(old.ids)
    assert sorted(found(store, "답변")) == sorted(str(n) for n in range(11))
    assert found(store, "바뀐") == ["0"]
    while store.drop_unserved(6):
        check_whole(path)
    assert store.changes(1, Mark()).ids.tolist() == []
    assert store.serve_building()
    assert len(check_whole(path)) == 11


def test_building_goes_on_where_it_was_unless_the_model_is_another(store: Store) -> None:
    store.put(rows(0, 6), IDENTITY)
    store.begin_building(OTHER)
    rebuild(store, 4)
    store.begin_building(OTHER)
    assert store.counts().rebuilt == 4
    store.begin_building(Identity("third", "3", OTHER.dimension, "fp32"))
    assert store.counts().rebuilt == 0
    store.stop_building()
    assert (store.building(), store.missing(9), store.counts().rebuilt) == (None, [], None)
    with pytest.raises(Conflict, match="anew"):
        store.add_built(rows(0, 1))
    assert not store.drop_unserved(100)
    assert store.counts().passages == 12


def test_vectors_of_documents_that_changed_meanwhile_are_passed_over(store: Store) -> None:
    store.put(rows(0, 3), IDENTITY)
    store.begin_building(OTHER)
    read = [row_of(document, OTHER.dimension) for document in store.missing(10)]
    store.put([row_of(Document("0", "바뀐 답변"))], IDENTITY)
    store.remove(["1"])
    store.add_built(read)
    store.add_built(read)
    assert [document.text for document in store.missing(10)] == ["바뀐 답변"]
    assert len(store.changes(2, Mark()).ids) == 2


# Words


def test_words_are_found_within_words_and_with_particles(store: Store) -> None:
    put_texts(
        store,
        loan="전세자금대출은 어떻게 받나요?",
        card="카드를 잃어버렸습니다.",
        atm="ATM에서 돈을 찾고 싶어요.",
        home="집 주소 변경",
    )
    assert found(store, "대출") == ["loan"]
    assert found(store, "대출이") == ["loan"]
    assert found(store, "카드가") == ["card"]
    assert found(store, "atm") == ["atm"]
    assert found(store, "ＡＴＭ") == ["atm"]
    assert found(store, "카") == ["card"]
    assert found(store, "집") == ["home"]
    assert found(store, "예금") == []


@pytest.mark.parametrize("query", ["", " ", '"', "()", "NOT", "* OR", "대출 AND (", "a:b NEAR/2"])
def test_no_query_is_an_error(store: Store, query: str) -> None:
    put_texts(store, loan="전세자금대출", other="주소 변경")
    assert found(store, query) == (["loan"] if "대출" in query else [])


def test_rankings_are_by_bm25_best_first(store: Store) -> None:
    texts = {f"x{n}": f"{n}번 예금 상품 안내" for n in range(20)}
    put_texts(store, **texts, both="예금 대출", twice="대출 대출 안내", once="대출 상품의 긴 안내")
    ranking = store.keyword_search("대출 예금", 3)
    assert [score for _, score in ranking] == sorted((s for _, s in ranking), reverse=True)
    assert all(score > 0 for _, score in ranking)
    # What nearly every passage holds says next to nothing.
    assert found(store, "대출 예금")[:3] == ["twice", "both", "once"]


def test_title_and_text_are_passages_of_one_document(store: Store) -> None:
    store.put([row_of(Document("a", "영업점에 오세요.", "통장 분실"))], IDENTITY)
    (title,) = store.keyword_search("통장", 10)
    (text,) = store.keyword_search("영업점", 10)
    assert store.places([title[0], text[0]]) == {
        title[0]: (store.get("a"), PassagePlace("title", 0, 5)),
        text[0]: (store.get("a"), PassagePlace("text", 0, 9)),
    }


def test_keywords_take_part_of_a_document_only(store: Store) -> None:
    text = "대출 안내. 예금 안내."
    passages = [
        EmbeddedPassage("text", 0, 6, vector_of("a")),
        EmbeddedPassage("text", 7, 13, vector_of("b")),
    ]
    store.put([(Document("a", text), passages)], IDENTITY)
    assert [passage for passage, _ in store.keyword_search("예금", 10)] == [2]


# Filters

METADATA: dict[str, Metadata] = {
    "a": {"type": "인증서", "year": 2020, "day": "2020-05-01"},
    "b": {"type": ["인증서", "예금"], "year": "2021", "open": True},
    "c": {"type": "대출", "year": 1999.5, "day": "2021-01-31"},
    "d": {"year": [1990, 2030]},
    "e": {},
}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"type": "인증서"}, "ab"),
        ({"type": ["대출", "예금"]}, "bc"),
        ({"type": "인증"}, ""),
        ({"none": "x"}, ""),
        ({"year": 2021}, "b"),
        ({"year": "2020"}, "a"),
        ({"open": "true"}, "b"),
        ({"year": {"gte": 2020}}, "abd"),
        ({"year": {"gt": 1999, "lte": 2020}}, "ac"),
        ({"year": {"gt": 1990, "lt": 2030}}, "abc"),
        ({"year": {"lt": 1991}}, "d"),
        ({"day": {"gte": "2020-05-01", "lt": "2021"}}, "a"),
        ({"day": {"gt": 0}}, ""),
        ({"type": "인증서", "year": {"lt": 2021}}, "a"),
        ({}, "abcde"),
    ],
)
def test_filters(store: Store, where: Filter, expected: str) -> None:
    documents = [Document(id_, f"{id_} 공통", "", METADATA[id_]) for id_ in METADATA]
    store.put([row_of(document) for document in documents], IDENTITY)
    page = store.list_documents(where=where)
    assert ("".join(document.id for document in page.documents), page.total) == (
        expected,
        len(expected),
    )
    passages = [list(METADATA).index(id_) + 1 for id_ in expected]
    assert store.match(where).tolist() == passages
    assert "".join(sorted(found(store, "공통", where))) == expected


@pytest.mark.parametrize(
    "act",
    [
        lambda store, where: store.match(where),
        lambda store, where: store.list_documents(where=where),
        lambda store, where: store.keyword_search("", 1, where),
    ],
    ids=["match", "list", "search"],
)
def test_filters_that_mean_nothing_are_refused(
    store: Store, act: Callable[[Store, Filter], object]
) -> None:
    with pytest.raises(InvalidInput, match=r"filter\.type"):
        act(store, {"type": None})


SCALARS = st.one_of(
    st.integers(-3, 3), st.sampled_from([0.5, -1.0, "1", "-2.5", "가", "a' OR 1=1 --", "", True])
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    metadata=st.dictionaries(st.sampled_from("kl"), st.one_of(SCALARS, st.lists(SCALARS))),
    key=st.sampled_from(["k", "l", "k' OR '1"]),
    wanted=st.lists(SCALARS, min_size=1, max_size=3),
    least=st.one_of(st.integers(-2, 2), st.sampled_from(["", "-", "가"])),
)
def test_filters_mean_what_they_say(
    store: Store,
    metadata: dict[str, str | float | list[str | float]],
    key: str,
    wanted: list[str | float],
    least: str | float,
) -> None:
    values = metadata.get(key, [])
    values = values if isinstance(values, list) else [values]
    # It replaces that of the example before.
    store.put([row_of(Document("a", "본문", "", metadata))], IDENTITY)
    any_of = bool({text_of(value) for value in values} & {text_of(value) for value in wanted})
    assert store.list_documents(where={key: wanted}).total == any_of
    if isinstance(least, str):
        above = any(text_of(value) >= least for value in values)
    else:
        numbers = [number_of(value) for value in values]
        above = any(number is not None and number >= least for number in numbers)
    assert store.list_documents(where={key: {"gte": least}}).total == above


# What indexes follow


def test_changes_are_followed_in_steps(store: Store) -> None:
    store.put(rows(0, 3), IDENTITY)
    first = store.changes(1, Mark(), limit=4)
    assert (first.ids.tolist(), first.removed.tolist(), first.more) == ([1, 2, 3, 4], [], True)
    assert first.vectors.dtype == np.float32
    assert np.array_equal(first.vectors[1], vector_of("0번 답변입니다."))
    store.put([row_of(Document("0", "새 답변"))], IDENTITY)
    second = store.changes(1, first.mark, limit=4)
    assert (second.ids.tolist(), second.removed.tolist(), second.more) == ([5, 6, 7], [1, 2], False)
    last = store.changes(1, second.mark)
    assert (len(last.ids), last.vectors.shape, len(last.removed)) == (0, (0, DIMENSION), 0)
    assert last.mark == second.mark
    # Numbers are not used again, even of what was last.
    store.remove(["0"])
    store.put(rows(5, 6), IDENTITY)
    assert store.changes(1, last.mark).ids.tolist() == [8, 9]


def test_published_indexes_are_remembered_and_forget_removals(store: Store) -> None:
    assert store.generation() is None
    store.put(rows(0, 4), IDENTITY)
    store.remove(["0"])
    mark = store.changes(1, Mark()).mark
    store.remove(["1"])
    generation = Generation(2, 1, mark)
    store.publish(generation)
    assert store.generation() == generation
    assert store.changes(1, Mark()).removed.tolist() == [3, 4]
    store.publish(Generation(1, 1, Mark(8, 4)))
    assert store.generation() == generation
    assert store.changes(1, mark).removed.tolist() == [3, 4]
    store.publish(Generation(3, 1, Mark(8, 4)))
    assert store.changes(1, Mark()).removed.tolist() == []


def test_commits_of_everyone_are_noticed(store: Store, path: Path) -> None:
    versions = [store.version()]
    assert store.version() == versions[0]
    store.put(rows(0, 1), IDENTITY)
    versions.append(store.version())
    subprocess.run([sys.executable, WRITER, path, "1", "2"], check=True, capture_output=True)
    versions.append(store.version())
    with closing(Store(path)) as other:
        other.remove(["0"])
    versions.append(store.version())
    store.counts()
    assert store.version() == versions[-1]
    assert len(set(versions)) == 4


# Files


def test_files_that_are_no_collections_are_refused(path: Path, tmp_path: Path) -> None:
    with closing(Store(path)) as store, pytest.raises(NotFound):
        store.counts()
    path.write_bytes(b"no database" * 1000)
    with closing(Store(path)) as store, pytest.raises(InvalidInput, match="no SQLite file"):
        store.counts()
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE t (x)")
    for make in (Store, Store.create):
        with pytest.raises(InvalidInput, match="something else"), closing(make(other)) as store:
            store.counts()
    path.unlink()
    Store.create(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with closing(Store(path)) as store, pytest.raises(InvalidInput, match="version 99"):
        store.remove(["a"])


def test_a_damaged_file_is_said_to_be_damaged(path: Path) -> None:
    with closing(Store.create(path)) as store:
        store.put(rows(0, 200), IDENTITY)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))
    with closing(Store(path)) as store, pytest.raises(InvalidInput, match="restore a backup"):
        list(store.iterate())


def test_making_a_store_again_opens_it(store: Store, path: Path) -> None:
    store.put(rows(0, 1), IDENTITY)
    with closing(Store.create(path)) as again:
        assert again.counts().documents == 1
        assert again.created == store.created
    assert time.time() - 600 < store.created <= time.time()


def test_a_closed_store_finds_nothing(store: Store) -> None:
    store.put(rows(0, 1), IDENTITY)
    store.close()
    for act in (store.counts, store.version, lambda: store.remove(["0"])):
        with pytest.raises(NotFound):
            act()


def test_backups_are_whole_while_others_write(store: Store, path: Path, tmp_path: Path) -> None:
    store.put(rows(0, 50), IDENTITY)
    stop = threading.Event()

    def write() -> None:
        number = 50
        while not stop.is_set():
            store.put(rows(number, number + 2), IDENTITY)
            number += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            backup = tmp_path / f"backup-{number}.sqlite"
            store.backup(backup)
            ids = check_whole(backup)
            assert len(ids) >= 50
            assert len(ids) % 2 == 0
    finally:
        stop.set()
        writer.join()
    with closing(Store(backup)) as copy:
        assert [document.id for document in copy.iterate()] == ids
        copy.put(rows(9000, 9001), IDENTITY)
    assert sorted(tmp_path.glob(".*")) == []


# Several at once


def start_writer(path: Path, first: int, last: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(path), str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")


def test_processes_and_threads_write_at_once(store: Store, path: Path) -> None:
    writers = [start_writer(path, 0, 150), start_writer(path, 150, 300)]
    threads = [
        threading.Thread(target=store.put, args=(rows(first, first + 10), IDENTITY))
        for first in range(300, 400, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        assert writer.communicate()[0].count("\n") == 150 / BATCH
        assert writer.returncode == 0
    assert store.counts().documents == 400
    assert store.list_documents(where={"odd": True}).total == 200
    assert sorted(check_whole(path), key=int) == [str(n) for n in range(400)]


def test_one_store_is_made_by_many_at_once(tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(Store.create(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({store.created for store in stores}) == 1
    for number, store in enumerate(stores):
        store.put(rows(number, number + 1), IDENTITY)
        store.close()
    assert len(check_whole(path)) == len(stores) == 8


def test_killed_writers_lose_nothing_that_they_acknowledged(store: Store, path: Path) -> None:
    draw = random.Random(0)
    total = 0
    for _ in range(8):
        with start_writer(path, total, total + 5000) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline()]
            time.sleep(draw.uniform(0, 0.2))
            writer.kill()
            lines += [line for line in writer.stdout if line.endswith("\n")]
        acknowledged = " ".join(lines).split()
        there = check_whole(path)
        assert len(acknowledged) >= BATCH
        assert there[total : total + len(acknowledged)] == acknowledged
        # A put is whole or not there, and at most one was under way.
        assert len(there) - total - len(acknowledged) in {0, BATCH}
        total = len(there)
    assert store.counts().documents == total
    assert len(found(store, "질문")) > 0


# Full disks


def fill(store: Store, start: int = 0) -> int:
    """Puts documents in until there is no room; the number of the first without."""
    for first in range(start, start + 100_000, BATCH):
        try:
            store.put(rows(first, first + BATCH), IDENTITY)
        except StorageFull:
            return first
    raise AssertionError("there was no end of room")


def limit_pages(store: Store, pages: int) -> None:
    """Lets the file grow so far only, as far as the connection that writes is concerned."""
    store.remove([])
    assert store._database._writer is not None
    store._database._writer.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_file_takes_nothing_torn_and_goes_on_with_room(store: Store, path: Path) -> None:
    limit_pages(store, 60)
    count = fill(store)
    assert count > 0
    assert len(check_whole(path)) == count
    assert found(store, f"{count - 1}") == [f"{count - 1}"]
    with pytest.raises(StorageFull, match="no room"):
        store.put(rows(count, count + 1000), IDENTITY)
    assert store.counts().documents == count
    limit_pages(store, 6000)
    store.put(rows(count, count + 1000), IDENTITY)
    assert len(check_whole(path)) == count + 1000


def test_a_limit_on_files_is_a_full_disk(store: Store, path: Path) -> None:
    """As a quota is: it fails the write, and SQLite speaks of an error of input and output."""
    limit = 300_000
    writer = subprocess.run(
        [sys.executable, str(WRITER), str(path), "0", "5000"],
        capture_output=True,
        encoding="utf-8",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    *acknowledged, last = writer.stdout.splitlines()
    assert (writer.returncode, last) == (0, FULL), writer.stderr
    there = check_whole(path)
    assert there == " ".join(acknowledged).split()
    store.put(rows(5000, 5005), IDENTITY)
    assert len(check_whole(path)) == len(there) + 5


ON_A_TINY_DISK = """
import sys
from contextlib import closing
from pathlib import Path

import test_corpus_store as test

path = Path(sys.argv[1]) / "documents.sqlite"
with closing(test.Store.create(path)) as store:
    count = test.fill(store)
    assert count > 0
    assert len(test.check_whole(path)) == count
    assert store.counts().documents == count
    assert store.keyword_search("질문", 5)
    (Path(sys.argv[1]) / "ballast").unlink()
    store.put(test.rows(count, count + 50), test.IDENTITY)
    assert len(test.check_whole(path)) == count + 50
    test.fill(store, count + 50)
    try:
        store.backup(Path(sys.argv[1]) / "backup.sqlite")
    except test.StorageFull:
        assert sorted(file.name for file in path.parent.glob("*backup*")) == []
    else:
        raise AssertionError("there was room for a backup")
print("ended")
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no way to mount a tiny disk")
def test_a_full_disk_takes_nothing_torn(tmp_path: Path) -> None:
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    mount = (
        f"mount -t tmpfs -o size=1500k tmpfs {tmp_path} && "
        f"head -c 500000 /dev/zero > {tmp_path}/ballast && "
        f'exec "$0" -c "$1" {tmp_path}'
    )
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, sys.executable, ON_A_TINY_DISK],
        capture_output=True,
        encoding="utf-8",
        cwd=Path(__file__).parent,
        env={"PYTHONPATH": f"{Path(__file__).parents[1]}"},
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr
