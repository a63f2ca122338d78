"""Collections in a folder: copies, re-embedding while they serve, and folders that vanish."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from corpus_writer import documents
from hash_embedder import HashEmbedder

from inference.corpus import open_corpus
from inference.corpus.base import Query
from inference.corpus.local import LocalCollection, LocalCorpus
from inference.errors import Conflict, InvalidInput, NotFound


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[LocalCorpus]:
    with closing(LocalCorpus(tmp_path, HashEmbedder())) as corpus:
        corpus.create("faq")
        yield corpus


@pytest.fixture
def faq(corpus: LocalCorpus) -> LocalCollection:
    collection = corpus.open("faq")
    collection.add(documents(0, 300))
    return collection


def test_backup_of_a_collection_that_is_written_is_whole(
    faq: LocalCollection, tmp_path: Path
) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 300
        while not stop.is_set():
            faq.add(documents(number, number + 3))
            number += 3

    writer = threading.Thread(target=write)
    writer.start()
    copy = tmp_path / "copy" / "collections" / "faq" / "documents.sqlite"
    copy.parent.mkdir(parents=True)
    faq.backup(copy)
    stop.set()
    writer.join()
    with closing(LocalCorpus(tmp_path / "copy", HashEmbedder())) as other:
        ids = [document.id for document in other.open("faq").iterate()]
        assert len(ids) >= 300
        assert len(ids) % 3 == 0
        assert ids == [document.id for document in documents(0, len(ids))]
        (last,) = documents(len(ids) - 1, len(ids))
        assert other.open("faq").search(Query(last.text)).hits[0].document == last


def test_old_vectors_are_searched_until_all_new_ones_are_there(
    faq: LocalCollection, tmp_path: Path
) -> None:
    (wanted,) = documents(7, 8)
    shares: list[float | None] = []

    def look(done: int, total: int) -> None:
        assert faq.search(Query(wanted.text)).hits[0].document == wanted
        shares.append(faq.info().reembedded)
        assert shares[-1] == pytest.approx(done / total)
        if len(shares) == 1:
            # What is written meanwhile is not forgotten.
            faq.add(documents(300, 310))

    with closing(LocalCorpus(tmp_path, HashEmbedder("second"))) as other:
        other.open("faq").reembed(look)
        info = other.open("faq").info()
        assert (info.documents, info.passages, info.reembedded) == (310, 620, None)
        (late,) = documents(305, 306)
        assert other.open("faq").search(Query(late.text)).hits[0].document == late
    assert len(shares) > 2
    with pytest.raises(Conflict, match="second"):
        faq.search(Query(wanted.text))


def test_only_one_embeds_a_collection_anew(faq: LocalCollection, tmp_path: Path) -> None:
    with closing(LocalCorpus(tmp_path, HashEmbedder("second"))) as other:
        collection = other.open("faq")

        def begin_again(done: int, total: int) -> None:
            with pytest.raises(Conflict, match="already"):
                collection.reembed()

        collection.reembed(begin_again)


def test_embedding_by_the_same_model_gives_up_another_that_was_begun(
    faq: LocalCollection, tmp_path: Path
) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with closing(LocalCorpus(tmp_path, HashEmbedder("second"))) as other, pytest.raises(Stopped):
        other.open("faq").reembed(stop)
    assert faq.info().reembedded is not None
    faq.reembed()
    assert faq.info().reembedded is None
    assert faq.search(Query(documents(0, 1)[0].text)).hits[0].document.id == "0"


def test_a_deleted_collection_leaves_nothing_behind(
    corpus: LocalCorpus, faq: LocalCollection, tmp_path: Path
) -> None:
    corpus.delete("faq")
    assert list((tmp_path / "collections").iterdir()) == []
    with pytest.raises(NotFound):
        faq.get("0")
    assert corpus.list_collections() == []


def test_what_a_killed_process_left_of_deletions_is_swept(
    corpus: LocalCorpus, tmp_path: Path
) -> None:
    left = tmp_path / "collections" / ".deleted-1" / "index"
    left.mkdir(parents=True)
    (left / "1.faiss").write_bytes(b"0")
    assert [info.name for info in corpus.list_collections()] == ["faq"]
    corpus.create("other")
    assert not left.exists()


def test_nothing_is_written_before_a_collection_is_made(tmp_path: Path) -> None:
    with closing(open_corpus("", HashEmbedder(), tmp_path / "data", exact=True)) as corpus:
        assert corpus.list_collections() == []
        with pytest.raises(NotFound):
            corpus.open("faq")
    assert not (tmp_path / "data").exists()


def test_addresses_of_no_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="opensearch"):
        open_corpus("postgres://localhost", HashEmbedder(), tmp_path, exact=False)
