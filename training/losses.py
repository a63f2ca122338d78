"""What the bi-encoder is taught by; every function takes unit vectors (n, dim), returns a mean."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

_TEMPERATURE = 0.05
_COSENT_SCALE = 20.0


def distillation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """One minus the cosine of each vector and the one that it should be.

    (N. Reimers and I. Gurevych, Making monolingual sentence embeddings multilingual using
    knowledge distillation, EMNLP 2020; with the cosine in place of the squared distance.)
    """
    return 1 - (student * teacher).sum(dim=1).mean()


def deviation(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The squared difference to what should be there, as a share of that squared."""
    return F.mse_loss(found, wanted) / wanted.pow(2).mean()


def contrast(
    anchors: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross entropy of each anchor finding its positive among all positives and negatives.

    (A. van den Oord et al., Representation learning with contrastive predictive coding, 2018.)
    """
    others = positives if negatives is None else torch.cat([positives, negatives])
    scores = anchors @ others.T / _TEMPERATURE
    return F.cross_entropy(scores, torch.arange(len(anchors), device=scores.device))


def cosent(cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Pairs with a higher label should have a higher cosine: log(1 + sum exp(20 (c_j - c_i))).

    The sum runs over the couples of pairs in which i is labelled higher than j (J. Su, CoSENT,
    2022).

    Args:
        cosines: (n,).
        labels: (n,), of which only the order counts.
    """
    differences = _COSENT_SCALE * (cosines[None, :] - cosines[:, None])
    wrong_way = differences[labels[:, None] > labels[None, :]]
    return torch.logsumexp(torch.cat([wrong_way.new_zeros(1), wrong_way]), dim=0)


def cut(vectors: torch.Tensor, dims: Sequence[int]) -> list[torch.Tensor]:
    """The vectors whole, and cut to their first ``dims`` numbers, as unit vectors.

    (A. Kusupati et al., Matryoshka representation learning, NeurIPS 2022.)
    """
    shorter = [dim for dim in dims if dim < vectors.shape[1]]
    return [vectors, *(F.normalize(vectors[:, :dim], dim=1) for dim in shorter)]


def relation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The mean squared difference of the cosines within the batch, n by n.

    The widths may differ, so that short vectors learn from long ones (W. Park et al., Relational
    knowledge distillation, CVPR 2019; cosines in place of distances).
    """
    return F.mse_loss(student @ student.T, teacher @ teacher.T)
