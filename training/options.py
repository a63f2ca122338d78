"""What the command lines of all trainings have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from training.sources import HELD_OUT_ARTICLES

Command = Callable[..., Any]


def run_options(*, output: str, work: str, steps: int, rate: float) -> Callable[[Command], Command]:
    """Adds DATA, ``--output``, ``--work``, ``--steps``, ``--rate`` and ``--device``.

    Args:
        output, work, steps, rate: defaults, which the help shows.
    """
    options = [
        click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path)),
        click.option(
            "--output", type=click.Path(path_type=Path), default=Path(output), show_default=True
        ),
        click.option(
            "--work",
            type=click.Path(path_type=Path),
            default=Path(work),
            show_default=True,
            help="Folder of the checkpoint, from which an interrupted run goes on.",
        ),
        click.option("--steps", default=steps, show_default=True),
        click.option("--rate", default=rate, show_default=True),
        click.option("--device", default="cpu", show_default=True),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _layer_numbers(_: click.Context, option: click.Parameter, value: str) -> list[int]:
    try:
        return [int(place) for place in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list such as 0,2,3.", param=option) from None


teacher_option = click.option(
    "--teacher",
    default="build/training/korean",
    show_default=True,
    help="Bi-encoder that a student is made of, and learns from; folder or hub id.",
)

source_cap_option = click.option(
    "--source-cap", default=2_500, show_default=True, help="Sentences of each source."
)

kept_layers_option = click.option(
    "--layers",
    default="0,2,3,4,8,9,10,11",
    show_default=True,
    callback=_layer_numbers,
    help="Of the teacher, counted from 0, that the student's layers are.",
)

held_out_option = click.option(
    "--held-out",
    type=click.IntRange(min=1),
    default=HELD_OUT_ARTICLES,
    show_default=True,
    help="Articles at the end of KorQuAD that a reader never trains on and is measured on.",
)

encoder_option = click.option(
    "--encoder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("build/training/start"),
    show_default=True,
    help="Encoder whose layers a reader starts from, or a reader, which is trained on.",
)

layers_option = click.option(
    "--first-layers",
    "layers",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="So many of the encoder's layers; a reader does without those after them.",
)
