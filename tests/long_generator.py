"""A generator that would go on for long, and knows whether it was stopped."""

import threading
import time
from collections.abc import Iterator

from inference.answering.base import Generation, Request

_POLL_S = 0.01


class LongGenerator:
    """Writes words without an end.

    Attributes:
        requests: what it was asked.
        made: words of the last answer.
        closed: set when an answer was closed before its end.
        silent: while it is set, nothing comes.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.made = 0
        self.closed = threading.Event()
        self.silent = threading.Event()
        self._failure: tuple[int, Exception] | None = None

    @property
    def name(self) -> str:
        return "long"

    def fail_after(self, words: int, error: Exception) -> None:
        """Makes answers break off."""
        self._failure = (words, error)

    def generate(self, request: Request) -> Generation:
        self.requests.append(request)
        return Generation(self._words())

    def close(self) -> None:
        """It holds nothing."""

    def _words(self) -> Iterator[str]:
        self.made = 0
        try:
            while True:
                if self._failure and self.made == self._failure[0]:
                    raise self._failure[1]
                while self.silent.is_set():
                    time.sleep(_POLL_S)
                self.made += 1
                time.sleep(_POLL_S)
                yield f"{self.made} "
        except GeneratorExit:
            self.closed.set()
            raise
