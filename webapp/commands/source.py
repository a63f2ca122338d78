"""Input of commands: a file, or standard input."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def open_source(source: str) -> Iterator[IO[bytes]]:
    """The file, or for ``-`` standard input, to be read repeatedly.

    What can be read only once, such as a pipe, is copied to a temporary file first.
    """
    with ExitStack() as stack:
        if source == "-":
            file: IO[bytes] = sys.stdin.buffer
        else:
            file = stack.enter_context(Path(source).open("rb"))
            if file.seekable():
                yield file
                return
        copy = stack.enter_context(tempfile.TemporaryFile())
        shutil.copyfileobj(file, copy)
        yield copy
