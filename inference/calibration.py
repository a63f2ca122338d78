"""Thresholds from labelled pairs: pure functions over scores and what is known of the pairs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.errors import InvalidInput

Scores = npt.NDArray[np.floating]
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Boundary:
    """A threshold between two classes of pairs, and how well it parts them.

    Attributes:
        threshold: a score of at least this much says positive.
        balanced_accuracy: mean of the shares of positives and of negatives that it gets right.
        auc: area under the ROC curve, which no threshold enters.
        positives, negatives: pairs of each class.
    """

    threshold: float
    balanced_accuracy: float
    auc: float
    positives: int
    negatives: int


def calibrate(scores: Scores, positive: Labels) -> Boundary:
    """The threshold of the greatest balanced accuracy.

    That is the greatest Youden index J = TPR + TNR - 1, since balanced accuracy = (J + 1) / 2
    (W. J. Youden, Index for rating diagnostic tests, Cancer 3, 1950). It stands in the middle
    between two neighbouring scores; of several equally good, the middle one.

    Args:
        scores: cosines (n,).
        positive: class of each (n,).

    Raises:
        InvalidInput: one of the classes has no pair.

    >>> calibrate(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, True, False, False])).threshold
    0.55
    """
    positives, negatives = _count(positive)
    levels, at = np.unique(scores, return_inverse=True)
    # Of each class, the pairs with a score at or above each level.
    hits = _at_least(at[positive], len(levels))
    false_alarms = _at_least(at[~positive], len(levels))
    accuracy = (hits / positives + 1 - false_alarms / negatives) / 2
    best = np.flatnonzero(np.isclose(accuracy, accuracy.max(), rtol=0, atol=1e-12))
    level = int(best[len(best) // 2])
    below = levels[level - 1] if level else levels[0]
    return Boundary(
        threshold=float((below + levels[level]) / 2),
        balanced_accuracy=float(accuracy[level]),
        auc=area_under_roc(scores, positive),
        positives=positives,
        negatives=negatives,
    )


def roc(scores: Scores, positive: Labels) -> tuple[Scores, Scores]:
    """False and true positive rates of every threshold, from none positive to all: (m,) each.

    Raises:
        InvalidInput: one of the classes has no pair.
    """
    positives, negatives = _count(positive)
    levels, at = np.unique(scores, return_inverse=True)
    hits = _at_least(at[positive], len(levels))[::-1] / positives
    false_alarms = _at_least(at[~positive], len(levels))[::-1] / negatives
    return np.concatenate([[0.0], false_alarms]), np.concatenate([[0.0], hits])


def area_under_roc(scores: Scores, positive: Labels) -> float:
    """The share of (positive, negative) couples in which the positive scores higher, ties half.

    That is the Mann-Whitney U over the number of couples (Hanley and McNeil, The meaning and use
    of the area under a ROC curve, Radiology 143, 1982), the trapezoids under :func:`roc`.

    >>> area_under_roc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    false_alarms, hits = roc(scores, positive)
    return float(np.sum(np.diff(false_alarms) * (hits[1:] + hits[:-1]) / 2))


def _at_least(levels: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.int64]:
    """For each of ``count`` levels, how many of ``levels`` are that or higher."""
    return np.cumsum(np.bincount(levels, minlength=count)[::-1])[::-1]


def _count(positive: Labels) -> tuple[int, int]:
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        raise InvalidInput(
            f"Of {len(positive):,} labelled pairs {positives:,} are positive: a threshold needs "
            "both kinds."
        )
    return positives, negatives
