"""Vectors of texts that were read before, kept up to so many bytes.

A text is known by a hash of 256 bits that is keyed with how it is read (BLAKE2b, RFC 7693). Two
texts of one hash would take 2**128 tries to find, so a hit is the vector of the text itself; and an
entry is as large for a long text as for a short one, and tells nobody what was asked.

A cache belongs to one engine. Its model and precision never change, and so are not in the keys.
"""

import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from cachetools import LRUCache

from inference import metrics
from inference.encoders.base import Side
from inference.similarity import Vectors
from inference.tokenizer import Text, TruncationSide

_KEY_BYTES = 32

# What an entry takes beside its vector, by tracemalloc at most: key, objects, places in tables.
_OVERHEAD_BYTES = 640


class Reading(NamedTuple):
    """How a text is read; texts that are equal and equally read have one vector.

    Attributes:
        side: its tower and prompt.
        max_tokens: most tokens that the request lets the model read.
        truncation_side: the end that is cut off beyond them.
    """

    side: Side
    max_tokens: int
    truncation_side: TruncationSide


class ReadText(NamedTuple):
    """What became of a text: its vector as float32, its tokens, and how many of them were read."""

    vector: bytes
    length: int
    read: int


class VectorCache:
    """The vectors that were asked for last. Any thread may use it.

    Args:
        max_bytes: most memory that the vectors and their keys take.
    """

    def __init__(self, max_bytes: int) -> None:
        self._entries = _Entries(max_bytes, getsizeof=_size)
        self._lock = threading.Lock()

    def get(self, keys: Sequence[bytes]) -> list[ReadText | None]:
        """What is known of the text of each key."""
        with self._lock:
            found = [self._entries.get(key) for key in keys]
        misses = found.count(None)
        metrics.CACHE_LOOKUPS.labels("hit").inc(len(found) - misses)
        metrics.CACHE_LOOKUPS.labels("miss").inc(misses)
        return found

    def put(
        self, keys: Iterable[bytes], vectors: Vectors, lengths: Iterable[int], read: Iterable[int]
    ) -> None:
        """Keeps vectors (n, dim), which are copied, in place of those that were asked for least."""
        # A view would keep the vectors of a whole batch alive.
        rows = (vector.tobytes() for vector in vectors)
        entries = dict(zip(keys, map(ReadText, rows, lengths, read), strict=True))
        with self._lock:
            before = self._entries.currsize
            self._entries.update(entries)
            grown = self._entries.currsize - before
        metrics.CACHE_BYTES.inc(grown)


class _Entries(LRUCache[bytes, ReadText]):
    """Entries by their key, of which the one unused for longest goes first."""

    def popitem(self) -> tuple[bytes, ReadText]:
        metrics.CACHE_EVICTIONS.inc()
        return super().popitem()


def key_of(text: Text, reading: Reading) -> bytes:
    """What a text, or the token ids of one, is known by.

    >>> reading = Reading(Side("document", "", 512), 512, "right")
    >>> key_of("한국어", reading) == key_of("한국어 ", reading)
    False
    """
    if isinstance(text, str):
        form, content = b"text", text.encode("utf-8", "surrogatepass")
    else:
        form, content = b"token ids", np.array(text, dtype="<i8").tobytes()
    hash_key = _hash_key(reading)
    return blake2b(content, digest_size=_KEY_BYTES, key=hash_key, person=form).digest()


@lru_cache(maxsize=64)
def _hash_key(reading: Reading) -> bytes:
    return blake2b(repr(reading).encode()).digest()


def _size(entry: ReadText) -> int:
    return len(entry.vector) + _OVERHEAD_BYTES
