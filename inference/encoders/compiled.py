"""An encoder compiled for ONNX Runtime: a folder beside the model's files, or in the user's cache.

It holds ``model.onnx`` and its ``weights.bin``, which processes map and so share; the tokenizer;
``reference.npy``, float32 vectors of ``sentences.txt`` to compare with; and ``compiled.json``,
which names the files that all of it was made from. Nothing in it needs torch or transformers.
"""

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path

from inference.checkpoint import COMPILED, Checkpoint
from inference.errors import first_line
from inference.similarity import Vectors

log = logging.getLogger(__name__)

# What the graph takes: token ids (n, t), and 1 for each token that is no padding; int64.
INPUT_IDS, ATTENTION_MASK = "input_ids", "attention_mask"

GRAPH, WEIGHTS, TOKENIZER = "model.onnx", "weights.bin", "tokenizer.json"

_REFERENCE, _FACTS = "reference.npy", "compiled.json"

# Raised whenever what is compiled changes, so that older folders are made anew.
_FORMAT = 1


class NotCompiled(Exception):
    """The encoder cannot be compiled; says why."""


@dataclass(frozen=True)
class Compiled:
    """A compiled encoder's folder."""

    path: Path

    @property
    def graph(self) -> Path:
        return self.path / GRAPH

    @property
    def tokenizer(self) -> Path:
        return self.path / TOKENIZER

    def reference(self) -> Vectors:
        """Unit vectors (200, dim) of :func:`sentences`, computed in float32."""
        vectors: Vectors = np.load(self.path / _REFERENCE).astype(np.float32)
        return vectors


@cache
def sentences() -> tuple[str, ...]:
    """Korean sentences of many kinds, 200 of them."""
    file = Path(__file__).with_name("sentences.txt")
    return tuple(file.read_text(encoding="utf-8").splitlines())


def ensure_compiled(checkpoint: Checkpoint) -> Compiled:
    """The compiled encoder of a checkpoint; made if need be, by one process for all.

    Raises:
        NotCompiled: it cannot be; where the model is the reason, that is kept in mind.
    """
    shipped = checkpoint.path / COMPILED
    if _facts(shipped).get("hash") == checkpoint.content_hash:
        return Compiled(shipped)
    try:
        folder = cache_folder("compiled") / f"{checkpoint.content_hash}-{_FORMAT}"
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _compile(checkpoint, folder)
    except OSError as error:
        raise NotCompiled(f"the cache cannot be written: {first_line(error)}") from error
    if reason := _facts(folder).get("unsupported"):
        raise NotCompiled(str(reason))
    return Compiled(folder)


def write_facts(folder: Path, checkpoint: Checkpoint, *, unsupported: str = "") -> None:
    """Says what a folder was compiled from, or why it could not be."""
    facts = {"format": _FORMAT, "hash": checkpoint.content_hash, "unsupported": unsupported}
    text = json.dumps({name: value for name, value in facts.items() if value}, indent=2)
    (folder / _FACTS).write_text(text + "\n", encoding="utf-8")


def write_reference(folder: Path, vectors: Vectors) -> None:
    """Keeps the float32 vectors of :func:`sentences`, in half the bytes."""
    np.save(folder / _REFERENCE, vectors.astype(np.float16))


def cache_folder(name: str) -> Path:
    """A folder of that name in the user's cache; made if need be."""
    folder = user_cache_path("ssang") / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _facts(folder: Path) -> dict[str, object]:
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and facts.get("format") == _FORMAT else {}


def _compile(checkpoint: Checkpoint, folder: Path) -> None:
    """Compiles in a process of its own, whose torch takes its memory with it when it ends."""
    log.info("compiling %s for this and later starts", checkpoint.name)
    with TemporaryDirectory(dir=folder.parent) as scratch:
        part = Path(scratch) / "part"
        command = [sys.executable, "-m", "inference.encoders.compile", str(checkpoint.path)]
        done = subprocess.run(  # noqa: S603
            [*command, str(part)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
            raise NotCompiled(last)
        os.replace(part, folder)
