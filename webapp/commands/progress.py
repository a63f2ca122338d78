"""Progress bars of commands."""

from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    Bar = tqdm[Any]


def progress_bar(total: int | None, *, done: int = 0, unit: str) -> "Bar":
    """A bar on standard error, if that is a terminal; ``update(n)`` moves it."""
    return tqdm(total=total, initial=done, unit=f" {unit}", unit_scale=True, disable=None)
