"""Input of commands: a file, or standard input."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def open_source(source: str) -> Iterator[IO[bytes]]:
    """The file, or for ``-`` standard input, to be read repeatedly."""
    opened = _copied(sys.stdin.buffer) if source == "-" else open_path(Path(source))
    with opened as file:
        yield file


@contextmanager
def open_path(path: Path) -> Iterator[IO[bytes]]:
    """The file, to be read repeatedly, even if it is a pipe, such as a shell's ``<(command)``."""
    with path.open("rb") as file:
        if file.seekable():
            yield file
            return
        with _copied(file) as copy:
            yield copy


@contextmanager
def _copied(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """All of what can be read only once, in a temporary file."""
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        yield copy
