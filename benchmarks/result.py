"""What a run measured, and what it says: medians over rounds and ratios."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.likeness import Likeness
from benchmarks.load import Load, Measured
from benchmarks.offline import REFERENCE, Encoded

BASE = "infinity"
"""The server that others are compared with."""

OURS = "ours"


@dataclass(frozen=True)
class Row:
    """One load on one server in one round.

    Attributes:
        round: from 0; a ratio compares rows of the same round.
        p50_ms, p99_ms: of answered requests; with few requests p99 is the slowest.
        server_cpu_ms, client_cpu_ms: CPU milliseconds a text, of all the server's processes and of
            the load generator.
        errors: answers of each other kind; a request refused with a 429 is sent again.
    """

    model: str
    server: str
    load: str
    round: int
    requests: int
    requests_per_s: float
    texts_per_s: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    client_cpu_ms: float
    peak_rss_mib: float
    errors: dict[str, int]

    @classmethod
    def of(cls, model: str, server: str, load: Load, round_: int, measured: Measured) -> "Row":
        requests, texts = len(measured.latencies_s), measured.texts
        return cls(
            model=model,
            server=server,
            load=load.name,
            round=round_,
            requests=requests,
            requests_per_s=requests / measured.seconds,
            texts_per_s=texts / measured.seconds,
            p50_ms=1000 * percentile(measured.latencies_s, 50),
            p99_ms=1000 * percentile(measured.latencies_s, 99),
            server_cpu_ms=1000 * measured.server_cpu_s / texts if texts else math.nan,
            client_cpu_ms=1000 * measured.client_cpu_s / texts if texts else math.nan,
            peak_rss_mib=measured.peak_rss_mib,
            errors=dict(measured.errors),
        )


@dataclass(frozen=True)
class Bare:
    """Milliseconds of one text's forward pass alone, in one round."""

    model: str
    round: int
    median_ms: float
    threads: int


@dataclass
class Result:
    """A run.

    Attributes:
        about: the machine, the options and the versions.
        notes: a sentence on each peer that failed, or was asked in another way than the rest.
        bulk_texts: texts of the one large request, a model.
        start_s: seconds from start to first answer: (model, server) to those of each round.
        precision: what a server computed in, by (model, server).
        likeness: how near its vectors were to the bare model's, by (model, server): of each round,
            then those of the files that the tool of that name encoded.
        encoded: files that were encoded by commands.
    """

    about: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    bare: list[Bare] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bulk_texts: dict[str, int] = field(default_factory=dict)
    start_s: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    precision: dict[tuple[str, str], str] = field(default_factory=dict)
    likeness: dict[tuple[str, str], list[Likeness]] = field(default_factory=dict)
    encoded: list[Encoded] = field(default_factory=list)

    @property
    def models(self) -> list[str]:
        found = [row.model for row in self.rows] + [one.model for one in self.encoded]
        return list(dict.fromkeys(found))

    @property
    def servers(self) -> list[str]:
        """Ours and the base first."""
        found = dict.fromkeys(row.server for row in self.rows)
        return sorted(found, key=lambda name: (not is_ours(name), name != BASE, name))

    @property
    def loads(self) -> list[str]:
        return list(dict.fromkeys(row.load for row in self.rows))

    def rows_of(self, model: str, load: str, server: str) -> list[Row]:
        return [
            row for row in self.rows if (row.model, row.load, row.server) == (model, load, server)
        ]

    def median(self, model: str, load: str, server: str, of: Callable[[Row], float]) -> float:
        """Over the rounds; NaN where nothing was answered."""
        return median([of(row) for row in self.rows_of(model, load, server)])

    def errors(self, model: str, load: str, server: str) -> Counter[str]:
        """Of all rounds together."""
        total: Counter[str] = Counter()
        for row in self.rows_of(model, load, server):
            total.update(row.errors)
        return total

    def ratios(
        self,
        model: str,
        load: str,
        server: str,
        base: str = BASE,
        of: Callable[[Row], float] = lambda row: row.texts_per_s,
    ) -> list[float]:
        """A server's number against the base's, for each round that both have."""
        found = {row.round: of(row) for row in self.rows_of(model, load, base)}
        return [
            of(row) / found[row.round]
            for row in self.rows_of(model, load, server)
            if found.get(row.round)
        ]

    def peak_rss_mib(self, model: str, server: str) -> float:
        """The most of all loads, median over the rounds."""
        peaks: dict[int, float] = {}
        for row in self.rows:
            if (row.model, row.server) == (model, server):
                peaks[row.round] = max(peaks.get(row.round, 0.0), row.peak_rss_mib)
        return median(list(peaks.values()))

    def encoded_by(self, model: str, tool: str) -> list[Encoded]:
        return [one for one in self.encoded if (one.model, one.tool) == (model, tool)]

    def encoded_ratios(self, model: str, tool: str, of: Callable[[Encoded], float]) -> list[float]:
        """A tool's number against the reference's, for each round that both have."""
        found = {one.round: of(one) for one in self.encoded_by(model, REFERENCE)}
        return [
            of(one) / found[one.round] for one in self.encoded_by(model, tool) if one.round in found
        ]


def is_ours(server: str) -> bool:
    """Whether it is this service, at any setting."""
    return server == OURS or server.startswith(f"{OURS}-")


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: the least value that so many percent are not above.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50)
    2.0
    """
    if not values:
        return math.nan
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(0, rank - 1)]


def median(values: Sequence[float]) -> float:
    """Of those that were measured; NaN if none was."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan
