"""A picture of a calibration."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from inference.calibration import Boundary, Labels, Scores, roc
from inference.errors import InvalidInput

_BINS = 40


def check_plot() -> None:
    """Refuses before any work is done.

    Raises:
        InvalidInput: the library is missing.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InvalidInput(
            "Pictures need matplotlib: pip install 'ssang[plot]', or leave --plot out."
        ) from error


def plot_calibration(
    path: Path, scores: Scores, classes: Mapping[str, Labels], found: Mapping[str, Boundary]
) -> None:
    """Draws a histogram of both classes' scores, and the ROC, of each boundary.

    Args:
        path: where to; its ending tells the format.
        scores: cosines (n,).
        classes: which pairs are positive (n,), by the boundary's name.
        found: the boundaries, by name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * (len(found) + 1), 4), layout="constrained")
    *histograms, curves = figure.subplots(1, len(found) + 1)
    bins = np.linspace(min(0.0, float(scores.min())), 1.0, _BINS + 1)
    for axes, (name, boundary) in zip(histograms, found.items(), strict=True):
        positive = classes[name]
        axes.hist(scores[~positive], bins, alpha=0.6, label=f"negative ({boundary.negatives:,})")
        axes.hist(scores[positive], bins, alpha=0.6, label=f"positive ({boundary.positives:,})")
        axes.axvline(boundary.threshold, color="black", linestyle="--")
        axes.set(title=f"{name}: {boundary.threshold:.3f}", xlabel="cosine", ylabel="pairs")
        axes.legend()
        curves.plot(*roc(scores, positive), label=f"{name}: AUC {boundary.auc:.3f}")
    curves.plot([0, 1], [0, 1], color="gray", linestyle=":")
    curves.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    curves.legend()
    figure.savefig(path)
