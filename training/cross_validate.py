"""Cross-validates the reader: `python -m training.cross_validate DATA --encoder FOLDER`.

One split leaves so few questions that its figures go up and down by chance. Here every article is
held out once, of a reader that was trained on the others.
"""

import json
from pathlib import Path

import click

from training import sources
from training.options import encoder_option, layers_option, run_options
from training.reader import Readings, fit


@click.command()
@run_options(
    output="build/training/folds.json", work="build/training/folds", steps=1_500, rate=1.5e-4
)
@encoder_option
@layers_option
@click.option(
    "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Readers to train."
)
def main(
    data: Path,
    encoder: Path,
    layers: int,
    output: Path,
    work: Path,
    steps: int,
    rate: float,
    folds: int,
    device: str,
) -> None:
    """Measure readers on every article of KorQuAD in DATA, none on one that it was trained on.

    Writes their figures to a JSON file, of each fold and of all questions together.
    """
    articles = sources.read_articles(data)
    if len(articles) < folds:
        raise click.BadParameter(f"{folds} for {len(articles)} articles.", param_hint="--folds")
    found: list[Readings] = []
    for fold in range(folds):
        # Every so many, since the articles of one subject may stand together.
        unseen = articles[fold::folds]
        others = [article for number, article in enumerate(articles) if number % folds != fold]
        place = work / f"fold-{fold}"
        # So many questions take minutes: they are asked at the end alone.
        _, readings = fit(
            encoder, layers, data, others, unseen, steps, rate, place, device, measure_every=steps
        )
        found.append(readings)
        click.echo(f"fold {fold}: {readings.figures}")
    figures = {
        "steps": steps,
        "articles": len(articles),
        "questions": sum(len(part.matches) for part in found),
        "folds": [part.figures for part in found],
        "all": Readings.together(found).figures,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    click.echo(f"all: {figures['all']}")


if __name__ == "__main__":
    main()
