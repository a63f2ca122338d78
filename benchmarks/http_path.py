"""What a request costs around the model: CPU of the server, whose encoder only pretends.

``python -m benchmarks.http_path`` starts two servers: ssang as ``ssang serve`` does, but for an
encoder that gives one vector for every text at once, and a bare Flask application under plain
gunicorn, which answers every request with a fixed JSON string. One client asks them in turn, over
connections that are kept alive. For each route it prints the CPU time that the server's processes
took a request, and its ratio to what the bare one took in the same rounds for the same requests and
answers of the same size. With ``--texts 4096`` it is a request of so many texts, and the CPU time
a text.
"""

import argparse
import json
import math
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import numpy as np

from benchmarks import process
from benchmarks.running import environment, free_port
from benchmarks.servers import ROOT
from benchmarks.texts import sentence
from inference.checkpoint import Kind
from inference.encoders.base import Side
from inference.similarity import Vectors, normalize
from inference.tokenizer import Text, TokenizedTexts

if TYPE_CHECKING:
    from flask import Flask

_START_S = 60
_GRACE_S = 20


# What the servers run


class StandIn:
    """An encoder that costs next to nothing: a text is ten tokens, and all have one vector."""

    dim = 384
    max_tokens = 512
    min_tokens = 3
    pad_id = 0
    device = "cpu"
    precision = "fp32"
    agreement = None
    batch_tokens = 2**14

    def __init__(self) -> None:
        self._vector = normalize(np.random.default_rng(0).random((1, self.dim), dtype=np.float32))

    def side(self, kind: Kind) -> Side:
        return Side("document", "", self.max_tokens)

    def vocabulary_size(self, kind: Kind) -> int:
        return 2**15

    def tokenize(self, texts: Sequence[Text], *_: Any) -> TokenizedTexts:
        return TokenizedTexts([[*range(10)] for _ in texts], [10] * len(texts))

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        return np.repeat(self._vector, len(token_ids), axis=0)


def create_stand_in() -> "Flask":
    """The service, with the encoder that pretends."""
    from inference import engine
    from webapp import create_app

    engine.load_encoder = lambda *_, **__: StandIn()  # type: ignore[assignment,attr-defined]
    return create_app()


def create_bare() -> "Flask":
    """A Flask application that answers ``POST /SIZE`` with a JSON string of so many bytes."""
    from flask import Flask, Response, request

    app = Flask(__name__)

    @app.post("/<int:size>")
    def answer(size: int) -> Response:
        request.get_data()
        return Response(b'"' + b"0" * (size - 2) + b'"', mimetype="application/json")

    @app.get("/ready")
    def ready() -> str:
        return "ready"

    return app


_GUNICORN = [sys.executable, "-m", "gunicorn"]
OURS = [*_GUNICORN, "-c", "python:webapp.gunicorn_conf", "benchmarks.http_path:create_stand_in()"]
# As many threads as ours, and kept alive for as long.
BARE = [*_GUNICORN, "-k", "gthread", "--threads", "128", "--keep-alive", "75"]
BARE += ["benchmarks.http_path:create_bare()"]


# What they are asked


@dataclass(frozen=True)
class Route:
    """A route, and how texts are sent to it."""

    name: str
    path: str
    body: Callable[[list[str]], Mapping[str, Any]]
    accept: str = "*/*"


ROUTES = (
    Route("/api/embed", "/api/embed", lambda texts: {"texts": texts}),
    Route("/api/embed base64", "/api/embed", lambda texts: {"texts": texts, "encoding": "base64"}),
    Route("/v1/embeddings", "/v1/embeddings", lambda texts: {"model": "m", "input": texts}),
    Route(
        "/v1/embeddings base64",
        "/v1/embeddings",
        lambda texts: {"model": "m", "input": texts, "encoding_format": "base64"},
    ),
    Route("TEI /embed", "/embed", lambda texts: {"inputs": texts}),
    Route(
        "/api/pairs",
        "/api/pairs",
        lambda texts: {"pairs": [{"query": text, "document": text[::-1]} for text in texts]},
    ),
    Route("/invocations", "/invocations", lambda texts: {"inputs": texts}),
    Route(
        "/invocations npy",
        "/invocations",
        lambda texts: {"inputs": texts},
        accept="application/x-npy",
    ),
)


class Client:
    """One connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))

    def post(self, path: str, body: bytes, accept: str) -> bytes:
        """The body of an answer.

        Raises:
            OSError: the server hung up.
            ValueError: it answered with an error, or will not keep the connection.
        """
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        with closing(HTTPResponse(self._socket, method="POST")) as answer:
            answer.begin()
            content = answer.read()
            if answer.status != 200 or answer.will_close:
                raise ValueError(f"{path}: {answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        self._socket.close()


# What is counted


@dataclass(frozen=True)
class Server:
    """A server that answers; its processes are those of a session."""

    port: int
    session: int


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a request of a route: the service's and the bare application's, by round."""

    route: Route
    ours_ms: list[float]
    bare_ms: list[float]

    @property
    def ratio(self) -> float:
        """Not a number where the bare application took less than can be counted."""
        bare = sum(self.bare_ms)
        return sum(self.ours_ms) / bare if bare else math.nan


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[Server]:
    """A server that is ready; ended at the end."""
    port = free_port()
    with log.open("wb") as output:
        server = subprocess.Popen(  # noqa: S603
            [*command[:-1], "--bind", f"127.0.0.1:{port}", command[-1]],
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,
        )
    try:
        _wait_until_ready(port, server, log)
        yield Server(port, server.pid)
    finally:
        process.end_session(server.pid, grace_s=_GRACE_S)
        server.wait()


def _wait_until_ready(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(log.read_text(encoding="utf-8"))


def measure(
    ours: Server, bare: Server, route: Route, *, texts: int, requests: int, rounds: int
) -> Cost:
    """Asks both servers in turn: so many requests to each in a round, no text of which comes twice.

    Raises:
        OSError, ValueError: as :meth:`Client.post`.
    """
    numbers = count()

    def body() -> bytes:
        given = [sentence(next(numbers)) for _ in range(texts)]
        return json.dumps(route.body(given), ensure_ascii=False).encode()

    with closing(Client(ours.port)) as our_client, closing(Client(bare.port)) as bare_client:
        size = len(our_client.post(route.path, body(), route.accept))

        def cpu_ms(server: Server, client: Client, path: str, requests: int) -> float:
            """CPU milliseconds of the server a request."""
            began = process.cpu_seconds(server.session)
            for _ in range(requests):
                client.post(path, body(), route.accept)
            return 1000 * (process.cpu_seconds(server.session) - began) / requests

        # Threads start and connections open before any of it counts.
        cpu_ms(ours, our_client, route.path, 1 + requests // 10)
        cpu_ms(bare, bare_client, f"/{size}", 1 + requests // 10)
        cost = Cost(route, [], [])
        for _ in range(rounds):
            cost.ours_ms.append(cpu_ms(ours, our_client, route.path, requests))
            cost.bare_ms.append(cpu_ms(bare, bare_client, f"/{size}", requests))
    return cost


def table(costs: Sequence[Cost], texts: int) -> str:
    """The costs in Markdown."""
    unit, scale = ("µs a text", 1000 / texts) if texts > 1 else ("ms a request", 1)
    lines = [f"| route | CPU {unit} | bare Flask | ratio |", "|---|---:|---:|---:|"]
    for cost in costs:
        ours, bare = (
            scale * statistics.median(values_ms) for values_ms in (cost.ours_ms, cost.bare_ms)
        )
        lines.append(f"| {cost.route.name} | {ours:.3f} | {bare:.3f} | {cost.ratio:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every route, or those that are named, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http_path", description=__doc__)
    parser.add_argument("--routes", default="", help="their names, separated by commas")
    parser.add_argument("--texts", type=int, default=1, help="texts a request (default: 1)")
    parser.add_argument("--requests", type=int, default=500, help="a round and server")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    names = [name.strip() for name in chosen.routes.split(",") if name.strip()]
    routes = [route for route in ROUTES if not names or route.name in names]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(OURS, Path(folder) / "ours.log") as ours,
        running(BARE, Path(folder) / "bare.log") as bare,
    ):
        costs = [
            measure(
                ours,
                bare,
                route,
                texts=chosen.texts,
                requests=chosen.requests,
                rounds=chosen.rounds,
            )
            for route in routes
        ]
    print(table(costs, chosen.texts))


if __name__ == "__main__":
    main()
