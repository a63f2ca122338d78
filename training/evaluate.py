"""Figures of a bi-encoder or a reader: `python -m training.evaluate MODEL --data FOLDER`."""

import json
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import click
import numpy as np

from inference.calibration_plot import check_plot
from inference.checkpoint import Checkpoint, open_checkpoint
from inference.encoders.base import Encoder
from inference.encoders.torch_encoder import TorchEncoder
from inference.similarity import Vectors, cosine
from training import sources
from training.batches import by_length
from training.measures import HeldOut, measure, read_held_out
from training.plot import plot_scores
from training.reader import ReaderInTraining, ask_all

_DIMENSIONS = (None, 256, 128, 64)
_SPEED_TEXTS = 1_024


@click.command()
@click.argument("model")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the data; only its held-out parts are read.",
)
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="fp32", show_default=True)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Picture with the scores' histograms and their reliability; needs matplotlib.",
)
def main(model: str, data: Path, device: str, precision: str, plot: Path | None) -> None:
    """Print a table of figures of MODEL, a folder, an embedded model's name or a hub id."""
    if plot:
        check_plot()
    checkpoint = open_checkpoint(model)
    click.echo(f"Model: {checkpoint.name}, {_megabytes(checkpoint.path):.1f} MB")
    if _is_reader(checkpoint):
        reader = ReaderInTraining.load(checkpoint.transformer_path)
        _table({"": ask_all(reader, sources.read_articles(data, held_out=True)).figures})
        return
    encoder = TorchEncoder(checkpoint, device=device, precision=precision, threads=0)
    held_out = read_held_out(data)
    # Every column cuts the same vectors.
    known = cache(lambda texts: embed(encoder, texts))
    columns = {
        str(dimensions or encoder.dim): measure(
            lambda texts: known(tuple(texts)), held_out, dimensions
        )
        for dimensions in _DIMENSIONS
        if dimensions is None or dimensions < encoder.dim
    }
    _table(columns)
    speed = _speed(encoder, held_out)
    click.echo(f"Sentences a second ({encoder.device}, {encoder.precision}): {speed:.0f}")
    if plot:
        pairs = held_out.scored
        cosines = cosine(
            embed(encoder, [pair.left for pair in pairs]),
            embed(encoder, [pair.right for pair in pairs]),
        )
        plot_scores(plot, cosines, np.array([pair.score for pair in pairs]))


def embed(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Unit vectors (n, dim) of texts, by batches of like length."""
    ids = encoder.tokenize(texts, "document").ids
    vectors = np.zeros((len(ids), encoder.dim), dtype=np.float32)
    for batch in by_length([len(row) for row in ids], encoder.batch_tokens):
        vectors[batch] = encoder.encode([ids[place] for place in batch])
    return vectors


def _speed(encoder: Encoder, held_out: HeldOut) -> float:
    texts = [text for pair in held_out.scored for text in (pair.left, pair.right)][:_SPEED_TEXTS]
    embed(encoder, texts[:64])
    began = time.perf_counter()
    embed(encoder, texts)
    return len(texts) / (time.perf_counter() - began)


def _is_reader(checkpoint: Checkpoint) -> bool:
    config = json.loads((checkpoint.transformer_path / "config.json").read_text(encoding="utf-8"))
    return any("QuestionAnswering" in name for name in config.get("architectures") or ())


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _table(columns: dict[str, dict[str, float]]) -> None:
    """Figures x 100, a row each, as Markdown."""
    click.echo("| x 100 | " + " | ".join(columns) + " |")
    click.echo("|---|" + "---|" * len(columns))
    for name in next(iter(columns.values())):
        figures = " | ".join(f"{100 * column[name]:.1f}" for column in columns.values())
        click.echo(f"| {name} | {figures} |")


if __name__ == "__main__":
    main()
