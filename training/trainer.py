"""The loop that both models are trained by: optimizer, rate, checkpoints, a log."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from training.arithmetic import autocast

Measures = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        steps: updates of the weights.
        rate: the highest learning rate of the layers, reached after the warm-up; then it falls
            on a straight line to nothing.
        embedding_rate: the same of the word embeddings, in multiples of ``rate``.
        warmup: share of the steps in which the rate rises.
        measure_every, save_every: steps between two measurements, and between two checkpoints.
    """

    steps: int
    rate: float
    embedding_rate: float = 4.0
    warmup: float = 0.04
    measure_every: int = 400
    save_every: int = 200


def train(
    model: nn.Module,
    embeddings: torch.Tensor,
    loss_of: Callable[[int], dict[str, torch.Tensor]],
    plan: Plan,
    folder: Path,
    measure: Callable[[], Measures],
) -> None:
    """Trains in place, from the folder's checkpoint where there is one.

    Args:
        model: its parameters are changed.
        embeddings: the parameters that move at their own rate.
        loss_of: the parts of the loss at a step, weighted; a pure function of the step's number
            and the weights.
        plan: see there; a checkpoint of another plan is refused, except for its number of steps and
            how often it measures.
        folder: ``checkpoint.pt`` and ``log.jsonl`` are written there.
        measure: figures for the log; called with the model in eval mode.

    Raises:
        ValueError: the checkpoint belongs to another plan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = [weight for weight in model.parameters() if weight is not embeddings]
    optimizer = torch.optim.AdamW(
        [
            {"params": others, "scale": 1.0},
            {"params": [embeddings], "scale": plan.embedding_rate, "weight_decay": 0.0},
        ],
        lr=plan.rate,
        weight_decay=0.01,
        fused=True,
    )
    device = embeddings.device
    checkpoint = folder / "checkpoint.pt"
    first = _resume(checkpoint, model, optimizer, plan)
    began = time.monotonic()
    with (
        (folder / "log.jsonl").open("a", encoding="utf-8") as log,
        tqdm(total=plan.steps, initial=first, unit="step") as bar,
    ):
        for step in range(first, plan.steps):
            model.train()
            torch.manual_seed(step)
            for group in optimizer.param_groups:
                group["lr"] = plan.rate * group["scale"] * _rate(step, plan)
            with autocast(device):
                parts = loss_of(step)
            loss = torch.stack(list(parts.values())).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            done = step + 1
            bar.update()
            record: dict[str, Any] = {
                "step": done,
                "seconds": round(time.monotonic() - began, 1),
                **{name: round(float(value.detach()), 4) for name, value in parts.items()},
            }
            if done % plan.measure_every == 0 or done == plan.steps:
                model.eval()
                record |= {name: round(value, 4) for name, value in measure().items()}
                tqdm.write(json.dumps(record))
            log.write(json.dumps(record) + "\n")
            log.flush()
            if done % plan.save_every == 0 or done == plan.steps:
                _save(checkpoint, done, model, optimizer, plan)
    model.eval()


def _rate(step: int, plan: Plan) -> float:
    warm = max(1, int(plan.steps * plan.warmup))
    if step < warm:
        return (step + 1) / warm
    return (plan.steps - step) / max(1, plan.steps - warm)


def _save(
    path: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan
) -> None:
    """A checkpoint appears whole or not at all."""
    part = path.with_suffix(".part")
    state = {"step": step, "plan": asdict(plan)}
    torch.save({**state, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, part)
    os.replace(part, path)


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    # More steps or fewer only move the end, and with it the rate; a measurement changes nothing.
    free = {"steps": plan.steps, "measure_every": plan.measure_every}
    if state["plan"] | free != asdict(plan):
        raise ValueError(
            f"{path} belongs to another plan, {state['plan']}: remove its folder to begin anew."
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    step: int = state["step"]
    return step
