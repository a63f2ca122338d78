"""The servers: how each is started, asked and ended."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from benchmarks import process
from benchmarks.environment import HERE, python_of

ROOT = HERE.parent
OUR_BIN = ROOT / ".venv" / "bin"

_START_S = 300
_GRACE_S = 20
_LOG_LINES = 3

Vectors = list[list[float]]


class CannotStart(Exception):
    """A server did not come up; the message is the end of its log."""


@dataclass(frozen=True)
class Peer:
    """A server program.

    Attributes:
        name: as on the command line and in the report; of its environment, unless it is ours.
        title: what it is, for the report.
        command: arguments and environment from its interpreter, the model's folder and a port.
        path: where texts are posted.
        body: a request with texts, as JSON.
        vectors: the vectors in an answer.
        client_batch: most texts it takes in one request, if it bounds them.
    """

    name: str
    title: str
    command: Callable[[Path, Path, int], tuple[list[str], dict[str, str]]]
    path: str
    body: Callable[[list[str]], bytes]
    vectors: Callable[[Any], Vectors]
    client_batch: int | None = None

    def python(self) -> Path:
        """Its interpreter; its environment is made if need be."""
        return OUR_BIN / "python" if self.name == "ours" else python_of(self.name)


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        session: id of the session its processes are in.
        start_s: seconds from its start to its first answer.
        sample: its vectors of the texts it was first asked.
    """

    peer: Peer
    port: int
    session: int
    start_s: float
    sample: Vectors


def _ours(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command = [str(python.with_name("ssang")), "serve", "--model", str(model), "--port", str(port)]
    return command, {}


def _plain(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command = [str(python), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", PLAIN_THREADS]
    command += ["--timeout", "300", "--chdir", str(HERE / "peers"), "plain:app"]
    return command, {"MODEL": str(model)}


def _infinity(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command = [str(python.with_name("infinity_emb")), "v2", "--model-id", str(model)]
    command += ["--served-model-name", "model", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--engine", "torch", "--device", "cpu", "--dtype", "float32"]
    # Asks for an older transformers than the rest of it runs on.
    command += ["--no-bettertransformer"]
    # The warm-up here is the same for all; its own takes minutes with the larger model.
    command += ["--no-model-warmup"]
    return command, {"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}


def _litserve(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    return [str(python), str(HERE / "peers" / "lit_server.py"), str(model), str(port)], {}


def _texts_body(texts: list[str]) -> bytes:
    return _json({"texts": texts})


def _openai_body(texts: list[str]) -> bytes:
    return _json({"model": "model", "input": texts})


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _embeddings(answer: Any) -> Vectors:
    vectors: Vectors = answer["embeddings"]
    return vectors


def _openai_embeddings(answer: Any) -> Vectors:
    return [item["embedding"] for item in answer["data"]]


# Of 4, 8, 16 and 64 threads, 8 gave the most requests a second at 16 and 64 clients.
PLAIN_THREADS = "8"

PEERS = {
    peer.name: peer
    for peer in (
        Peer("ours", "ssang serve", _ours, "/api/embed", _texts_body, _embeddings),
        Peer(
            "plain",
            "Flask and sentence-transformers under gunicorn",
            _plain,
            "/embed",
            _texts_body,
            _embeddings,
        ),
        Peer(
            "infinity",
            "infinity-emb, engine torch",
            _infinity,
            "/embeddings",
            _openai_body,
            _openai_embeddings,
            client_batch=2048,
        ),
        Peer(
            "litserve",
            "LitServe and sentence-transformers",
            _litserve,
            "/embed",
            _texts_body,
            _embeddings,
        ),
    )
}


@contextmanager
def running(peer: Peer, model: Path, sample: list[str], log: Path) -> Iterator[Running]:
    """The server on that model, ready; ended with all its processes at the end, however it comes.

    Args:
        peer: the program.
        model: folder of the model.
        sample: texts of the first request, which is repeated until it is answered.
        log: file for what the server says.

    Raises:
        CannotInstall: its environment cannot be made.
        CannotStart: it ended, or did not answer in time.
    """
    python = peer.python()
    port = _free_port()
    command, environment = peer.command(python, model, port)
    with log.open("wb") as output:
        started = time.monotonic()
        server = subprocess.Popen(  # noqa: S603
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            # Away from a file .env that ssang would read.
            cwd=log.parent,
            env=_environment() | environment,
            # So its processes can be told from others, and Ctrl+C reaches this program alone.
            start_new_session=True,
        )
    try:
        vectors = _wait_until_answered(peer, server, port, sample, log)
        yield Running(peer, port, server.pid, time.monotonic() - started, vectors)
    finally:
        # A second Ctrl+C must not leave a server behind.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.end_session(server.pid, grace_s=_GRACE_S)
        server.wait()
        signal.signal(signal.SIGINT, handler)


def _environment() -> dict[str, str]:
    """This program's, without what would change a server's defaults, and off the network."""
    given = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SSANG_", "INFINITY_", "GUNICORN_"))
        and name not in {"PORT", "WEB_CONCURRENCY", "PYTHONPATH", "VIRTUAL_ENV"}
    }
    return given | {"HF_HUB_OFFLINE": "1"}


def _wait_until_answered(
    peer: Peer, server: subprocess.Popen[bytes], port: int, sample: list[str], log: Path
) -> Vectors:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CannotStart(f"it ended with status {server.returncode}: {_end_of(log)}")
        try:
            request = Request(
                f"http://127.0.0.1:{port}{peer.path}",
                peer.body(sample),
                {"Content-Type": "application/json"},
            )
            with urlopen(request, timeout=60) as reply:  # noqa: S310
                return peer.vectors(json.load(reply))
        except HTTPError as error:
            # Anything but "not yet" is an answer to the request itself.
            if error.code not in {404, 502, 503}:
                raise CannotStart(f"it answers {error.code}: {_end_of(log)}") from error
        except (URLError, OSError):
            pass
        time.sleep(0.2)
    raise CannotStart(f"it did not answer within {_START_S} s: {_end_of(log)}")


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-_LOG_LINES:])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
