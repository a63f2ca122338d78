"""The thread that owns a user's model and makes every call of the user's code."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from inference.errors import (
    DeadlineExceeded,
    SsangError,
    UserCodeFailed,
)
from inference.lifecycle import Failure, Lifecycle, State
from inference.user_code import Handler, UserProgram, load_handlers

log = logging.getLogger(__name__)

_CLOSE_S = 5.0


@dataclass(frozen=True)
class _Call:
    body: bytes | str
    content_type: str
    accept: str
    answer: "Future[tuple[bytes, str]]" = field(default_factory=Future)


class UserModel:
    """A user's code at work. Any thread may call it; the code sees one call at a time.

    Args:
        program: the code.
        defaults: handlers for those that it lacks, by name; all but ``transform_fn``.
        deadline_s: seconds that a call may wait for its turn.
        hang_timeout_s: seconds beyond these after which a call has hung for good.
    """

    def __init__(
        self,
        program: UserProgram,
        defaults: Mapping[str, Handler],
        *,
        deadline_s: float,
        hang_timeout_s: float,
    ) -> None:
        self._program = program
        self._defaults = defaults
        self._deadline_s = deadline_s
        self._hang_timeout_s = hang_timeout_s
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._life = Lifecycle(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="user-code", daemon=True)

    @property
    def state(self) -> State:
        return self._life.state

    def start(self) -> None:
        """Starts to load the code and its model; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """Takes no more calls, and returns when those that wait are done, or after some seconds."""
        self._life.stop()
        self._calls.put(None)
        self._thread.join(timeout=_CLOSE_S)

    def on_failure(self, callback: Callable[[Failure], None]) -> None:
        """Calls ``callback`` when the code cannot answer any more; at once if so already."""
        self._life.on_failure(callback)

    def transform(self, body: bytes | str, content_type: str, accept: str) -> tuple[bytes, str]:
        """What the code answers: a body and its content type.

        Raises:
            UserCodeFailed: a handler raised an error.
            DeadlineExceeded: its turn did not come in time.
            ModelUnavailable: it is loading, has failed, or hangs.
            Exception: whatever a default handler raised.
        """
        if self._life.state is not State.READY:
            raise self._life.unavailable()
        call = _Call(body, content_type, accept)
        self._calls.put(call)
        try:
            return call.answer.result(timeout=self._deadline_s)
        except TimeoutError:
            if call.answer.cancel():
                raise DeadlineExceeded(
                    "The model's own code had no time for this within the deadline: "
                    "try again later."
                ) from None
        try:
            return call.answer.result(timeout=self._hang_timeout_s)
        except TimeoutError:
            waited = self._deadline_s + self._hang_timeout_s
            message = f"The model's own code has not answered for {waited:g} seconds."
            self._life.fail(Failure(message, while_loading=False))
            raise self._life.unavailable() from None

    # The thread of the user's code

    def _run(self) -> None:
        try:
            handlers = {**self._defaults, **load_handlers(self._program)}
            model = handlers["model_fn"](str(self._program.model_dir))
        except SsangError as error:
            self._life.fail(Failure(error.message, while_loading=True))
            return
        except Exception as error:
            log.exception("the model's own code could not be loaded")
            reason = f"The model's own code could not be loaded ({type(error).__name__})."
            self._life.fail(Failure(f"{reason} The log says more.", while_loading=True))
            return
        self._life.become_ready()
        log.info("user code ready")
        while call := self._calls.get():
            if call.answer.set_running_or_notify_cancel():
                self._answer(call, handlers, model)

    def _answer(self, call: _Call, handlers: Mapping[str, Handler], model: Any) -> None:
        try:
            call.answer.set_result(_transform(handlers, model, call))
        except BaseException as error:
            # The caller's to tell; the thread goes on.
            call.answer.set_exception(error)


def _transform(handlers: Mapping[str, Handler], model: Any, call: _Call) -> tuple[bytes, str]:
    if "transform_fn" in handlers:
        output = handlers["transform_fn"](model, call.body, call.content_type, call.accept)
    else:
        data = handlers["input_fn"](call.body, call.content_type)
        output = handlers["output_fn"](handlers["predict_fn"](data, model), call.accept)
    body, content_type = output if isinstance(output, tuple) else (output, call.accept)
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray):
        raise UserCodeFailed(
            f"The answer is a {type(body).__name__}: output_fn, or transform_fn, must give str or "
            "bytes, alone or with a content type."
        )
    return bytes(body), content_type
