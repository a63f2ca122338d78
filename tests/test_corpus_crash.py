"""Nothing that was acknowledged is lost when writers are killed at any moment."""

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from corpus_writer import NAME, documents
from hash_embedder import HashEmbedder

from inference.corpus.base import Query
from inference.corpus.local import LocalCollection, LocalCorpus

WRITER = Path(__file__).with_name("corpus_writer.py")

KILLS = 20

_LONGEST_S = 0.25


@contextmanager
def opened(folder: Path, model: str = "first") -> Iterator[LocalCollection]:
    with closing(LocalCorpus(folder, HashEmbedder(model))) as corpus:
        yield corpus.open(NAME)


def run_and_kill(folder: Path, draw: random.Random, *arguments: object) -> list[str]:
    """Lines that a writer got out before it was killed at some moment after the first."""
    command = [sys.executable, str(WRITER), str(folder), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(draw.uniform(0, _LONGEST_S))
        writer.kill()
        # A last line may be torn by the kill: it was not said whole, so nobody relied on it.
        return [line for line in [first, *writer.stdout] if line.endswith("\n")]


def run(folder: Path, *arguments: object) -> list[str]:
    command = [sys.executable, str(WRITER), str(folder), *map(str, arguments)]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout.splitlines()


def check_file(folder: Path) -> None:
    file = folder / "collections" / NAME / "documents.sqlite"
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def check_found(collection: LocalCollection, numbers: range) -> None:
    """Each document is found once by its question, its answer and its words."""
    for number in numbers:
        (document,) = documents(number, number + 1)
        for text in (document.title, document.text):
            (hit, *_) = collection.search(Query(text, mode="vector")).hits
            assert hit.document == document
        hits = collection.search(Query(document.text, mode="hybrid", top_k=50)).hits
        assert [hit.document.id for hit in hits].count(document.id) == 1


def test_killed_imports_lose_nothing(tmp_path: Path) -> None:
    draw = random.Random(0)
    total = 0
    for _ in range(KILLS):
        # More than any writer gets done before it is killed.
        lines = run_and_kill(tmp_path, draw, "add", total, total + 1_000_000)
        acknowledged = [number for line in lines for number in line.split()]
        check_file(tmp_path)
        with opened(tmp_path) as collection:
            assert [collection.get(number).id for number in acknowledged] == acknowledged
            there = [document.id for document in collection.iterate()]
            assert collection.info().documents == len(there)
        # Batches are whole or not there.
        assert there == [document.id for document in documents(0, len(there))]
        assert len(there) % 7 == 0
        assert len(there) >= total + len(acknowledged)
        total = len(there)
    run(tmp_path, "add", 0, total)
    with opened(tmp_path) as collection:
        assert collection.info().documents == total
        check_found(collection, range(0, total, total // 10))
        check_found(collection, range(total - 3, total))


def test_killed_reembedding_goes_on_where_it_was(tmp_path: Path) -> None:
    draw = random.Random(1)
    count = 900
    with closing(LocalCorpus(tmp_path, HashEmbedder())) as corpus:
        collection, _ = corpus.create(NAME)
        collection.add(documents(0, count))
    serving, other = "first", "second"
    killed = 0
    while killed < KILLS:
        done = 0
        while True:
            lines = run_and_kill(tmp_path, draw, "reembed", other)
            check_file(tmp_path)
            with opened(tmp_path) as collection:
                identity = collection.info().identity
                assert identity is not None
                served = identity.model
                assert collection.info().documents == count
            with opened(tmp_path, served) as collection:
                check_found(collection, range(0, count, count // 2))
            killed += 1
            if served == other:
                break
            assert int(lines[0]) >= done, "it began again"
            done = int(lines[-1])
        run(tmp_path, "reembed", other)
        with opened(tmp_path, other) as collection:
            info = collection.info()
            assert (info.documents, info.passages, info.reembedded) == (count, 2 * count, None)
        serving, other = other, serving
