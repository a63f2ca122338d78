"""How near a server's vectors are to the bare model's, which computes in fp32."""

from collections.abc import Sequence
from typing import NamedTuple

Vectors = Sequence[Sequence[float]]


class Likeness(NamedTuple):
    """Cosines between the vectors of the same texts, or the bounds of such: mean and least."""

    mean: float
    least: float

    def reaches(self, bound: "Likeness") -> bool:
        return self.mean >= bound.mean and self.least >= bound.least

    def __str__(self) -> str:
        return f"{self.mean:.5f} / {self.least:.5f}"


SAME = Likeness(0.9999, 0.9999)
"""The same computation: all that differs is rounding in fp32."""

NEAR = Likeness(0.99, -1.0)
"""What ssang promises of int8; see inference/agreement.py."""


def compare(own: Vectors, bare: Vectors) -> Likeness:
    """The likeness of unit vectors (n, dim) of the same n texts.

    >>> compare([[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [1.0, 0.0]])
    Likeness(mean=0.8, least=0.6)
    """
    cosines = [
        sum(a * b for a, b in zip(one, other, strict=True))
        for one, other in zip(own, bare, strict=True)
    ]
    return Likeness(sum(cosines) / len(cosines), min(cosines))
