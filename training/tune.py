"""Tunes an English teacher on the STS benchmark: `python -m training.tune DATA --base MODEL`.

What people say of English pairs, a good English encoder learns better than a small Korean one, and
then tells of every sentence that has a translation.
"""

import shutil
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from inference.checkpoint import open_checkpoint
from inference.similarity import cosine
from training import losses, sources
from training.average import average
from training.batches import Batches
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
    left = student.tokenize([pair.left for pair in pairs], _TOKENS)
    right = student.tokenize([pair.right for pair in pairs], _TOKENS)
    labels = torch.tensor(
        [pair.score / _HIGHEST for pair in pairs], device=student.embeddings.device
    )
    batches = Batches(
        [len(one) + len(two) for one, two in zip(left, right, strict=True)], _BATCH, 7
    )

    def loss_of(step: int) -> dict[str, torch.Tensor]:
        batch = batches[step]
        found = student([side[place] for side in (left, right) for place in batch])
        cosines = (found[: len(batch)] * found[len(batch) :]).sum(dim=1)
        return {
            "order": 0.5 * losses.cosent(cosines, labels[batch]),
            "scores": 5 * F.mse_loss(cosines, labels[batch]),
        }

    train(student, student.embeddings, loss_of, plan, work, lambda: _measure(student, data))


def _measure(student: Student, data: Path) -> dict[str, float]:
    pairs = sources.read_scored_english(data, "dev")
    left, right = (student.embed(side) for side in zip(*[pair[:2] for pair in pairs], strict=True))
    found = spearmanr(cosine(left, right), [pair.score for pair in pairs])
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
    tuned = Student.load(checkpoint.transformer_path)
    average(tuned, student.cpu(), share)
    shutil.copytree(checkpoint.path, output, dirs_exist_ok=True)
    tuned.bert.save_pretrained(output)
    click.echo(_measure(tuned.eval(), data))


if __name__ == "__main__":
    main()
