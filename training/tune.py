"""Tunes a teacher: `python -m training.tune DATA --base MODEL --output FOLDER`.

What people say of sentences, a large encoder learns better than a small one, and then tells of
every sentence there is.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from scipy.stats import spearmanr

from inference.checkpoint import open_checkpoint
from training import sources
from training.average import average
from training.lessons import Contrast, Lesson, Paragraphs, Scores, taught
from training.material import alike_texts, headed_texts
from training.measures import cosines_of
from training.options import run_options
from training.student import Student
from training.trainer import Plan, train


def _scores(student: Student, pairs: Sequence[sources.Scored], seed: int) -> Scores:
    return Scores(student, pairs, size=32, seed=seed, dims=(), near=10.0)


def lessons(student: Student, folder: Path) -> list[Lesson]:
    """KorSTS train and its originals, and all else that people labelled or wrote in couples."""
    scored = sources.read_scored(folder, "train")
    originals = sources.read_scored_english(folder)
    headed = [pair for pair in headed_texts(sources.read_aligned(folder)) if pair[0].endswith("?")]
    articles = sources.read_articles(folder, held_out=False)
    answers = [*headed, *sources.read_chat(folder)[::3]]
    return [
        Lesson("scores", 0.5, 3, 1, _scores(student, scored, seed=7)),
        Lesson("scores", 0.5, 3, 2, _scores(student, scored, seed=8)),
        Lesson("originals", 0.5, 3, 0, _scores(student, originals, seed=9)),
        Lesson("triples", 0.3, 4, 0, Contrast(student, sources.read_triples(folder), 24)),
        Lesson("alike", 0.3, 4, 1, Contrast(student, alike_texts(folder), 32)),
        Lesson("answers", 0.5, 4, 2, Contrast(student, answers, 24)),
        Lesson("paragraphs", 0.5, 4, 3, Paragraphs(student, articles)),
    ]


def _measure(student: Student, pairs: Sequence[sources.Scored]) -> dict[str, float]:
    found = spearmanr(cosines_of(student.embed, pairs), [pair.score for pair in pairs])
    return {"sts_dev_spearman": float(found.statistic)}


@click.command()
@run_options(output="build/training/korean", work="build/training/tune", steps=290, rate=5e-5)
@click.option(
    "--base",
    default="build/training/start",
    show_default=True,
    help="Sentence encoder, folder or hub id.",
)
@click.option("--share", default=0.7, show_default=True, help="Of the tuned weights in the mean.")
def main(
    data: Path,
    base: str,
    output: Path,
    work: Path,
    share: float,
    steps: int,
    rate: float,
    device: str,
) -> None:
    """Write a teacher that scores pairs as people do, from the files in DATA and an encoder."""
    checkpoint = open_checkpoint(base)
    torch.manual_seed(0)
    student = Student.load(checkpoint.transformer_path).to(device)
    curriculum = lessons(student, data)
    unseen = sources.read_scored(data, "dev")
    plan = Plan(steps, rate, embedding_rate=1.0, measure_every=90)
    train(
        student,
        student.embeddings,
        lambda step: taught(curriculum, step),
        plan,
        work,
        lambda: _measure(student, unseen),
    )
    average(student, Student.load(checkpoint.transformer_path).to(device), 1 - share)
    shutil.copytree(checkpoint.path, output, dirs_exist_ok=True)
    student.bert.save_pretrained(output / checkpoint.transformer_path.relative_to(checkpoint.path))
    click.echo(_measure(student, unseen))


if __name__ == "__main__":
    main()
