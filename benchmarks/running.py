"""A server while it runs: started, ready, asked and ended."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmarks import process
from benchmarks.likeness import Vectors
from benchmarks.servers import Peer

# The first start may export or compile the model.
_START_S = 600
_GRACE_S = 20
_ANSWER_S = 60
_LOG_LINES, _LINE_CHARACTERS = 3, 300


class CannotMeasure(Exception):
    """A server or a command gives nothing to measure; the message says why."""


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        session: id of the session its processes are in.
        start_s: seconds from its start to its first answer.
        log: file with what it says.
    """

    peer: Peer
    port: int
    session: int
    start_s: float
    log: Path

    def embed(self, texts: list[str]) -> Vectors:
        """Its vectors of some texts.

        Raises:
            CannotMeasure: it refuses them, hangs up, or does not answer in time.
        """
        try:
            return _embed(self.peer, self.port, texts)
        except (OSError, HTTPException) as error:
            fault = f"it does not answer {len(texts)} texts ({type(error).__name__}: {error})"
            raise CannotMeasure(f"{fault}: {end_of(self.log)}") from error

    def precision(self) -> str:
        """What it computes in."""
        if not self.peer.ours:
            return "fp32"
        with urlopen(f"http://127.0.0.1:{self.port}/api/info", timeout=_ANSWER_S) as reply:
            precision: str = json.load(reply)["precision"]
            return precision


@contextmanager
def running(peer: Peer, model: Path, first: str, log: Path) -> Iterator[Running]:
    """The server on that model, ready; ended with all its processes at the end, however it comes.

    Args:
        peer: the program.
        model: folder of the model.
        first: text of the first request, which is repeated until it is answered.
        log: file for what the server says.

    Raises:
        CannotInstall: its environment, or what it serves of the model, cannot be made.
        CannotMeasure: it ended, or did not answer in time.
    """
    python = peer.python()
    port = free_port()
    command, added = peer.command(python, peer.prepare(python, model), port)
    with log.open("wb") as output:
        started = time.monotonic()
        server = subprocess.Popen(  # noqa: S603
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            # Away from a file .env that ssang would read.
            cwd=log.parent,
            env=environment() | added,
            # So its processes can be told from others, and Ctrl+C reaches this program alone.
            start_new_session=True,
        )
    try:
        _wait_until_answered(peer, server, port, first, log)
        yield Running(peer, port, server.pid, time.monotonic() - started, log)
    finally:
        # A second Ctrl+C must not leave a server behind.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.end_session(server.pid, grace_s=_GRACE_S)
        server.wait()
        signal.signal(signal.SIGINT, handler)


def environment() -> dict[str, str]:
    """This program's, without what would change others' defaults, and off the network."""
    given = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SSANG_", "INFINITY_", "GUNICORN_"))
        and name not in {"PORT", "WEB_CONCURRENCY", "PYTHONPATH", "VIRTUAL_ENV"}
    }
    return given | {"HF_HUB_OFFLINE": "1"}


def _wait_until_answered(
    peer: Peer, server: subprocess.Popen[bytes], port: int, first: str, log: Path
) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CannotMeasure(f"it ended with status {server.returncode}: {end_of(log)}")
        try:
            _embed(peer, port, [first])
            return
        except HTTPError as error:
            # Anything but "not yet" is an answer to the request itself.
            if error.code not in {404, 502, 503}:
                raise CannotMeasure(f"it answers {error.code}: {end_of(log)}") from error
        except (OSError, HTTPException):
            pass
        time.sleep(0.2)
    raise CannotMeasure(f"it did not answer within {_START_S} s: {end_of(log)}")


def _embed(peer: Peer, port: int, texts: list[str]) -> Vectors:
    request = Request(
        f"http://127.0.0.1:{port}{peer.path}",
        peer.body(texts),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=_ANSWER_S) as reply:  # noqa: S310
        return peer.vectors(json.load(reply))


def end_of(log: Path) -> str:
    """The last lines of what a program said, in one; of a long line its end."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " / ".join(line.strip()[-_LINE_CHARACTERS:] for line in lines[-_LOG_LINES:])


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
