"""Trains the bi-encoder: `python -m training.encoder DATA --teacher FOLDER --output FOLDER`."""

from pathlib import Path

import click
import torch

from inference.checkpoint import open_checkpoint
from training import sources
from training.export import export_encoder
from training.lessons import (
    DIMS,
    Cloze,
    Contrast,
    Distillation,
    Lesson,
    Neighbours,
    Paragraphs,
    Ranking,
    Scores,
    taught,
)
from training.material import Material
from training.measures import HeldOut, measure, read_held_out
from training.options import run_options
from training.package import packaged_english
from training.student import Student, thin
from training.teacher import Teacher, TeacherModel, open_teacher
from training.trainer import Plan, train

# Of a source's sentences so many are compared with their neighbours, and with the English teacher.
_COMPARED = 250


def lessons(
    student: Student,
    folder: Path,
    korean: TeacherModel,
    english: TeacherModel,
    work: Path,
    source_cap: int,
) -> list[Lesson]:
    """Everything that the bi-encoder is taught, from the files of the data folder.

    Args:
        student: as it starts.
        folder: of the data.
        korean: teacher of every text, as wide as the student.
        english: teacher of the English side of translations, of any width.
        work: where what the teachers say is kept.
        source_cap: at most so many sentences of each source.
    """
    material = Material.read(folder, source_cap)
    originals, headed = material.originals, material.headed
    # KorSTS is read twice as often.
    texts = [*material.texts, *(pair.korean for pair in originals)]
    english_texts = [pair.english for pair in [*originals, *material.capped[::2]]]
    first = {pair.korean: pair for pair in originals}
    compared = first | {
        pair.korean: pair for pair in sources.cap_sources(material.aligned, _COMPARED)
    }
    pairs = list(compared.values())
    known = [*texts, *english_texts, *compared]
    teacher = Teacher(korean, known, work)
    of_english = Teacher(english, [pair.english for pair in pairs], work)
    asked = [pair for pair in headed if pair[0].endswith("?")]
    answers = [*asked, *headed, *material.chat[::3]]
    finding = [*asked, *2 * material.questions]
    neighbours = Neighbours(student, pairs, len(first), teacher, of_english, groups=12)
    return [
        Lesson("distillation", 1.0, 1, 0, Distillation(student, texts, teacher, 112, seed=1)),
        Lesson("neighbours", 1.0, 2, 0, neighbours),
        Lesson("answers", 0.6, 4, 1, Contrast(student, answers, 40)),
        Lesson("paragraphs", 0.5, 8, 3, Paragraphs(student, material.articles)),
        Lesson("scores", 0.1, 16, 5, Scores(student, material.scored)),
        Lesson("cloze", 0.4, 16, 7, Cloze(student, material.passages, material.articles)),
        Lesson("alike", 0.3, 16, 13, Contrast(student, material.alike, 48)),
        Lesson("triples", 0.3, 16, 13, Contrast(student, material.triples, 32)),
        Lesson("finding", 0.5, 16, 15, Ranking(student, finding, teacher, 24)),
        Lesson("english", 0.5, 16, 15, Distillation(student, english_texts, teacher, 64, seed=2)),
    ]


@click.command()
@run_options(output="models/ko-mini", work="build/training/encoder", steps=1_200, rate=3e-4)
@click.option(
    "--teacher",
    default="build/training/korean",
    show_default=True,
    help="Encoder of Korean that it learns from, and whose layers it begins with.",
)
@click.option(
    "--english",
    default="",
    help="Encoder of English that it also learns from. Default: all-MiniLM-L6-v2, a package.",
)
@click.option(
    "--layers",
    default="0,1,2,9,10,11",
    show_default=True,
    help="Of the teacher, counted from 0, that a new student begins with.",
)
@click.option(
    "--start",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Model folder to train on, in place of a new student.",
)
@click.option("--source-cap", default=1_500, show_default=True, help="Sentences of each source.")
def main(
    data: Path,
    output: Path,
    work: Path,
    teacher: str,
    english: str,
    layers: str,
    start: Path | None,
    steps: int,
    rate: float,
    source_cap: int,
    device: str,
) -> None:
    """Train the bi-encoder on the files in DATA and write it to a model folder."""
    torch.manual_seed(0)
    student = Student.load(start or open_checkpoint(teacher).transformer_path)
    if not start:
        thin(student.bert, [int(place) for place in layers.split(",")])
    student.to(device)
    korean = open_teacher(teacher, device)
    of_english = open_teacher(english or packaged_english(), device)
    curriculum = lessons(student, data, korean, of_english, work, source_cap)
    held_out = read_held_out(data)

    def figures() -> dict[str, float]:
        return measure(student.embed, held_out)

    plan = Plan(steps, rate, embedding_rate=2.0)
    train(student, student.embeddings, lambda step: taught(curriculum, step), plan, work, figures)
    export_encoder(student, output, held_out.scored)
    _print(student, held_out)


def _print(student: Student, held_out: HeldOut) -> None:
    for dimensions in (None, *DIMS):
        figures = measure(student.embed, held_out, dimensions)
        click.echo(f"{dimensions or 'whole'}: {figures}")


if __name__ == "__main__":
    main()
