"""Trains a bi-encoder by a larger one: `python -m training.distill DATA --start FOLDER`.

A text's vector is the mean of its tokens': who knows each of these knows it as well.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import torch

from inference.checkpoint import open_checkpoint
from training.export import export_encoder
from training.lessons import (
    LONG_TOKENS,
    PASSAGE_TOKENS,
    SENTENCE_TOKENS,
    Contrast,
    Lesson,
    Paragraphs,
    Scores,
    Tokens,
    taught,
)
from training.material import Material
from training.measures import measure, read_held_out
from training.options import (
    kept_layers_option,
    run_options,
    source_cap_option,
    teacher_option,
)
from training.student import Student
from training.trainer import Plan, train

# Every so many of the English sentences, and of KorSTS's originals.
_ENGLISH_ONE_IN = 8
_ORIGINALS_ONE_IN = 4


def lessons(
    student: Student,
    teacher: Student,
    layers: Sequence[int],
    folder: Path,
    source_cap: int,
    seed: int,
) -> list[Lesson]:
    """The teacher's tokens in all there is to read, and a little of what people labelled.

    Args:
        student: as it starts.
        teacher: of the same vocabulary and width.
        layers: of the teacher that the student's were.
        folder: of the data.
        source_cap: at most so many sentences of each source.
        seed: of the order in which the teacher's texts are read.
    """
    material = Material.read(folder, source_cap)
    english = [*material.originals[::_ORIGINALS_ONE_IN], *material.capped[::_ENGLISH_ONE_IN]]
    texts = list(dict.fromkeys([*material.texts, *(pair.english for pair in english)]))

    def read(texts: list[str], size: int, tokens: int, least: int | None = None) -> Tokens:
        return Tokens(
            student, teacher, layers, texts, size=size, tokens=tokens, least=least, seed=seed
        )

    return [
        Lesson("tokens", 1.0, 1, 0, read(texts, 112, PASSAGE_TOKENS)),
        Lesson("long", 1.0, 3, 1, read(material.long_texts, 10, LONG_TOKENS, SENTENCE_TOKENS)),
        Lesson("paragraphs", 0.5, 16, 3, Paragraphs(student, material.articles, LONG_TOKENS)),
        Lesson("scores", 0.2, 4, 2, Scores(student, material.scored)),
        Lesson("alike", 0.3, 32, 13, Contrast(student, material.alike, 48)),
        Lesson("triples", 0.3, 32, 29, Contrast(student, material.triples, 32)),
    ]


@click.command()
@run_options(output="models/ko-mini", work="build/training/distill", steps=2_000, rate=4e-4)
@click.option(
    "--start",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("build/training/student"),
    show_default=True,
    help="Bi-encoder to train on.",
)
@teacher_option
@kept_layers_option
@source_cap_option
@click.option(
    "--seed",
    default=21,
    show_default=True,
    help="Of the order of the texts; another one to train a model on.",
)
def main(
    data: Path,
    start: Path,
    teacher: str,
    layers: list[int],
    output: Path,
    work: Path,
    source_cap: int,
    seed: int,
    steps: int,
    rate: float,
    device: str,
) -> None:
    """Train a bi-encoder on the files in DATA, token by token as its teacher reads them."""
    torch.manual_seed(0)
    student = Student.load(start).to(device)
    of_tokens = Student.load(open_checkpoint(teacher).transformer_path).to(device)
    curriculum = lessons(student, of_tokens.eval(), layers, data, source_cap, seed)
    held_out = read_held_out(data)
    plan = Plan(steps, rate, embedding_rate=2.0, measure_every=500, save_every=100)
    train(
        student,
        student.embeddings,
        lambda step: taught(curriculum, step),
        plan,
        work,
        lambda: measure(student.embed, held_out),
    )
    export_encoder(student, output, held_out.scored)
    click.echo(measure(student.embed, held_out))


if __name__ == "__main__":
    main()
