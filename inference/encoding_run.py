"""Vectors of many texts, kept part by part, so that a run which was ended goes on where it was."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from inference.errors import Conflict
from inference.similarity import Vectors

PART_TEXTS = 2048
"""Texts in a part; the last one may have fewer."""

_STATE = "state.json"


class EncodingRun:
    """Finished parts in a folder, and the state that says how many there are and of what.

    A part is in its place before the state counts it, so the run may be killed at any moment.

    Attributes:
        folder: holds the parts.
        parts: how many are finished.
        truncated: texts in them that were cut.
    """

    def __init__(self, folder: Path, identity: Mapping[str, object]) -> None:
        self.folder = folder
        self._identity = dict(identity)
        self.parts = 0
        self.truncated = 0

    def resume(self) -> None:
        """Takes over the parts of an earlier run, if there was one.

        Raises:
            Conflict: that run had another input, model or setting.
        """
        try:
            state: dict[str, Any] = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        before = state["identity"]
        changed = [name for name in self._identity if before.get(name) != self._identity[name]]
        if changed:
            raise Conflict(
                f"The run that was begun in {self.folder} had another {' and '.join(changed)}: "
                "make them the same to go on, or restart."
            )
        self.parts, self.truncated = state["parts"], state["truncated"]

    def restart(self) -> None:
        """Forgets an earlier run."""
        (self.folder / _STATE).unlink(missing_ok=True)

    def add(self, vectors: Vectors, *, truncated: int) -> None:
        """Keeps the next part: vectors (n, dim) with n of ``PART_TEXTS``, or fewer in the last."""
        with _replacing(self._part(self.parts)) as temporary, temporary.open("wb") as file:
            np.save(file, vectors.astype("<f4", copy=False))
            _flush(file.fileno())
        self.parts += 1
        self.truncated += truncated
        state = {"identity": self._identity, "parts": self.parts, "truncated": self.truncated}
        with _replacing(self.folder / _STATE) as temporary, temporary.open("w") as text:
            json.dump(state, text)
            text.flush()
            _flush(text.fileno())

    def vectors(self) -> Iterator[Vectors]:
        """The vectors (n, dim) of each part."""
        for part in range(self.parts):
            yield np.load(self._part(part))

    def remove(self) -> None:
        """Removes the folder; the state goes first, so that half a folder is never resumed."""
        self.restart()
        shutil.rmtree(self.folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder, made if need be, against another process.

        Raises:
            Conflict: another process writes there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(f"Another run writes in {self.folder}: wait for its end.") from error
            yield

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:06}.npy"


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``target`` in one step."""
    temporary = target.with_name(f"{target.name}.tmp")
    yield temporary
    temporary.replace(target)


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)
