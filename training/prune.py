"""Makes a student of its teacher: `python -m training.prune DATA --teacher FOLDER --output FOLDER`.

Nothing is trained here: layers that the others do best without are left out, and so are hidden
units of every feed-forward block, whose work the rest takes over as far as it can.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn
from tqdm import tqdm

from inference.checkpoint import open_checkpoint
from training.batches import by_length
from training.export import save_encoder
from training.lessons import PASSAGE_TOKENS
from training.material import Material
from training.options import kept_layers_option, source_cap_option, teacher_option
from training.student import Student, thin

_TEXTS = 1_200
_BATCH_TOKENS = 2_048

# Of the mean variance of a block's units, added to each, so that the inverse exists.
_RIDGE = 1e-4


@torch.no_grad()
def narrow(student: Student, width: int, texts: Sequence[str]) -> None:
    """Leaves ``width`` hidden units in each feed-forward block, in place.

    Unit by unit, the one goes whose work the others take over with the least squared error on
    ``texts`` (B. Hassibi and D. Stork, Second order derivatives for network pruning: optimal brain
    surgeon, NIPS 1992; for whole units of a linear map, E. Kurtic et al., ZipLM, NeurIPS 2023).

    Args:
        student: its layers see what the narrowed ones before them give.
        width: units that are left.
        texts: some hundreds of what the student is to read.

    Raises:
        ValueError: there are no more units than that to begin with.
    """
    bert = student.bert
    if not 0 < width < bert.config.intermediate_size:
        raise ValueError(
            f"A width of {width} is not below the {bert.config.intermediate_size} units: --width."
        )
    ids = student.tokenize(texts, PASSAGE_TOKENS)
    blocks: list[Any] = list(bert.encoder.layer)
    for layer in tqdm(blocks, unit="layer"):
        units = _units(student, layer.output.dense, ids).double()
        center = units.mean(dim=0)
        units -= center
        covariance = units.T @ units / len(units)
        covariance += _RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance))
        before = layer.output.dense.weight.double().T
        kept = _kept(covariance, before, width)
        # What the units that are left give best: the least squares over all that there was.
        after = torch.linalg.solve(covariance[kept][:, kept], covariance[kept] @ before)
        bias = layer.output.dense.bias.double() + center @ before - center[kept] @ after
        entry = layer.intermediate.dense
        layer.intermediate.dense = _linear(entry.weight[kept], entry.bias[kept])
        layer.output.dense = _linear(after.T, bias)
    bert.config.intermediate_size = width


def _units(student: Student, outlet: nn.Linear, ids: Sequence[Sequence[int]]) -> torch.Tensor:
    """What a block's units give for each token (tokens, units)."""
    found: list[torch.Tensor] = []
    hook = outlet.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    rows = []
    for batch in by_length([len(row) for row in ids], _BATCH_TOKENS):
        _, mask = student.states([ids[place] for place in batch])
        rows.append(found.pop()[mask.bool()])
    hook.remove()
    return torch.cat(rows)


def _kept(covariance: torch.Tensor, weights: torch.Tensor, width: int) -> list[int]:
    """Which units (units, units) with their outgoing weights (units, dim) are left, in order."""
    inverse, weights = torch.linalg.inv(covariance), weights.clone()
    left = torch.ones(len(weights), dtype=torch.bool)
    for _ in range(len(weights) - width):
        error = weights.square().sum(dim=1) / inverse.diagonal().clamp_min(1e-12)
        error[~left] = torch.inf
        place = int(error.argmin())
        share = inverse[:, place] / inverse[place, place]
        weights -= torch.outer(share, weights[place])
        inverse -= torch.outer(share, inverse[place])
        left[place] = False
        # Rounding leaves traces in what should be nothing.
        weights[place] = inverse[place] = inverse[:, place] = 0
    return left.nonzero().squeeze(1).tolist()


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.copy_(weight)
    linear.bias.copy_(bias)
    return linear


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@teacher_option
@kept_layers_option
@click.option("--width", default=768, show_default=True, help="Of each feed-forward block.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/training/student"),
    show_default=True,
)
@source_cap_option
def main(
    data: Path, teacher: str, layers: list[int], width: int, output: Path, source_cap: int
) -> None:
    """Write a smaller bi-encoder that does as the teacher does on the texts in DATA."""
    student = Student.load(open_checkpoint(teacher).transformer_path).eval()
    texts = Material.read(data, source_cap).texts
    texts = random.Random(0).sample(texts, min(_TEXTS, len(texts)))
    thin(student.bert, layers)
    narrow(student, width, texts)
    save_encoder(student.bert, student.tokenizer, output)


if __name__ == "__main__":
    main()
