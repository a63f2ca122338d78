"""A picture of a run: texts a second of every server against the plain service's."""

import statistics
from pathlib import Path

from benchmarks.result import BASE, Result

_GROUP_WIDTH = 0.8


def draw(result: Result, file: Path) -> None:
    """A panel a model, a group of bars a load; the thin lines go from the least round to the best.

    matplotlib is imported here, since only the benchmark's own environment has it.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    servers = [server for server in result.servers if server != BASE]
    models = result.models
    figure, axes = plt.subplots(
        len(models), 1, figsize=(10, 3.6 * len(models)), squeeze=False, layout="constrained"
    )
    for axis, model in zip(axes[:, 0], models, strict=True):
        width = _GROUP_WIDTH / max(1, len(servers))
        for place, server in enumerate(servers):
            known = [
                (x, statistics.median(found), min(found), max(found))
                for x, load in enumerate(result.loads)
                if (found := result.ratios(model, load, server))
            ]
            axis.bar(
                [x + (place - (len(servers) - 1) / 2) * width for x, *_ in known],
                [middle for _, middle, _, _ in known],
                width,
                label=server,
                yerr=[
                    [middle - least for _, middle, least, _ in known],
                    [most - middle for _, middle, _, most in known],
                ],
                error_kw={"linewidth": 0.8},
            )
        axis.axhline(1, color="black", linewidth=0.8, label=BASE)
        titles = [
            f"{result.bulk_texts[model]:,} texts once" if load == "bulk" else load
            for load in result.loads
        ]
        axis.set_xticks(range(len(titles)), titles)
        axis.set_ylabel(f"texts/s, {BASE} = 1")
        axis.set_title(model)
        axis.legend(loc="upper right")
    figure.savefig(file, dpi=120)
    plt.close(figure)
