"""Progress bars of commands."""

import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    Bar = tqdm[Any]


def progress_bar(total: int | None, *, done: int = 0, unit: str) -> "Bar":
    """A bar on standard error, if that is a terminal; ``update(n)`` moves it."""
    return tqdm(total=total, initial=done, unit=f" {unit}", unit_scale=True, disable=None)


def say(message: str) -> None:
    """A line on standard error that leaves a bar there whole."""
    tqdm.write(message, file=sys.stderr)
