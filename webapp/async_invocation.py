"""Asynchronous invocations: files in, files out, and a journal of what is still to do.

Below the data folder lie ``async/jobs``, a file for each invocation that has not ended, and, with
random names, ``async/input``, ``async/output`` and ``async/failure``. Whoever works on a job holds
a lock on its file, which the kernel takes off when that process ends, however it does. So several
workers share one journal, none does another's work, and what a killed one left is taken up again.
"""

import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import orjson
from flask import Flask, current_app

from inference.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
    SsangError,
    TooLarge,
)
from webapp.errors import ModelError, problem_of, runtime_error_body
from webapp.invocation import Invocation, invoke
from webapp.reply import encode_json
from webapp.service import Service

log = logging.getLogger(__name__)

Invoke = Callable[[bytes, str, str], Invocation]

_KEY = "ssang.async"

# How soon a job that another worker took in, or left behind, is seen.
_POLL_S = 0.5

# A job that ended so many processes is not tried again.
_MAX_ATTEMPTS = 3

# A line for each attempt follows the job in its file.
_ATTEMPT = b"\n"

_OFF = (
    "Asynchronous invocations are off: start the service with a folder for their files, such as "
    "SSANG_DATA_DIR=/var/lib/ssang."
)


@dataclass(frozen=True)
class AsyncInvocation:
    """An invocation that was taken over.

    Attributes:
        inference_id: the caller's name for it.
        input: file that holds its body.
        output: file in which the answer will be.
        failure: file in which, instead, the error will be.
        content_type: of the body.
        accept: types the answer may have.
        expires: Unix time in seconds after which it must not begin.
        timeout_s: seconds it may take.
        request_id: of the request that brought it.
    """

    inference_id: str
    input: Path
    output: Path
    failure: Path
    content_type: str
    accept: str
    expires: float
    timeout_s: float
    request_id: str

    @classmethod
    def from_json(cls, line: bytes) -> "AsyncInvocation":
        """What :meth:`to_json` wrote."""
        fields = orjson.loads(line)
        paths = {name: Path(fields[name]) for name in ("input", "output", "failure")}
        return cls(**{**fields, **paths})

    def to_json(self) -> bytes:
        """The invocation in one line."""
        return orjson.dumps(asdict(self), default=str)


class AsyncInvocations:
    """The journal of a data folder, and this process's thread that works it off.

    Args:
        folder: the data folder; inputs must lie in it.
        invoke: answers a body of a content type for an accept header.
        max_input_bytes: largest input.
    """

    def __init__(self, folder: Path, invoke: Invoke, *, max_input_bytes: int) -> None:
        self._root = folder.resolve()
        self._invoke = invoke
        self._max_input_bytes = max_input_bytes
        self._jobs, self._inputs, self._outputs, self._failures = (
            self._root / "async" / name for name in ("jobs", "input", "output", "failure")
        )
        for each in (self._jobs, self._inputs, self._outputs, self._failures):
            each.mkdir(parents=True, exist_ok=True)
        self._begun: list[Future[Invocation]] = []
        self._submitted = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="async", daemon=True)

    def start(self) -> None:
        """Begins to work off the journal."""
        self._thread.start()

    def stop(self) -> None:
        """Returns once the job at hand has ended; the others stay in the journal."""
        self._stopped.set()
        self._submitted.set()
        self._thread.join()

    def submit(
        self,
        *,
        input_location: str = "",
        body: bytes = b"",
        content_type: str = "",
        accept: str = "",
        inference_id: str = "",
        ttl_s: float = 21_600,
        timeout_s: float = 900,
        request_id: str = "",
    ) -> AsyncInvocation:
        """Takes an invocation over; once this returns, a restart does not lose it.

        Args:
            input_location: ``file://`` address of its body; ``body`` is read without one.
            body: the body itself.
            content_type: of the body; empty for JSON.
            accept: types the answer may have; empty for the default one.
            inference_id: the caller's name for it; made up if empty.
            ttl_s: seconds it may wait.
            timeout_s: seconds it may take.
            request_id: of the request that brought it.

        Raises:
            InvalidInput: the location is none of a file in the data folder.
            TooLarge: the file is larger than an input may be.
        """
        name = uuid.uuid4().hex
        if input_location:
            source = self._locate(input_location)
        else:
            source = self._inputs / name
            _write_whole(source, body)
        invocation = AsyncInvocation(
            inference_id=inference_id or name,
            input=source,
            output=self._outputs / f"{name}.out",
            failure=self._failures / f"{name}-error.out",
            content_type=content_type,
            accept=accept,
            expires=time.time() + ttl_s,
            timeout_s=timeout_s,
            request_id=request_id,
        )
        # Names in the order in which they came.
        _write_whole(self._jobs / f"{time.time_ns():020}-{name}.json", invocation.to_json())
        self._submitted.set()
        return invocation

    def _locate(self, location: str) -> Path:
        """The file at a ``file://`` address; links are followed first, and must not lead out."""
        address = urlsplit(location)
        if address.scheme != "file" or address.netloc not in {"", "localhost"}:
            raise self._bad_location("is no file:// address")
        try:
            path = Path(unquote(address.path)).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            raise self._bad_location("names no file that is there") from None
        if not path.is_relative_to(self._root) or path.is_relative_to(self._jobs):
            raise self._bad_location("leads out of the folder for such files")
        if not path.is_file():
            raise self._bad_location("names no file")
        if path.stat().st_size > self._max_input_bytes:
            raise TooLarge(
                f"The input is larger than the {self._max_input_bytes:,} bytes that one may have: "
                "send it in parts.",
                item="InputLocation",
            )
        return path

    def _bad_location(self, fault: str) -> InvalidInput:
        return InvalidInput(
            f"InputLocation {fault}: put the input below the service's data folder and send its "
            "address, file:// and the absolute path.",
            item="InputLocation",
        )

    def _run(self) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="async-invoke") as pool:
            while not self._stopped.is_set():
                self._submitted.clear()
                for path in sorted(self._jobs.glob("*.json")):
                    if self._stopped.is_set():
                        return
                    self._try(path, pool)
                self._submitted.wait(_POLL_S)

    def _try(self, path: Path, pool: ThreadPoolExecutor) -> None:
        try:
            with _claimed(path) as job:
                if job is not None:
                    self._work(job, pool)
        except Exception:
            log.exception("asynchronous invocation left for later")

    def _work(self, job: "_Job", pool: ThreadPoolExecutor) -> None:
        invocation = job.invocation
        if not (invocation.output.exists() or invocation.failure.exists()):
            began = time.perf_counter()
            try:
                _write_whole(invocation.output, self._answer(job, pool))
                outcome = "complete"
            except (ModelUnavailable, Overloaded):
                job.forget_attempt()
                return
            except Exception as error:
                outcome = self._fail(invocation, error)
            log.info(
                "asynchronous invocation",
                extra={
                    "inference_id": invocation.inference_id,
                    "request_id": invocation.request_id,
                    "outcome": outcome,
                    "ms": round(1000 * (time.perf_counter() - began), 1),
                },
            )
        if invocation.input.parent == self._inputs:
            invocation.input.unlink(missing_ok=True)
        job.end()

    def _answer(self, job: "_Job", pool: ThreadPoolExecutor) -> bytes:
        invocation = job.invocation
        if job.attempts > _MAX_ATTEMPTS:
            raise TooLarge(
                f"The service ended {_MAX_ATTEMPTS} times while it answered this: send it in parts."
            )
        # One that took too long cannot be stopped.
        wait(self._begun)
        if time.time() > invocation.expires:
            raise DeadlineExceeded("It waited longer than RequestTTLSeconds: send it again.")
        # Looked up again: the file may have become a link since.
        body = self._locate(invocation.input.as_uri()).read_bytes()
        future = pool.submit(self._invoke, body, invocation.content_type, invocation.accept)
        self._begun = [future]
        try:
            answer = future.result(invocation.timeout_s)
        except TimeoutError:
            raise DeadlineExceeded(
                "The model took longer than InvocationTimeoutSeconds: allow more, or send less."
            ) from None
        assert isinstance(answer.body, bytes)
        return answer.body

    def _fail(self, invocation: AsyncInvocation, error: Exception) -> str:
        if not isinstance(error, SsangError):
            log.error("asynchronous invocation failed", exc_info=error)
        problem = problem_of(ModelError(problem_of(error, "sagemaker")), "runtime")
        body = runtime_error_body(problem, invocation.request_id)
        _write_whole(invocation.failure, encode_json(body))
        return "failed"


class _Job:
    """A job whose lock this process holds."""

    def __init__(self, path: Path, file: int) -> None:
        content = path.read_bytes()
        line = content.rstrip(_ATTEMPT)
        self.invocation = AsyncInvocation.from_json(line)
        self.attempts = len(content) - len(line) + 1
        self._path = path
        self._file = file
        os.pwrite(file, _ATTEMPT, len(content))
        os.fsync(file)
        self._size_before = len(content)

    def forget_attempt(self) -> None:
        """This attempt did not reach the model."""
        os.ftruncate(self._file, self._size_before)

    def end(self) -> None:
        """Takes the job out of the journal."""
        self._path.unlink()


@contextmanager
def _claimed(path: Path) -> Iterator[_Job | None]:
    """The job, unless another worker holds it or has done it since it was listed."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        yield _Job(path, file) if _lock(file) else None
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0


def _write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is there as a whole or not at all, even if the machine stops."""
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def register_async_invocations(app: Flask, service: Service) -> None:
    """Works off the journal of the data folder, if there is one, from now on."""
    settings = service.settings
    if not settings.data_dir:
        return
    invocations = AsyncInvocations(
        Path(settings.data_dir),
        lambda body, content_type, accept: invoke(service, body, content_type, accept),
        max_input_bytes=settings.max_body_bytes,
    )
    app.extensions[_KEY] = invocations
    invocations.start()


def current_async_invocations() -> AsyncInvocations:
    """The asynchronous invocations of the current application.

    Raises:
        InvalidInput: they are off.
    """
    invocations: AsyncInvocations | None = current_app.extensions.get(_KEY)
    if invocations is None:
        raise InvalidInput(_OFF)
    return invocations
