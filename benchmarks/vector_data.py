"""The vectors that indexes are compared on: sentences as the embedded model sees them.

Sentences are embedded in parts, which are kept, so that a run that was stopped goes on. Where they
are too few, the rest are noised copies of them.
"""

import gzip
import random
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.similarity import Vectors, normalize

QUERIES = 1_000

_PART = 20_000

# Length of the noise that a copy gets, beside the 1 of its vector: their cosine is about 0.89.
_NOISE = 0.5

_STEP = 50_000


def embed(sentences: Path, folder: Path, limit: int) -> int:
    """Embeds the distinct lines of a file, in random order, with the embedded model.

    Args:
        sentences: a text, or one that gzip packed.
        folder: gets the parts.
        limit: most lines.

    Returns:
        How many there are.
    """
    from inference.engine import Engine
    from inference.lifecycle import State
    from inference.model import open_model

    opened = gzip.open if sentences.suffix == ".gz" else open
    with opened(sentences, "rt", encoding="utf-8") as file:
        lines = list(dict.fromkeys(stripped for line in file if (stripped := line.strip())))
    random.Random(0).shuffle(lines)  # noqa: S311
    lines = lines[:limit]
    engine = Engine(open_model("ko-mini"))
    engine.start()
    while engine.state is State.LOADING:
        time.sleep(0.1)
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(lines), _PART):
        part = folder / f"{start // _PART:04d}.npy"
        if not part.exists():
            print(f"embedding {start:,} of {len(lines):,} sentences", flush=True)
            np.save(part, engine.embed(lines[start : start + _PART]).vectors)
    engine.close()
    return len(lines)


def make(parts: Path, limit: int, count: int, data: Path) -> tuple[Vectors, Vectors, int]:
    """Vectors to index and others to search with.

    Args:
        parts: folder of embedded sentences.
        limit: most sentences of these.
        count: vectors to index.
        data: file to write them to, (count, dim); not read whole into memory.

    Returns:
        The vectors, queries (n, dim), which are of sentences that are not indexed, and how many
        vectors are of sentences; the others are noised copies of these.
    """
    embedded = np.concatenate([np.load(part) for part in sorted(parts.glob("*.npy"))])[:limit]
    queries, real = embedded[:QUERIES].copy(), embedded[QUERIES : QUERIES + count]
    generator = np.random.default_rng(0)
    vectors = np.lib.format.open_memmap(
        data, mode="w+", dtype=np.float32, shape=(count, embedded.shape[1])
    )
    vectors[: len(real)] = real
    for start in range(len(real), count, _STEP):
        stop = min(start + _STEP, count)
        copied = real[generator.integers(0, len(real), stop - start)]
        noise = generator.standard_normal(copied.shape, dtype=np.float32)
        vectors[start:stop] = normalize(copied + _NOISE * normalize(noise))
    vectors.flush()
    return vectors, queries, len(real)


def exact_neighbours(vectors: Vectors, queries: Vectors, k: int) -> npt.NDArray[np.int64]:
    """Rows (n, k) of the ``k`` nearest vectors of each query."""
    scores = np.empty((len(queries), 0), dtype=np.float32)
    rows = np.empty((len(queries), 0), dtype=np.int64)
    for start in range(0, len(vectors), _STEP):
        block = queries @ vectors[start : start + _STEP].T
        numbers = np.broadcast_to(np.arange(start, start + block.shape[1]), block.shape)
        scores, rows = np.hstack([scores, block]), np.hstack([rows, numbers])
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        scores = np.take_along_axis(scores, best, axis=1)
        rows = np.take_along_axis(rows, best, axis=1)
    return rows
