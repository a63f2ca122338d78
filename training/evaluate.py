"""Figures of a bi-encoder or a reader: `python -m training.evaluate MODEL --data FOLDER`."""

import math
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import click
import numpy as np

from inference.calibration_plot import check_plot
from inference.checkpoint import COMPILED
from inference.encoders import load_encoder
from inference.encoders.base import Encoder
from inference.model import open_model
from training import sources
from training.measures import HeldOut, cosines_of, embed_with, measure, read_held_out
from training.options import held_out_option
from training.plot import plot_scores
from training.reader import ReaderInTraining, ask_all, is_reader
from training.sources import Article

_DIMENSIONS = (None, 256, 128, 64)
_SPEED_TEXTS = 1_024
_SPEED_QUESTIONS = 64


@click.command()
@click.argument("model")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the data; only its held-out parts are read.",
)
@held_out_option
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="fp32", show_default=True)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Picture with the scores' histograms and their reliability; needs matplotlib.",
)
def main(
    model: str, data: Path, held_out: int, device: str, precision: str, plot: Path | None
) -> None:
    """Print a table of figures of MODEL, a folder, an embedded model's name or a hub id."""
    if plot:
        check_plot()
    opened = open_model(model)
    checkpoint = opened.document
    click.echo(f"Model: {checkpoint.name}, {_megabytes(checkpoint.path):.1f} MB")
    if is_reader(checkpoint.transformer_path):
        reader = ReaderInTraining.load(checkpoint.transformer_path)
        articles = sources.read_articles(data, held_out=True, last=held_out)
        _table({"": ask_all(reader, articles).figures})
        click.echo(f"Questions a second (cpu, fp32): {_reading_speed(reader, articles):.1f}")
        return
    encoder = load_encoder(opened, device=device, precision=precision)
    parts = read_held_out(data)
    # Every column cuts the same vectors.
    known = cache(lambda texts: embed_with(encoder, texts))
    columns = {
        str(dimensions or encoder.dim): measure(
            lambda texts: known(tuple(texts)), parts, dimensions
        )
        for dimensions in _DIMENSIONS
        if dimensions is None or dimensions < encoder.dim
    }
    _table(columns)
    speed = _speed(encoder, parts)
    click.echo(f"Sentences a second ({encoder.device}, {encoder.precision}): {speed:.0f}")
    if plot:
        cosines = cosines_of(lambda texts: known(tuple(texts)), parts.scored)
        plot_scores(plot, cosines, np.array([pair.score for pair in parts.scored]))


def _speed(encoder: Encoder, held_out: HeldOut) -> float:
    texts = [text for pair in held_out.scored for text in (pair.left, pair.right)][:_SPEED_TEXTS]
    embed_with(encoder, texts[:64])
    began = time.perf_counter()
    embed_with(encoder, texts)
    return len(texts) / (time.perf_counter() - began)


def _reading_speed(reader: ReaderInTraining, articles: Sequence[Article]) -> float:
    """Of questions asked one after the other, each of its own paragraph."""
    asked = [
        (context, question)
        for article in articles
        for context, questions in article.paragraphs
        for question in questions
    ]
    asked = asked[:: math.ceil(len(asked) / _SPEED_QUESTIONS)]
    reader.answer(*asked[0])
    began = time.perf_counter()
    for context, question in asked:
        reader.answer(context, question)
    return len(asked) / (time.perf_counter() - began)


def _megabytes(folder: Path) -> float:
    """The size of a model without what is made from its other files."""
    files = [file for file in folder.rglob("*") if COMPILED not in file.relative_to(folder).parts]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def _table(columns: dict[str, dict[str, float]]) -> None:
    """Figures x 100, a row each, as Markdown."""
    click.echo("| x 100 | " + " | ".join(columns) + " |")
    click.echo("|---|" + "---|" * len(columns))
    for name in next(iter(columns.values())):
        figures = " | ".join(f"{100 * column[name]:.1f}" for column in columns.values())
        click.echo(f"| {name} | {figures} |")


if __name__ == "__main__":
    main()
