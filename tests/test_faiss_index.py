"""The index of vectors: against numpy, while it is written to, published, killed and damaged."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import index_writer
import numpy as np
import pytest
from memory_source import MemorySource
from running_service import wait_until

from inference.corpus import segment
from inference.corpus.base import Ids
from inference.corpus.faiss_index import Publisher, VectorIndex
from inference.corpus.store import Store
from inference.corpus.vector_source import Changes, Mark
from inference.errors import Conflict
from inference.similarity import Vectors, normalize

DIM = 32


def unit(count: int, seed: int = 0, dimension: int = DIM) -> Vectors:
    random = np.random.default_rng(seed)
    return normalize(random.standard_normal((count, dimension), dtype=np.float32))


def clustered(count: int, seed: int = 0) -> Vectors:
    """As texts are: many about the same."""
    random = np.random.default_rng(seed)
    centres = unit(50, seed=99)[random.integers(0, 50, count)]
    spread = random.standard_normal((count, DIM), dtype=np.float32)
    return normalize(centres + 0.15 * spread)


def expected(
    source: MemorySource, query: Vectors, count: int, among: Ids | None = None
) -> list[int]:
    wanted = source.rows if among is None else set(among.tolist()) & set(source.rows)
    ids = np.array(sorted(wanted), dtype=np.int64)
    scores = np.array([source.rows[id_] @ query for id_ in ids.tolist()], dtype=np.float32)
    order = np.lexsort((ids, -scores))[:count]
    found: list[int] = ids[order].tolist()
    return found


def recall(index: VectorIndex, source: MemorySource, among: Ids | None = None) -> float:
    queries = clustered(40, seed=7)
    hits = sum(
        len(
            set(index.search(query, 10, among)[0].tolist())
            & set(expected(source, query, 10, among))
        )
        for query in queries
    )
    return hits / (10 * len(queries))


@pytest.fixture
def source() -> MemorySource:
    return MemorySource(DIM)


@pytest.fixture
def index(source: MemorySource, tmp_path: Path) -> VectorIndex:
    """One that makes a graph of more than a thousand passages."""
    return VectorIndex(source, tmp_path / "index", exact_limit=1000, least_delta=10)


def other(source: MemorySource, index: VectorIndex) -> VectorIndex:
    """As another process has it."""
    return VectorIndex(source, index._folder, exact_limit=1000, least_delta=10)


def files(index: VectorIndex) -> list[str]:
    return sorted(path.suffix for path in index._folder.iterdir())


# Searching


def test_empty_collection_finds_nothing(index: VectorIndex) -> None:
    ids, scores = index.search(unit(1)[0], 5)
    assert (str(ids.dtype), str(scores.dtype)) == ("int64", "float32")
    assert len(ids) == len(scores) == 0
    assert index.kind == "exact"
    assert not index.due()
    assert not index.publish()


def test_scores_are_cosines_best_first(source: MemorySource, index: VectorIndex) -> None:
    vectors = unit(100)
    source.add(vectors)
    ids, scores = index.search(vectors[41], 3)
    assert ids.tolist() == expected(source, vectors[41], 3)
    assert ids[0] == 42
    np.testing.assert_allclose(scores, vectors[ids - 1] @ vectors[41], atol=1e-6)
    assert scores.max() <= 1.0


@pytest.mark.parametrize("published", [0, 1, 2])
def test_ties_are_in_the_order_of_ids(
    source: MemorySource, index: VectorIndex, published: int
) -> None:
    """Wherever the page ends, and whether they are in the base, in the delta or in both."""
    same = unit(1)
    for generation in range(3):
        source.add(np.concatenate([same, unit(5, seed=generation + 1), same, same]))
        if generation < published:
            assert index.publish()
    found = [index.search(same[0], count)[0].tolist() for count in range(1, 9)]
    assert found[-1] == [1, 7, 8, 9, 15, 16, 17, 23]
    assert all(found[count] == found[-1][: count + 1] for count in range(8))


@pytest.mark.parametrize("published", [False, True])
def test_more_than_there_are_gives_all(
    source: MemorySource, index: VectorIndex, published: bool
) -> None:
    source.add(unit(1500))
    if published:
        index.publish()
        assert index.kind == "hnsw"
    ids, _ = index.search(unit(1, seed=5)[0], 4000)
    assert sorted(ids.tolist()) == list(range(1, 1501))
    assert len(index.search(unit(1)[0], 0)[0]) == 0


def test_every_mixture_of_generations_filters_and_removals_is_exact(
    source: MemorySource, tmp_path: Path
) -> None:
    """What is searched exactly is what numpy finds, whatever has happened before."""
    random = np.random.default_rng(3)
    index = VectorIndex(source, tmp_path / "index", least_delta=20)
    for step in range(30):
        source.add(unit(int(random.integers(1, 40)), seed=step))
        alive = np.array(list(source.rows))
        source.remove(random.choice(alive, int(random.integers(0, len(alive) // 3 + 1)), False))
        if step % 4 == 0:
            index.publish()
        alive = np.array(list(source.rows))
        for among in (None, random.permutation(alive)[: len(alive) // 2], np.arange(0, 999, 3)):
            query = unit(1, seed=1000 + step)[0]
            assert index.search(query, 7, among)[0].tolist() == expected(source, query, 7, among)


def test_filter_may_name_what_is_not_there_and_name_it_twice(
    source: MemorySource, index: VectorIndex
) -> None:
    source.add(unit(20))
    source.remove(np.array([5]))
    ids, _ = index.search(unit(1)[0], 10, np.array([99, 7, 5, 7, 3, 0]))
    assert sorted(ids.tolist()) == [3, 7]
    assert len(index.search(unit(1)[0], 10, np.empty(0, dtype=np.int64))[0]) == 0


def test_vectors_of_passages(source: MemorySource, index: VectorIndex) -> None:
    vectors = unit(30)
    source.add(vectors[:20])
    index.publish()
    source.add(vectors[20:])
    wanted = np.array([25, 3, 99, 25])
    found = index.vectors(wanted)
    np.testing.assert_array_equal(found[[0, 1, 3]], vectors[[24, 2, 24]])
    assert not found[2].any()


# The graph


@pytest.fixture
def graph(source: MemorySource, index: VectorIndex, monkeypatch: pytest.MonkeyPatch) -> VectorIndex:
    """A graph that is quick to build, and that pays with fewer candidates than a large one."""
    monkeypatch.setattr(segment, "EF_SEARCH", 64)
    source.add(clustered(3000))
    assert index.publish()
    assert index.kind == "hnsw"
    return index


def test_graph_finds_what_is_near(source: MemorySource, graph: VectorIndex) -> None:
    assert recall(graph, source) >= 0.98


def test_graph_is_used_where_it_is_cheaper(source: MemorySource, graph: VectorIndex) -> None:
    """Otherwise the recall above would be that of an exact search."""
    base = graph._current().base
    query = clustered(1, seed=5)[0]
    assert base._search_graph(query, 10, base.living) is not None
    assert base._search_graph(query, 10, base.living[:300]) is None


def test_exact_leaves_the_graph_aside(source: MemorySource, graph: VectorIndex) -> None:
    exact = VectorIndex(source, graph._folder, exact=True)
    assert exact.kind == "exact"
    assert recall(exact, source) == 1.0
    exact.publish()
    assert exact._current().base.graph is None
    assert graph.kind == "exact"


@pytest.mark.parametrize("share", [0.9, 0.6])
def test_graph_is_filtered(source: MemorySource, graph: VectorIndex, share: float) -> None:
    random = np.random.default_rng(0)
    among = random.choice(np.array(list(source.rows)), int(share * 3000), replace=False)
    assert recall(graph, source, among) >= 0.98


def test_filter_far_from_the_query_finds_all_the_same(
    source: MemorySource, graph: VectorIndex
) -> None:
    """Half of the passages, but none of those that the graph meets first."""
    query = clustered(1, seed=5)[0]
    among = np.array(expected(source, query, 3000)[1500:])
    found = graph.search(query, 10, among)[0].tolist()
    assert len(set(found) & set(expected(source, query, 10, among))) >= 9


def test_removed_passages_leave_the_graph(source: MemorySource, graph: VectorIndex) -> None:
    query = clustered(1, seed=5)[0]
    nearest = np.array(expected(source, query, 300))
    source.remove(nearest)
    assert not set(graph.search(query, 600)[0].tolist()) & set(nearest.tolist())
    assert recall(graph, source) >= 0.98


def test_generation_is_extended(source: MemorySource, graph: VectorIndex) -> None:
    """What was removed in between still leads through the graph, and is not found."""
    removed = np.arange(1, 400)
    source.remove(removed)
    source.add(clustered(500, seed=1))
    assert graph.publish()
    reader = other(source, graph)
    base = reader._current().base
    assert (len(base), base.removed, len(reader._current().delta)) == (3500, 399, 0)
    assert recall(reader, source) >= 0.98
    assert not set(reader.search(clustered(1)[0], 3500)[0].tolist()) & set(removed.tolist())
    # The next one must not bring them back.
    source.add(clustered(500, seed=2))
    assert graph.publish()
    assert graph._current().base.removed == 399


def test_generation_is_built_anew_when_much_was_removed(
    source: MemorySource, graph: VectorIndex
) -> None:
    source.remove(np.arange(1, 800))
    assert graph.due()
    assert graph.publish()
    assert not graph.due()
    base = graph._current().base
    assert (len(base), base.removed) == (2201, 0)
    assert recall(graph, source) >= 0.98


def test_small_rest_of_a_graph_is_exact_again(source: MemorySource, graph: VectorIndex) -> None:
    source.remove(np.arange(1, 2500))
    assert graph.publish()
    assert graph.kind == "exact"
    assert recall(graph, source) == 1.0


# Generations


def test_new_reader_takes_the_published_index_and_reads_only_the_rest(
    source: MemorySource, index: VectorIndex
) -> None:
    source.add(unit(50))
    source.remove(np.array([3]))
    index.publish()
    source.add(unit(7, seed=1))
    source.remove(np.array([4, 55]))
    snapshot = other(source, index)._current()
    assert (len(snapshot.base), len(snapshot.delta), snapshot.passages) == (49, 6, 54)


def test_reader_keeps_searching_while_generations_pass(
    source: MemorySource, index: VectorIndex
) -> None:
    """Old files go, and so do removals that this reader has not read."""
    reader = other(source, index)
    for step in range(4):
        source.add(unit(50, seed=step))
        reader.search(unit(1)[0], 5)
        source.remove(np.array([step * 50 + 1, step * 50 + 2]))
        index.publish()
        index.publish()
        query = unit(1, seed=70 + step)[0]
        assert reader.search(query, 9)[0].tolist() == expected(source, query, 9)
        assert files(index) == [".faiss", ".lock"]


def test_removals_that_are_forgotten_between_two_looks_are_not_missed(
    source: MemorySource, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation is published after the reader looked for one, and before it reads changes."""
    source.add(unit(50))
    index.publish()
    reader = other(source, index)
    reader.search(unit(1)[0], 5)
    source.remove(np.array([7]))
    source.add(unit(1, seed=3))
    read, raced = source.changes, threading.Event()

    def publish_first(space: int, since: Mark, limit: int | None = None) -> Changes:
        if not raced.is_set():
            raced.set()
            index.publish()
        return read(space, since, limit)

    monkeypatch.setattr(source, "changes", publish_first)
    reader.search(unit(1)[0], 5)
    assert 7 not in reader.search(unit(1)[0], 99)[0].tolist()


def test_other_space_starts_over(source: MemorySource, index: VectorIndex) -> None:
    source.add(unit(100))
    index.publish()
    index.search(unit(1)[0], 5)
    source.move(16)
    query = unit(1, dimension=16)[0]
    assert len(index.search(query, 5)[0]) == 0
    source.add(unit(100, seed=1, dimension=16))
    assert index.search(query, 5)[0].tolist() == expected(source, query, 5)
    with pytest.raises(Conflict, match="another model"):
        index.search(unit(1)[0], 5)
    assert index.publish()
    assert index.search(query, 5)[0].tolist() == expected(source, query, 5)
    assert files(index) == [".faiss", ".lock"]


def test_collection_emptied_and_filled_again(source: MemorySource, index: VectorIndex) -> None:
    source.add(unit(50))
    index.publish()
    source.remove(np.arange(1, 51))
    assert index.publish()
    assert len(index.search(unit(1)[0], 5)[0]) == 0
    assert len(other(source, index).search(unit(1)[0], 5)[0]) == 0
    source.add(unit(50, seed=1))
    assert index.publish()
    assert len(index.search(unit(1)[0], 5)[0]) == 5


def test_due_once_the_delta_has_grown(source: MemorySource, index: VectorIndex) -> None:
    source.add(unit(10))
    assert not index.due()
    source.add(unit(1))
    assert index.due()
    index.publish()
    assert not index.due()


def test_numbers_of_generations_rise_and_are_not_those_of_another_timeline(
    source: MemorySource, index: VectorIndex, tmp_path: Path
) -> None:
    source.add(unit(20))
    index.publish()
    first = source.generation()
    index.publish()
    second = source.generation()
    assert first
    assert second
    assert second.number > first.number
    again = MemorySource(DIM)
    again.add(unit(20))
    VectorIndex(again, tmp_path / "index").publish()
    third = again.generation()
    assert third
    assert third.number > second.number


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.parametrize("passages", [100, 1500])
def test_published_vectors_are_mapped_and_not_copied(
    source: MemorySource, index: VectorIndex, passages: int
) -> None:
    source.add(unit(passages))
    index.publish()
    address = index._current().base.vectors.ctypes.data
    (file,) = index._folder.glob("*.faiss")
    spans = [
        [int(part, 16) for part in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(file.name)
    ]
    assert any(first <= address < last for first, last in spans)


# Faults


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("passages", [100, 1500])
def test_damaged_file_is_made_good(
    source: MemorySource,
    index: VectorIndex,
    caplog: pytest.LogCaptureFixture,
    share: float,
    passages: int,
) -> None:
    source.add(unit(passages))
    index.publish()
    (file,) = index._folder.glob("*.faiss")
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[: int(share * len(content))])
    reader = other(source, index)
    query = unit(1, seed=1)[0]
    assert reader.search(query, 5)[0].tolist() == expected(source, query, 5)
    assert file.name in caplog.text
    assert reader.due()
    assert reader.publish()
    assert len(reader._current().base) == passages
    assert not reader.due()


def test_missing_file_is_made_good(source: MemorySource, index: VectorIndex) -> None:
    source.add(unit(1500))
    index.publish()
    index.search(unit(1)[0], 1)
    (file,) = index._folder.glob("*.faiss")
    file.unlink()
    reader = other(source, index)
    query = unit(1, seed=1)[0]
    assert reader.search(query, 5)[0].tolist() == expected(source, query, 5)
    # Who has mapped it has all that the next one needs.
    source.add(unit(50, seed=2))
    assert index.publish()
    assert recall(other(source, index), source) >= 0.98


@pytest.mark.parametrize("content", ["other dimension", "other kind", "text"])
def test_file_of_something_else_is_not_used(
    source: MemorySource, index: VectorIndex, content: str
) -> None:
    import faiss

    source.add(unit(100))
    index.publish()
    (file,) = index._folder.glob("*.faiss")
    if content == "text":
        file.write_text("no index")
    else:
        width = DIM if content == "other kind" else 2 * DIM
        metric = faiss.IndexFlatL2 if content == "other kind" else faiss.IndexFlatIP
        wrong = faiss.IndexIDMap(metric(width))
        wrong.add_with_ids(unit(100, dimension=width), np.arange(100))
        faiss.write_index(wrong, str(file))
    query = unit(1, seed=1)[0]
    assert other(source, index).search(query, 5)[0].tolist() == expected(source, query, 5)


def test_leftovers_of_a_killed_publisher_are_removed(
    source: MemorySource, index: VectorIndex
) -> None:
    source.add(unit(100))
    index.publish()
    for name in ("123.tmp", "99999999999999.faiss"):
        (index._folder / name).write_bytes(b"half")
    assert index.publish()
    assert files(index) == [".faiss", ".lock"]


def test_only_one_publishes(source: MemorySource, index: VectorIndex) -> None:
    source.add(unit(100))
    rival: list[bool] = []

    def try_too(done: int, total: int) -> None:
        rival.append(other(source, index).publish())

    assert index.publish(try_too)
    assert rival
    assert not any(rival)


def test_publishing_that_is_given_up_leaves_nothing(
    source: MemorySource, index: VectorIndex
) -> None:
    source.add(unit(100))
    index.publish()
    before = source.generation()
    source.add(unit(100))

    def give_up(done: int, total: int) -> None:
        if done:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        index.publish(give_up)
    assert source.generation() == before
    assert files(index) == [".faiss", ".lock"]
    assert index.publish()


def test_progress_counts_what_is_added(source: MemorySource, tmp_path: Path) -> None:
    source.add(unit(5000))
    index = VectorIndex(source, tmp_path / "index")
    seen: list[tuple[int, int]] = []
    index.publish(lambda done, total: seen.append((done, total)))
    assert seen == [(0, 5000), (2000, 5000), (4000, 5000), (5000, 5000)]


# Processes


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Store, VectorIndex]]:
    store, index = index_writer.open_index(tmp_path / "documents.sqlite")
    yield store, index
    store.close()


def write(store_folder: Path, first: int, last: int) -> subprocess.Popen[str]:
    """Starts a process that writes and publishes."""
    script = Path(index_writer.__file__)
    return subprocess.Popen(
        [
            sys.executable,
            str(script),
            str(store_folder / "documents.sqlite"),
            *map(str, (first, last)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(script.parents[1])},
    )


def check_against_store(store: Store, index: VectorIndex) -> int:
    """Every passage of the store is found, in the right order; their number."""
    serving = store.serving_space()
    assert serving
    truth = store.changes(serving[0], Mark())
    query = unit(1, seed=1)[0]
    ids, scores = index.search(query, len(truth.ids) + 10)
    wanted = truth.vectors @ query
    order = np.lexsort((truth.ids, -wanted))
    assert set(ids.tolist()) == set(truth.ids.tolist())
    np.testing.assert_allclose(scores, wanted[order], atol=1e-6)
    return len(ids)


def test_other_process_is_followed(tmp_path: Path, stored: tuple[Store, VectorIndex]) -> None:
    store, index = stored
    index_writer.put(store, 0, 20)
    assert check_against_store(store, index) == 20
    with write(tmp_path, 1000, 1300) as process:
        process.communicate()
    assert process.returncode == 0
    assert check_against_store(store, index) == 20 + 3 * 98
    assert index.kind == "hnsw"
    assert len(index._current().delta) == 0
    index_writer.put(store, 20, 25)
    assert check_against_store(store, index) == 25 + 3 * 98


def test_kill_at_any_moment_of_publishing_harms_nothing(
    tmp_path: Path, stored: tuple[Store, VectorIndex]
) -> None:
    store, index = stored
    for attempt, delay_s in enumerate([0.0, 0.003, 0.01, 0.02, 0.04, 0.08]):
        first = attempt * 10_000
        with write(tmp_path, first, first + 10_000) as process:
            assert process.stdout
            for _ in range(4):
                process.stdout.readline()
            time.sleep(delay_s)
            process.kill()
        found = check_against_store(store, index)
        fresh = VectorIndex(store, tmp_path / "index")
        assert check_against_store(store, fresh) == found
        # The dead one's lock is free, and what it left is swept.
        assert index.publish()
        assert files(index) == [".faiss", ".lock"]
        assert check_against_store(store, index) == found


# Threads


def test_searches_never_see_half_of_a_change(
    source: MemorySource, index: VectorIndex, tmp_path: Path
) -> None:
    """Each batch is of equal vectors and takes the place of the last one, in one commit."""
    vector = unit(1)
    batch = np.repeat(vector, 20, axis=0)
    ids = source.add(batch)
    stop = threading.Event()

    def replace_again_and_again() -> None:
        nonlocal ids
        step = 0
        while not stop.is_set():
            with source._lock:
                old, ids = ids, source.add(batch)
                source.remove(old)
            step += 1
            if step % 20 == 0:
                index.publish()

    def search(seed: int) -> set[int]:
        reader = index if seed % 2 else other(source, index)
        sizes = set()
        for _ in range(150):
            found, _ = reader.search(vector[0], 100)
            sizes.add(len(found))
            assert found.max() - found.min() == len(found) - 1
        return sizes

    writer = threading.Thread(target=replace_again_and_again)
    writer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            sizes = set().union(*pool.map(search, range(4)))
    finally:
        stop.set()
        writer.join()
    assert sizes == {20}


@pytest.fixture
def publisher(index: VectorIndex) -> Iterator[Publisher]:
    publisher = Publisher(index, pause_s=0.01, idle_s=0.2)
    yield publisher
    publisher.close()


def publisher_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "publisher"]


def test_publisher_publishes_when_due(
    source: MemorySource, index: VectorIndex, publisher: Publisher
) -> None:
    source.add(unit(5))
    publisher.start()
    publisher.start()
    assert len(publisher_threads()) == 1
    time.sleep(0.1)
    assert source.generation() is None
    source.add(unit(50))
    wait_until(lambda: source.generation() is not None)


def test_publisher_ends_without_use_and_comes_back(
    source: MemorySource, index: VectorIndex, publisher: Publisher
) -> None:
    publisher.start()
    wait_until(lambda: not publisher_threads())
    source.add(unit(50))
    publisher.start()
    wait_until(lambda: source.generation() is not None)


def test_publisher_outlives_a_failure(
    source: MemorySource,
    index: VectorIndex,
    publisher: Publisher,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A file stands where the folder should be made."""
    index._folder.write_text("in the way")
    source.add(unit(50))
    publisher.start()
    wait_until(lambda: "no index was published" in caplog.text)
    assert len(index.search(unit(1)[0], 5)[0]) == 5
    index._folder.unlink()
    publisher.start()
    wait_until(lambda: source.generation() is not None)


def test_closing_gives_up_what_is_being_published(
    source: MemorySource, index: VectorIndex, publisher: Publisher
) -> None:
    source.add(clustered(30_000))
    publisher.start()
    wait_until(lambda: index._folder.exists())
    publisher.close()
    assert not publisher_threads()
    assert source.generation() is None
    assert files(index) == [".lock"]
