"""What ssang promises of its speed, and whether a run kept it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.result import BASE, OURS, Result, Row, is_ours, median

ALSO_AGAINST = "infinity-onnx"
"""The peer whose ratio stands beside each bar."""

FP32 = "ours-fp32"
"""Ours without the backend that computes in int8, beside each bar too."""

# Times the throughput of BASE, by model.
_SPEED_UP = {"ko-mini": 5.0, "roberta-12x768": 6.0}

LOADS = ("1 client", "16 clients", "32 texts, 2 clients", "bulk")
"""The loads that bars are about; the last is what takes the most memory."""


@dataclass(frozen=True)
class Bar:
    """A promise and what came of it.

    Attributes:
        found: median of the rounds' ratios; NaN if it was not measured.
        beside: other ratios that say more about it, by what they are.
    """

    promise: str
    limit: float
    at_least: bool
    found: float
    beside: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        """None where it was not measured."""
        if math.isnan(self.found):
            return None
        return self.found >= self.limit if self.at_least else self.found <= self.limit


def bars(result: Result, model: str) -> list[Bar]:
    """All promises for a model."""
    speed_up = _SPEED_UP[model]
    return [
        _served(result, model, "16 clients", "requests/s", speed_up),
        _served(result, model, "32 texts, 2 clients", "texts/s", speed_up),
        _latency(result, model),
        _offline(result, model),
        _memory(result, model),
    ]


def _served(result: Result, model: str, load: str, unit: str, limit: float) -> Bar:
    found, beside = _ratios(result, model, load, lambda row: row.texts_per_s)
    return Bar(f"{load}, {unit} against `{BASE}`", limit, True, found, beside)


def _latency(result: Result, model: str) -> Bar:
    found, beside = _ratios(result, model, "1 client", lambda row: row.p50_ms)
    return Bar(f"1 client, median latency against `{BASE}`", 0.35, False, found, beside)


def _ratios(
    result: Result, model: str, load: str, of: Callable[[Row], float]
) -> tuple[float, dict[str, float]]:
    return median(result.ratios(model, load, OURS, of=of)), {
        f"against `{ALSO_AGAINST}`": median(
            result.ratios(model, load, OURS, base=ALSO_AGAINST, of=of)
        ),
        f"`{FP32}` against `{BASE}`": median(result.ratios(model, load, FP32, of=of)),
    }


def _offline(result: Result, model: str) -> Bar:
    def ratio(tool: str, of: Callable[..., float]) -> float:
        return median(result.encoded_ratios(model, tool, of))

    return Bar(
        "`ssang encode`, texts/s without start-up against `SentenceTransformer.encode`",
        2.3,
        True,
        ratio(OURS, lambda one: one.texts_per_s),
        {
            "start-up included": ratio(OURS, lambda one: one.texts_per_s_whole),
            "by CPU time": ratio(OURS, lambda one: 1 / one.cpu_ms),
            f"`{FP32}`": ratio(FP32, lambda one: one.texts_per_s),
        },
    )


def _memory(result: Result, model: str) -> Bar:
    peers = {
        server: result.peak_rss_mib(model, server)
        for server in result.servers
        if not is_ours(server) and result.peak_rss_mib(model, server) > 0
    }
    ours, least = result.peak_rss_mib(model, OURS), min(peers.values(), default=math.nan)
    return Bar(
        "peak memory against the least of the peers",
        1.0,
        False,
        ours / least,
        {f"against `{server}`": ours / peak for server, peak in peers.items()},
    )
