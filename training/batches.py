"""Which examples a step sees: a pure function of the step's number, so that a run can go on."""

import random
from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Every place once, in batches of like length of at most so many padded tokens, longest first.

    A batch has one place at least, however long.

    >>> list(by_length([2, 9, 3, 2], most_tokens=6))
    [[1], [2, 0], [3]]
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    while order:
        size = max(1, most_tokens // lengths[order[0]])
        yield order[:size]
        order = order[size:]


class Batches:
    """Batches over the examples 0 to n - 1, epoch after epoch, of like length within each.

    The same number gives the same batch in every process: nothing has to be kept in a checkpoint.

    Args:
        lengths: tokens of each example.
        size: examples a batch; the rest of an epoch is left to the next.
        seed: of the order.
    """

    # Sorted within so many batches, so that an epoch's order stays random.
    _POOL = 20

    def __init__(self, lengths: Sequence[int], size: int, seed: int) -> None:
        if not lengths:
            raise ValueError("There are no examples to make batches of.")
        self._lengths = lengths
        self._size = min(size, len(lengths))
        self._seed = seed
        self._epoch = -1
        self._order: list[list[int]] = []

    @property
    def an_epoch(self) -> int:
        """Batches in one epoch."""
        return len(self._lengths) // self._size

    def __getitem__(self, number: int) -> list[int]:
        epoch, place = divmod(number, self.an_epoch)
        if epoch != self._epoch:
            self._order = self._shuffle(epoch)
            self._epoch = epoch
        return self._order[place]

    def _shuffle(self, epoch: int) -> list[list[int]]:
        draw = random.Random(f"{self._seed}/{epoch}")
        places = list(range(len(self._lengths)))
        draw.shuffle(places)
        pool = self._size * self._POOL
        batches: list[list[int]] = []
        for start in range(0, len(places), pool):
            near = sorted(places[start : start + pool], key=lambda place: self._lengths[place])
            batches += [
                near[first : first + self._size]
                for first in range(0, len(near) - self._size + 1, self._size)
            ]
        draw.shuffle(batches)
        return batches[: self.an_epoch]
