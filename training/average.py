"""Averages two models: `python -m training.average LEFT RIGHT --data DATA --output OUT`."""

from pathlib import Path
from typing import TypeVar

import click
import torch
from torch import nn

from training import sources
from training.export import export_encoder, export_reader
from training.options import held_out_option
from training.reader import ReaderInTraining, ask_all, is_reader
from training.student import Student

Trained = TypeVar("Trained", Student, ReaderInTraining)


def average(left: Trained, right: Trained, share: float) -> None:
    """Moves the weights of ``left`` towards those of ``right`` by ``share``, from 0 to 1, in place.

    Where one was trained on from the other, the models between them are often better than both
    (M. Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Raises:
        ValueError: they are models of different shapes or vocabularies.
    """
    if left.tokenizer.get_vocab() != right.tokenizer.get_vocab():
        raise ValueError("Only models of one vocabulary can be averaged.")
    other = _module(right).state_dict()
    with torch.no_grad():
        for name, weight in _module(left).state_dict().items():
            if other[name].shape != weight.shape:
                raise ValueError(f"The models differ in the shape of {name}.")
            weight.lerp_(other[name], share)


def _module(trained: Student | ReaderInTraining) -> nn.Module:
    return trained.bert if isinstance(trained, Student) else trained.model


@click.command()
@click.argument("left", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("right", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--share", default=0.5, show_default=True, help="Of RIGHT, from 0 to 1.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the data; thresholds are calibrated on its held-out parts.",
)
@held_out_option
@click.option("--output", type=click.Path(path_type=Path), required=True)
def main(left: Path, right: Path, share: float, data: Path, held_out: int, output: Path) -> None:
    """Write a model between LEFT and RIGHT, of which one was trained on from the other."""
    if is_reader(left) != is_reader(right):
        raise click.UsageError("A bi-encoder and a reader have no average.")
    if is_reader(left):
        reader = ReaderInTraining.load(left)
        average(reader, ReaderInTraining.load(right), share)
        articles = sources.read_articles(data, held_out=True, last=held_out)
        calibration = ask_all(reader, articles).calibration
        export_reader(reader.model, reader.tokenizer, output, calibration)
        return
    student = Student.load(left)
    average(student, Student.load(right), share)
    student.eval()
    export_encoder(student, output, sources.read_scored(data, "dev"))


if __name__ == "__main__":
    main()
