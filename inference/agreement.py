"""How near vectors in 8-bit integers are to those in float32."""

from dataclasses import dataclass

# The least mean cosine with float32, and between a text alone and among others.
_LEAST_MEAN, _LEAST_BATCHED = 0.99, 0.999


@dataclass(frozen=True)
class Agreement:
    """How near an encoder's vectors are to those in float32, over 200 Korean sentences.

    Attributes:
        mean_cosine, least_cosine: with the float32 vectors.
        batched_cosine: the least between a sentence alone and among fifteen others.
        texts_per_s: of the sentences in batches.
    """

    mean_cosine: float
    least_cosine: float
    batched_cosine: float
    texts_per_s: float

    @property
    def is_enough(self) -> bool:
        return self.mean_cosine >= _LEAST_MEAN and self.batched_cosine >= _LEAST_BATCHED

    def __str__(self) -> str:
        return (
            f"mean cosine with fp32 {self.mean_cosine:.4f}, least {self.least_cosine:.4f}, "
            f"among other texts {self.batched_cosine:.4f}"
        )
