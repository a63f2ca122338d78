"""The report of a run as Markdown and as JSON."""

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.result import BASE, Bar, Result, Row, bars

_COLUMNS: list[tuple[str, Callable[[Row], float], int]] = [
    ("requests/s", lambda row: row.requests_per_s, 1),
    ("texts/s", lambda row: row.texts_per_s, 1),
    ("p50 ms", lambda row: row.p50_ms, 1),
    ("p99 ms", lambda row: row.p99_ms, 1),
    ("CPU ms/text", lambda row: row.server_cpu_ms, 2),
    ("client CPU ms/text", lambda row: row.client_cpu_ms, 3),
    ("peak RSS MiB", lambda row: row.peak_rss_mib, 0),
]


def write_report(result: Result, folder: Path) -> Path:
    """Writes report.md and report.json; returns the former."""
    markdown = folder / "report.md"
    markdown.write_text(as_markdown(result), encoding="utf-8")
    (folder / "report.json").write_text(as_json(result), encoding="utf-8")
    return markdown


def as_json(result: Result) -> str:
    """Every row of every round; what was not measured is null."""
    value = {
        "about": result.about,
        "notes": result.notes,
        "bulk_texts": result.bulk_texts,
        "rows": [_nulled(asdict(row)) for row in result.rows],
        "bare_forward": [asdict(one) for one in result.bare],
        "start_s": [
            {"model": model, "server": server, "seconds": seconds}
            for (model, server), seconds in result.start_s.items()
        ],
        "bars": [
            {"model": model, **_nulled(asdict(bar)), "passed": bar.passed}
            for model in result.models
            for bar in bars(result, model)
        ],
    }
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(result: Result) -> str:
    """A table a model, then the bars."""
    lines = ["# Benchmark", ""]
    lines += [f"- {name}: {value}" for name, value in result.about.items()]
    lines += [
        "- every number is the median of the rounds; *ratio* is texts/s against the server "
        f"`{BASE}`, round by round (median, least to greatest)",
        *(f"- {note}" for note in result.notes),
        "",
    ]
    for model in result.models:
        lines += [f"## {model}", "", *_forward_line(result, model), *_table(result, model), ""]
        lines += [bar_line(bar) for bar in bars(result, model)] + [""]
    return "\n".join(lines)


def bar_line(bar: Bar) -> str:
    """A promise, what was found, and pass or fail.

    >>> bar_line(Bar("requests/s against another", 2.0, True, 2.25))
    '- **pass** requests/s against another: 2.25 (at least 2.0)'
    """
    verdict = {True: "pass", False: "FAIL", None: "not measured"}[bar.passed]
    wanted = f"{'at least' if bar.at_least else 'at most'} {bar.limit}"
    return f"- **{verdict}** {bar.promise}: {_number(bar.found, 2)} ({wanted})"


def _forward_line(result: Result, model: str) -> list[str]:
    found = [one for one in result.bare if one.model == model]
    if not found:
        return []
    medians = ", ".join(_number(one.median_ms, 2) for one in found)
    starts = "; ".join(
        f"{server} {_number(min(seconds), 1)}"
        for (of, server), seconds in result.start_s.items()
        if of == model
    )
    return [
        f"Bare forward pass of one text, ms a round: {medians} ({found[0].threads} threads). "
        f"Seconds to the first answer, least: {starts}.",
        "",
    ]


def _table(result: Result, model: str) -> list[str]:
    heads = ["load", "server", *(name for name, _, _ in _COLUMNS), "ratio", "errors"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 3) + "---|"]
    for load in result.loads:
        title = f"{result.bulk_texts[model]:,} texts once" if load == "bulk" else load
        for server in result.servers:
            if result.rows_of(model, load, server):
                cells = [title, server, *_cells(result, model, load, server)]
                lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cells(result: Result, model: str, load: str, server: str) -> list[str]:
    numbers = [
        _number(result.median(model, load, server, of), digits) for _, of, digits in _COLUMNS
    ]
    errors = result.errors(model, load, server)
    named = ", ".join(f"{count} x {name}" for name, count in sorted(errors.items())) or "0"
    if not any(row.requests for row in result.rows_of(model, load, server)):
        named = f"refused: {named}"
    return [*numbers, _ratio(result.ratios(model, load, server)), named]


def _ratio(ratios: list[float]) -> str:
    if not ratios:
        return "-"
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _nulled(row: dict[str, object]) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in row.items()
    }
