"""Answers from a causal language model of transformers in this process."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from inference.answering.base import Generation, Request, Usage
from inference.errors import GeneratorUnavailable, InvalidInput, Overloaded, SsangError
from inference.reference import find_model

if TYPE_CHECKING:
    from inference.answering.torch_causal import TorchCausalModel

log = logging.getLogger(__name__)

_CLOSE_S = 5.0

# Taken for the time of an answer until there was one.
_ANSWER_S = 10.0

_STOPPING = "The generator is stopping: ask again."


@dataclass
class _Task:
    """An answer that somebody waits for; its pieces end with None or an error."""

    request: Request
    usage: Usage
    pieces: "SimpleQueue[str | Exception | None]" = field(default_factory=SimpleQueue)
    left: threading.Event = field(default_factory=threading.Event)


def open_local(reference: str, **options: Any) -> "LocalGenerator":
    """The generator around the model that ``reference`` names; see :func:`find_model`.

    Raises:
        InvalidInput: nothing is named.
        NotFound: there is no such model.
    """
    if not reference:
        raise InvalidInput(
            "The generator local needs a causal language model: give generator_model, a folder or "
            "a hub id.",
            item="generator_model",
        )
    return LocalGenerator(*find_model(reference, []), **options)


class LocalGenerator:
    """Writes with a language model, one answer at a time. Any thread may call it.

    The model is loaded for the first answer, in the thread that then writes all of them.

    Args:
        name: the name clients see.
        path: folder of the model.
        max_tokens: of an answer.
        prompt_tokens: of a prompt.
        max_waiting: answers that may wait for their turn.
        device, precision, threads: as in :func:`inference.encoders.load_encoder`.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        max_tokens: int = 512,
        prompt_tokens: int = 3000,
        max_waiting: int = 8,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 0,
    ) -> None:
        self._model_name = name
        self._max_waiting = max_waiting

        def load() -> "TorchCausalModel":
            # Imported here, because torch takes seconds and hundreds of megabytes.
            from inference.answering.torch_causal import TorchCausalModel

            return TorchCausalModel(
                name,
                path,
                max_tokens=max_tokens,
                prompt_tokens=prompt_tokens,
                device=device,
                precision=precision,
                threads=threads,
            )

        self._load: Callable[[], TorchCausalModel] = load
        self._changed = threading.Condition()
        self._waiting: deque[_Task] = deque()
        self._current: _Task | None = None
        # Why there will be no more answers.
        self._ended = ""
        self._answer_s = _ANSWER_S
        self._thread = threading.Thread(target=self._run, name="generator", daemon=True)

    @property
    def name(self) -> str:
        return f"local: {self._model_name}"

    def generate(self, request: Request) -> Generation:
        usage = Usage()
        return Generation(self._pieces(request, usage), usage)

    def close(self) -> None:
        """Takes no more requests, breaks off the answers there are, and ends the thread."""
        self._end(_STOPPING)
        if self._thread.ident is not None:
            self._thread.join(timeout=_CLOSE_S)

    def _pieces(self, request: Request, usage: Usage) -> Iterator[str]:
        task = _Task(request, usage)
        self._submit(task)
        try:
            while (piece := task.pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self._withdraw(task)

    def _submit(self, task: _Task) -> None:
        with self._changed:
            if self._ended:
                raise GeneratorUnavailable(self._ended)
            if len(self._waiting) >= self._max_waiting:
                wait_s = self._answer_s * (len(self._waiting) + 1)
                raise Overloaded(
                    "Too many answers wait for the generator: try again later.",
                    retry_after_s=max(math.ceil(wait_s), 1),
                )
            self._waiting.append(task)
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify()

    def _withdraw(self, task: _Task) -> None:
        task.left.set()
        with self._changed:
            if task in self._waiting:
                self._waiting.remove(task)

    def _end(self, reason: str) -> None:
        with self._changed:
            self._ended = self._ended or reason
            for task in self._waiting:
                task.pieces.put(GeneratorUnavailable(self._ended))
            self._waiting.clear()
            if self._current is not None:
                self._current.left.set()
            self._changed.notify()

    # The thread of the model

    def _run(self) -> None:
        try:
            model = self._load()
        except SsangError as error:
            self._end(error.message)
            log.critical(error.message)
            return
        except Exception as error:
            log.exception("the generator's model could not be loaded")
            name = type(error).__name__
            self._end(f"The generator's model could not be loaded ({name}): see the log.")
            return
        while task := self._next():
            began = time.monotonic()
            self._write(model, task)
            self._answer_s = time.monotonic() - began

    def _next(self) -> _Task | None:
        """The next answer to write, or None when there will be none."""
        with self._changed:
            self._current = None
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if not self._waiting:
                return None
            self._current = self._waiting.popleft()
            return self._current

    def _write(self, model: "TorchCausalModel", task: _Task) -> None:
        end: Exception | None = None
        try:
            for piece in model.write(task.request, task.usage, lambda: not task.left.is_set()):
                task.pieces.put(piece)
            if self._ended:
                end = GeneratorUnavailable(self._ended)
        except SsangError as error:
            end = error
        except Exception as error:
            log.exception("the generator's model failed")
            end = GeneratorUnavailable(
                f"The generator's model failed ({type(error).__name__}): see the log."
            )
        task.pieces.put(end)
