"""What a run measured, and what it says: medians over rounds, ratios, bars."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.load import Load, Measured

BASE = "plain"
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
    """

    about: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    bare: list[Bare] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bulk_texts: dict[str, int] = field(default_factory=dict)
    start_s: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(row.model for row in self.rows))

    @property
    def servers(self) -> list[str]:
        """Ours and the base first."""
        found = dict.fromkeys(row.server for row in self.rows)
        return sorted(found, key=lambda name: (name != OURS, name != BASE))

    @property
    def loads(self) -> list[str]:
        return list(dict.fromkeys(row.load for row in self.rows))

    def rows_of(self, model: str, load: str, server: str) -> list[Row]:
        return [
            row for row in self.rows if (row.model, row.load, row.server) == (model, load, server)
        ]

    def median(self, model: str, load: str, server: str, of: Callable[[Row], float]) -> float:
        """Over the rounds; NaN where nothing was answered."""
        return _median([of(row) for row in self.rows_of(model, load, server)])

    def errors(self, model: str, load: str, server: str) -> Counter[str]:
        """Of all rounds together."""
        total: Counter[str] = Counter()
        for row in self.rows_of(model, load, server):
            total.update(row.errors)
        return total

    def ratios(self, model: str, load: str, server: str) -> list[float]:
        """Texts a second against the base's, for each round that both have."""
        base = {row.round: row.texts_per_s for row in self.rows_of(model, load, BASE)}
        return [
            row.texts_per_s / base[row.round]
            for row in self.rows_of(model, load, server)
            if base.get(row.round)
        ]

    def forward_ratios(self, model: str) -> list[float]:
        """Ours' median latency at one client against a bare forward pass, for each round."""
        bare = {one.round: one.median_ms for one in self.bare if one.model == model}
        rows = self.rows_of(model, "1 client", OURS)
        return [row.p50_ms / bare[row.round] for row in rows if row.round in bare]


@dataclass(frozen=True)
class Bar:
    """A promise and what came of it.

    Attributes:
        found: median of the rounds' ratios; NaN if it was not measured.
    """

    promise: str
    limit: float
    at_least: bool
    found: float

    @property
    def passed(self) -> bool | None:
        """None where it was not measured."""
        if math.isnan(self.found):
            return None
        return self.found >= self.limit if self.at_least else self.found <= self.limit


def bars(result: Result, model: str) -> list[Bar]:
    """What ssang promises of its speed in fp32."""
    return [
        Bar(
            "16 clients, requests/s against the plain service",
            2.0,
            True,
            _median(result.ratios(model, "16 clients", OURS)),
        ),
        Bar(
            "32 texts a request, texts/s against the plain service",
            1.5,
            True,
            _median(result.ratios(model, "32 texts, 2 clients", OURS)),
        ),
        Bar(
            "1 client, median latency against a bare forward pass",
            1.3,
            False,
            _median(result.forward_ratios(model)),
        ),
    ]


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: the least value that so many percent are not above.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50)
    2.0
    """
    if not values:
        return math.nan
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(0, rank - 1)]


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan
