"""``make bench-check``: whether a text costs more CPU than it did when that was written down.

What a text costs is told as a ratio to a fixed computation in the same second, so that a slower
clock, or a neighbour who shares the caches, slows down both. Each figure is the median of many such
ratios; where one is too high, all are taken again, and the least counts. They are compared with
those in ``bench-check.json``, which were taken on one processor and in one precision: on another it
says so, and compares nothing.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import http_path, texts
from benchmarks.environment import HERE
from benchmarks.machine import processor
from inference.encoders import load_encoder
from inference.encoders.base import Encoder
from inference.model import open_model

WRITTEN = HERE / "bench-check.json"

ALLOWED = 0.15
"""A figure may be so much above what was written down."""

BATCH, SINGLE, TOKENISE, REQUEST = "encode, 32 texts", "encode, 1 text", "tokenise", "request"

CASES = (BATCH, SINGLE, TOKENISE, REQUEST)

_BATCH = 32

_ROUNDS = 40

# Times that all is measured again before a regression is believed; the least counts.
_AGAIN = 2

# What a round holds of the short ones, so that each takes a few tens of milliseconds.
_SINGLES = 8
_TOKENISED_BATCHES = 32

_LEFT, _RIGHT = (
    np.random.default_rng(0).random((rows, 384), dtype=np.float32) for rows in (448, 256)
)

# The CPU time of other processes is told in hundredths of a second, so a round is many requests.
_HTTP_ROUNDS = 6
_HTTP_REQUESTS = 1000


@dataclass(frozen=True)
class Figures:
    """What was measured, and under which conditions it can be compared.

    Attributes:
        processor: its name, family and model.
        precision: what the encoder computed in.
        ratios: CPU time of a text against the reference's, by case.
    """

    processor: str
    precision: str
    ratios: dict[str, float]

    @classmethod
    def read(cls, file: Path) -> "Figures":
        return cls(**json.loads(file.read_text(encoding="utf-8")))

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def compares_with(self, other: "Figures") -> bool:
        return (self.processor, self.precision) == (other.processor, other.precision)

    def least(self, other: "Figures") -> "Figures":
        """The lesser of both in every case."""
        ratios = {case: min(ratio, other.ratios[case]) for case, ratio in self.ratios.items()}
        return replace(self, ratios=ratios)

    def __str__(self) -> str:
        return f"{self.precision} on {self.processor}"


@dataclass(frozen=True)
class Computation:
    """What is repeated, and of how many texts."""

    run: Callable[[], object]
    texts: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and compares or writes."""
    parser = argparse.ArgumentParser(prog="make bench-check", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures down")
    parser.add_argument("--figures", type=Path, default=WRITTEN, help="the file with them")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    given = parser.parse_args(arguments)
    if given.write:
        found = measure(given.rounds)
        found.write(given.figures)
        print(f"{found}: {given.figures} holds the figures now.")
        return
    written = Figures.read(given.figures)
    found = measure(given.rounds)
    for _ in range(_AGAIN):
        if regressions(found, written):
            found = found.least(measure(given.rounds))
    print(report(found, written))
    if regressions(found, written):
        sys.exit(1)


def report(found: Figures, written: Figures) -> str:
    """Each figure beside what was written, or why they cannot be compared."""
    if not found.compares_with(written):
        return (
            f"Nothing was compared: the figures are those of {written}, and this is {found}. "
            "`make bench-check FLAGS=--write` writes its own down."
        )
    worse = regressions(found, written)
    lines = [f"CPU time of a text against the reference's, {found}; at most {ALLOWED:+.0%}:"]
    for case, ratio in found.ratios.items():
        if case in written.ratios:
            change = ratio / written.ratios[case] - 1
            beside = f"{written.ratios[case]:10.5f}{change:+8.1%}"
        else:
            beside = " not written down"
        lines.append(f"  {case:20}{ratio:10.5f}{beside}{'  TOO MUCH' if case in worse else ''}")
    return "\n".join(lines)


def regressions(found: Figures, written: Figures) -> list[str]:
    """The cases that cost more than is allowed; none where figures cannot be compared."""
    if not found.compares_with(written):
        return []
    return [
        case
        for case, ratio in found.ratios.items()
        if case in written.ratios and ratio > (1 + ALLOWED) * written.ratios[case]
    ]


def measure(rounds: int) -> Figures:
    """All figures of this machine, one thread a computation."""
    encoder = load_encoder(open_model("ko-mini"), precision="auto", threads=1)
    ratios = compare_costs(_computations(encoder), rounds) | {REQUEST: _request()}
    return Figures(processor(), encoder.precision, ratios)


def _computations(encoder: Encoder) -> dict[str, Computation]:
    """What is repeated in this process, by the name of its case."""
    sentences = [texts.sentence(number) for number in range(_BATCH)]
    ids = encoder.tokenize(sentences, "document").ids
    return {
        BATCH: Computation(lambda: encoder.encode(ids), _BATCH),
        SINGLE: Computation(lambda: [encoder.encode([one]) for one in ids[:_SINGLES]], _SINGLES),
        TOKENISE: Computation(
            lambda: [encoder.tokenize(sentences, "document") for _ in range(_TOKENISED_BATCHES)],
            _BATCH * _TOKENISED_BATCHES,
        ),
    }


def compare_costs(computations: dict[str, Computation], rounds: int) -> dict[str, float]:
    """The median of each one's ratios, for a text, to the reference beside it in every round."""
    for computation in computations.values():
        computation.run()
    ratios: dict[str, list[float]] = {case: [] for case in computations}
    for _ in range(rounds):
        for case, computation in computations.items():
            ratio = _cpu_s(computation.run) / _cpu_s(_reference) / computation.texts
            ratios[case].append(ratio)
    return {case: round(statistics.median(found), 5) for case, found in ratios.items()}


def _reference() -> None:
    """Forty-four million multiplications and additions in fp32, in one thread.

    NumPy's own loops, not its BLAS: they keep the same vector units busy as an encoder does, while
    no library chooses threads, kernels or a layout for them. Of this, a loop in Python and a
    product by BLAS, this varied the least, and the cases' ratios to it too.
    """
    np.einsum("ij,kj->ik", _LEFT, _RIGHT)


def _cpu_s(run: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process meanwhile."""
    began = time.process_time()
    run()
    return time.process_time() - began


def _request() -> float:
    """A request's CPU time around the model, against that of a bare Flask application."""
    [route] = [route for route in http_path.ROUTES if route.name == "/api/embed"]
    with (
        tempfile.TemporaryDirectory() as folder,
        http_path.running(http_path.OURS, Path(folder) / "ours.log") as ours,
        http_path.running(http_path.BARE, Path(folder) / "bare.log") as bare,
    ):
        cost = http_path.measure(
            ours, bare, route, texts=1, requests=_HTTP_REQUESTS, rounds=_HTTP_ROUNDS
        )
    return round(cost.ratio, 5)


if __name__ == "__main__":
    main()
