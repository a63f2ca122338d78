"""Examples of one or more texts each, as batches that a student reads."""

from collections.abc import Sequence

import torch

from training.batches import Batches
from training.student import Student


class Columns:
    """Examples in batches of like length.

    Args:
        student: what reads them.
        examples: rows of as many texts each.
        size: examples a batch.
        tokens: a longer text is cut.
        seed: of the batches' order.
    """

    def __init__(
        self,
        student: Student,
        examples: Sequence[Sequence[str]],
        size: int,
        *,
        tokens: int,
        seed: int,
    ) -> None:
        self._student = student
        self._ids = [student.tokenize(column, tokens) for column in zip(*examples, strict=True)]
        lengths = [sum(map(len, row)) for row in zip(*self._ids, strict=True)]
        self._batches = Batches(lengths, size, seed)

    def places(self, number: int) -> list[int]:
        """Which examples are in a batch."""
        return self._batches[number]

    def ids(self, number: int) -> list[list[list[int]]]:
        """The token ids of a batch, by column."""
        return [[column[place] for place in self.places(number)] for column in self._ids]

    def vectors(self, number: int) -> list[torch.Tensor]:
        """The student's vectors of the same, each (n, dim).

        Column by column: texts of unlike lengths (a question, its answer) waste no padding on each
        other.
        """
        return [self._student(column) for column in self.ids(number)]
