"""A file of sentences to a file of vectors, by commands: no server, one process at a time.

Each command is run on a single sentence before it is run on all of them. What the former takes is
its start-up (interpreter, libraries, model), and what the latter takes beyond that is its work.
"""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import texts
from benchmarks.environment import HERE
from benchmarks.likeness import NEAR, SAME, Likeness
from benchmarks.running import CannotMeasure, end_of, environment
from benchmarks.servers import OUR_BIN, PEERS

# Far from the numbers of the sentences that servers are asked.
_FIRST_TEXT = texts.SENTENCES // 3


@dataclass(frozen=True)
class Tool:
    """A command that encodes a file.

    Attributes:
        name: of the server whose environment it is from.
        title: what it is, for the report.
        command: its arguments from the model's folder, the texts and the vectors.
        bound: how near its vectors must be to those of :data:`REFERENCE`.
    """

    name: str
    title: str
    command: Callable[[Path, Path, Path], list[str]]
    bound: Likeness


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, CPU seconds of all its threads, and most memory of a process."""

    wall_s: float
    cpu_s: float
    peak_rss_mib: float


@dataclass(frozen=True)
class Encoded:
    """A tool in one round: the cost of its start-up, and of all texts with the start-up."""

    model: str
    tool: str
    round: int
    texts: int
    start_up: Cost
    whole: Cost

    @property
    def texts_per_s(self) -> float:
        """Start-up left out."""
        return self.texts / (self.whole.wall_s - self.start_up.wall_s)

    @property
    def texts_per_s_whole(self) -> float:
        """Start-up included."""
        return self.texts / self.whole.wall_s

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a text, start-up left out."""
        return 1000 * (self.whole.cpu_s - self.start_up.cpu_s) / self.texts


def _ours(model: Path, source: Path, target: Path) -> list[str]:
    return [str(OUR_BIN / "ssang"), "encode", str(source), "-o", str(target), "--model", str(model)]


def _ours_fp32(model: Path, source: Path, target: Path) -> list[str]:
    return [*_ours(model, source, target), "--precision", "fp32"]


def _sentence_transformers(model: Path, source: Path, target: Path) -> list[str]:
    python = PEERS["plain"].python()
    return [str(python), str(HERE / "peers" / "encode.py"), str(model), str(source), str(target)]


REFERENCE = "plain"
"""The tool that others are compared with."""

TOOLS = {
    tool.name: tool
    for tool in (
        Tool(REFERENCE, "`SentenceTransformer.encode`", _sentence_transformers, SAME),
        Tool("ours", "`ssang encode`", _ours, NEAR),
        Tool("ours-fp32", "`ssang encode --precision fp32`", _ours_fp32, SAME),
    )
}


def measure(
    tool: Tool, model: Path, count: int, folder: Path
) -> tuple[Cost, Cost, Likeness | None]:
    """Costs of encoding one sentence, and ``count`` others, a sentence a line.

    Args:
        tool: the command; those of a round run in the order of :data:`TOOLS`.
        model: the model's folder.
        count: sentences of the larger file.
        folder: for files and logs.

    Returns:
        Both costs, and the likeness to what the reference wrote, if it ran before.

    Raises:
        CannotMeasure: the command failed, or its vectors are others than the reference's.
    """
    log, target = folder / f"encode-{tool.name}.log", folder / f"{tool.name}.npy"
    start_up = _run(tool, model, _write_texts(folder / "one.txt", -1, 1), target, log)
    whole = _run(tool, model, _write_texts(folder / "all.txt", 0, count), target, log)
    reference = folder / f"{REFERENCE}.npy"
    likeness = None
    if tool.name != REFERENCE and reference.exists():
        likeness = compare_files(target, reference)
        if not likeness.reaches(tool.bound):
            raise CannotMeasure(f"its vectors are others: cosines {likeness} to the reference's")
    return start_up, whole, likeness


def compare_files(own: Path, reference: Path) -> Likeness:
    """The likeness of the vectors in two .npy files of the same texts."""
    cosines = np.einsum("td,td->t", np.load(own), np.load(reference))
    return Likeness(float(cosines.mean()), float(cosines.min()))


def _write_texts(file: Path, first: int, count: int) -> Path:
    numbers = range(_FIRST_TEXT + first, _FIRST_TEXT + first + count)
    file.write_text("".join(f"{texts.sentence(number)}\n" for number in numbers), encoding="utf-8")
    return file


def _run(tool: Tool, model: Path, source: Path, target: Path, log: Path) -> Cost:
    """Runs the command, and counts what it and the processes it waited for took."""
    command = tool.command(model, source.resolve(), target.resolve())
    with log.open("wb") as output:
        began = time.monotonic()
        child = subprocess.Popen(  # noqa: S603
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=log.parent,
            env=environment(),
        )
        # As Popen.wait, which does not tell what the process used.
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise CannotMeasure(f"it ended with status {child.returncode}: {end_of(log)}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
