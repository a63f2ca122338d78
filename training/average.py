"""Averages two bi-encoders: `python -m training.average LEFT RIGHT --data DATA --output OUT`."""

from pathlib import Path

import click
import torch

from training import sources
from training.export import export_encoder
from training.student import Student


def average(left: Student, right: Student, share: float) -> None:
    """Moves the weights of ``left`` towards those of ``right`` by ``share``, from 0 to 1, in place.

    Where one was trained on from the other, the models between them are often better than both
    (M. Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Raises:
        ValueError: they are models of different shapes or vocabularies.
    """
    if left.tokenizer.get_vocab() != right.tokenizer.get_vocab():
        raise ValueError("Only models of one vocabulary can be averaged.")
    other = right.bert.state_dict()
    with torch.no_grad():
        for name, weight in left.bert.state_dict().items():
            if other[name].shape != weight.shape:
                raise ValueError(f"The models differ in the shape of {name}.")
            weight.lerp_(other[name], share)


@click.command()
@click.argument("left", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("right", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--share", default=0.5, show_default=True, help="Of RIGHT, from 0 to 1.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the data; the thresholds are calibrated on its KorSTS dev.",
)
@click.option("--output", type=click.Path(path_type=Path), required=True)
def main(left: Path, right: Path, share: float, data: Path, output: Path) -> None:
    """Write a model between LEFT and RIGHT, of which one was trained on from the other."""
    student = Student.load(left)
    average(student, Student.load(right), share)
    student.eval()
    export_encoder(student, output, sources.read_scored(data, "dev"))


if __name__ == "__main__":
    main()
