"""A picture of what the cosines of a bi-encoder say of labelled pairs."""

from pathlib import Path

import numpy as np

from inference.calibration import Scores

_BINS = 40
_LEVELS = 10


def plot_scores(path: Path, cosines: Scores, labels: Scores) -> None:
    """Draws histograms of the cosines by label, and a reliability curve.

    The curve shows the mean label, from 0 to 5, of the pairs in each tenth of the cosines: the
    straighter it rises, the more a difference of cosines says.

    Args:
        path: where to; its ending tells the format.
        cosines: of the pairs (n,).
        labels: how near people found them (n,), 0 to 5.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    histogram, curve = figure.subplots(1, 2)
    bins = np.linspace(min(0.0, float(cosines.min())), 1.0, _BINS + 1)
    for low, high in ((0.0, 2.5), (2.5, 4.0), (4.0, 5.1)):
        chosen = (labels >= low) & (labels < high)
        histogram.hist(
            cosines[chosen],
            bins,
            alpha=0.6,
            label=f"{low:g} to {min(high, 5):g}",
        )
    histogram.set(title="Cosines by label", xlabel="cosine", ylabel="pairs")
    histogram.legend()
    groups = np.array_split(np.argsort(cosines, kind="stable"), _LEVELS)
    curve.plot(
        [cosines[group].mean() for group in groups],
        [labels[group].mean() for group in groups],
        marker="o",
    )
    curve.set(title="Reliability", xlabel="mean cosine", ylabel="mean label", ylim=(0, 5))
    figure.savefig(path)
