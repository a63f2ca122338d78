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
    """The file, or for ``-`` all of standard input in a temporary one, to be read repeatedly."""
    if source != "-":
        with Path(source).open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        yield copy
