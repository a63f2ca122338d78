"""Tunes an English teacher on the STS benchmark: `python -m training.tune DATA --base MODEL`.

What people say of English pairs, a good English encoder learns better than a small Korean one, and
then tells of every sentence that has a translation.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from inference.checkpoint import open_checkpoint
from training import losses, sources
from training.average import average
from training.columns import Columns
from training.measures import cosines_of
from training.options import run_options
from training.student import Student
from training.teacher import default_teacher
from training.trainer import Plan, train

_TOKENS = 128
_BATCH = 32
_HIGHEST = 5.0


def tune(student: Student, data: Path, work: Path, plan: Plan) -> None:
    """Trains in place until cosines come near the scores that people gave, a fifth of 0 to 5.

    The English originals of KorSTS train are what it reads; their dev part is only measured.
    """
    pairs = sources.read_scored_english(data, "train")
    sides = [(pair.left, pair.right) for pair in pairs]
    columns = Columns(student, sides, _BATCH, tokens=_TOKENS, seed=7)
    labels = torch.tensor(
        [pair.score / _HIGHEST for pair in pairs], device=student.embeddings.device
    )
    unseen = sources.read_scored_english(data, "dev")

    def loss_of(step: int) -> dict[str, torch.Tensor]:
        left, right = columns.vectors(step)
        cosines, wanted = (left * right).sum(dim=1), labels[columns.places(step)]
        return {
            "order": 0.5 * losses.cosent(cosines, wanted),
            "scores": 5 * F.mse_loss(cosines, wanted),
        }

    train(student, student.embeddings, loss_of, plan, work, lambda: _measure(student, unseen))


def _measure(student: Student, pairs: Sequence[sources.Scored]) -> dict[str, float]:
    found = spearmanr(cosines_of(student.embed, pairs), [pair.score for pair in pairs])
    return {"sts_dev_spearman": float(found.statistic)}


@click.command()
@run_options(output="build/training/teacher", work="build/training/tune", steps=360, rate=2e-5)
@click.option(
    "--base",
    default="",
    help="English sentence encoder, folder or hub id. Default: all-MiniLM-L6-v2 from its package.",
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
    checkpoint = open_checkpoint(base or default_teacher())
    torch.manual_seed(0)
    student = Student.load(checkpoint.transformer_path).to(device)
    tune(student, data, work, Plan(steps, rate, embedding_rate=1.0, measure_every=90))
    average(student, Student.load(checkpoint.transformer_path).to(device), 1 - share)
    shutil.copytree(checkpoint.path, output, dirs_exist_ok=True)
    student.bert.save_pretrained(output / checkpoint.transformer_path.relative_to(checkpoint.path))
    click.echo(_measure(student, sources.read_scored_english(data, "dev")))


if __name__ == "__main__":
    main()
