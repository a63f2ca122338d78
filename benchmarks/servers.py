"""The servers: how each is started and asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import onnx_model
from benchmarks.environment import HERE, python_of
from benchmarks.likeness import NEAR, SAME, Likeness, Vectors

ROOT = HERE.parent
OUR_BIN = ROOT / ".venv" / "bin"


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
        bound: how near its vectors must be to the bare model's.
        ours: whether it is this service, from its own environment; it says its precision itself,
            the peers compute in fp32.
        prepare: what its interpreter makes of a model's folder before it can be served, and where.
    """

    name: str
    title: str
    command: Callable[[Path, Path, int], tuple[list[str], dict[str, str]]]
    path: str
    body: Callable[[list[str]], bytes]
    vectors: Callable[[Any], Vectors]
    client_batch: int | None = None
    bound: Likeness = SAME
    ours: bool = False
    prepare: Callable[[Path, Path], Path] = lambda _python, model: model

    def python(self) -> Path:
        """Its interpreter; its environment is made if need be."""
        return OUR_BIN / "python" if self.ours else python_of(self.name)


def _ours(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command = [str(python.with_name("ssang")), "serve", "--model", str(model), "--port", str(port)]
    return command, {}


def _ours_fp32(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command, environment = _ours(python, model, port)
    return [*command, "--precision", "fp32"], environment


def _plain(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command = [str(python), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", PLAIN_THREADS]
    command += ["--timeout", "300", "--chdir", str(HERE / "peers"), "plain:app"]
    return command, {"MODEL": str(model)}


def _infinity(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command, environment = _infinity_with("torch", python, model, port)
    # Asks for an older transformers than the rest of it runs on.
    return [*command, "--dtype", "float32", "--no-bettertransformer"], environment


def _infinity_onnx(python: Path, model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    command, environment = _infinity_with("optimum", python, model, port)
    # This engine does not read the model's own, and would take the first token's vector.
    return [*command, "--pooling-method", "mean"], environment


def _infinity_with(
    engine: str, python: Path, model: Path, port: int
) -> tuple[list[str], dict[str, str]]:
    command = [str(python.with_name("infinity_emb")), "v2", "--model-id", str(model)]
    command += ["--served-model-name", "model", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--engine", engine, "--device", "cpu"]
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

# Most texts of one request to infinity.
_INFINITY_BATCH = 2048

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "ours",
            "ssang serve",
            _ours,
            "/api/embed",
            _texts_body,
            _embeddings,
            bound=NEAR,
            ours=True,
        ),
        Peer(
            "ours-fp32",
            "ssang serve --precision fp32",
            _ours_fp32,
            "/api/embed",
            _texts_body,
            _embeddings,
            ours=True,
        ),
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
            client_batch=_INFINITY_BATCH,
        ),
        Peer(
            "infinity-onnx",
            "infinity-emb, engine optimum (ONNX Runtime)",
            _infinity_onnx,
            "/embeddings",
            _openai_body,
            _openai_embeddings,
            client_batch=_INFINITY_BATCH,
            prepare=onnx_model.prepare,
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
