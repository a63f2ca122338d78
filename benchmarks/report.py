"""The report of a run as Markdown and as JSON."""

import json
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.bar import Bar, bars
from benchmarks.offline import TOOLS, Encoded
from benchmarks.result import BASE, Result, Row, median

_COLUMNS: list[tuple[str, Callable[[Row], float], int]] = [
    ("requests/s", lambda row: row.requests_per_s, 1),
    ("texts/s", lambda row: row.texts_per_s, 1),
    ("p50 ms", lambda row: row.p50_ms, 1),
    ("p99 ms", lambda row: row.p99_ms, 1),
    ("CPU ms/text", lambda row: row.server_cpu_ms, 2),
    ("client CPU ms/text", lambda row: row.client_cpu_ms, 3),
    ("peak RSS MiB", lambda row: row.peak_rss_mib, 0),
]

_ENCODED_COLUMNS: list[tuple[str, Callable[[Encoded], float], int]] = [
    ("texts", lambda one: one.texts, 0),
    ("start-up s", lambda one: one.start_up.wall_s, 1),
    ("start-up CPU s", lambda one: one.start_up.cpu_s, 1),
    ("all s", lambda one: one.whole.wall_s, 1),
    ("all CPU s", lambda one: one.whole.cpu_s, 1),
    ("texts/s without start-up", lambda one: one.texts_per_s, 1),
    ("CPU ms/text without start-up", lambda one: one.cpu_ms, 2),
    ("peak RSS MiB", lambda one: one.whole.peak_rss_mib, 0),
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
        "likeness": [
            {"model": model, "server": server, "cosines": [one._asdict() for one in found]}
            for (model, server), found in result.likeness.items()
        ],
        "encoded": [
            {**asdict(one), "texts_per_s": one.texts_per_s, "cpu_ms": one.cpu_ms}
            for one in result.encoded
        ],
        "bars": [
            {
                "model": model,
                **_nulled(asdict(bar)),
                "beside": _nulled(bar.beside),
                "passed": bar.passed,
            }
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
        lines += [f"## {model}", "", *_forward_line(result, model)]
        lines += _likeness_line(result, model)
        if any(row.model == model for row in result.rows):
            lines += [*_table(result, model), ""]
        if any(one.model == model for one in result.encoded):
            lines += [*_encoded_table(result, model), ""]
        lines += [bar_line(bar) for bar in bars(result, model)] + [""]
    return "\n".join(lines)


def bar_line(bar: Bar) -> str:
    """A promise, what was found, and pass or fail.

    >>> bar_line(Bar("requests/s against one", 2.0, True, 2.25, {"against another": 1.5}))
    '- **pass** requests/s against one: 2.25 (at least 2.0); against another 1.50'
    """
    verdict = {True: "pass", False: "FAIL", None: "not measured"}[bar.passed]
    wanted = f"{'at least' if bar.at_least else 'at most'} {bar.limit}"
    beside = "".join(f"; {name} {_number(value, 2)}" for name, value in bar.beside.items())
    return f"- **{verdict}** {bar.promise}: {_number(bar.found, 2)} ({wanted}){beside}"


def _forward_line(result: Result, model: str) -> list[str]:
    found = [one for one in result.bare if one.model == model]
    if not found:
        return []
    medians = ", ".join(_number(one.median_ms, 2) for one in found)
    starts = "; ".join(
        f"{server} {_number(seconds[0], 1)}, {_number(min(seconds), 1)}"
        for (of, server), seconds in result.start_s.items()
        if of == model
    )
    return [
        f"Bare forward pass of one text, ms a round: {medians} ({found[0].threads} threads). "
        f"Seconds to the first answer, in the first round and least: {starts}.",
        "",
    ]


def _likeness_line(result: Result, model: str) -> list[str]:
    parts = [
        " ".join(
            [server]
            + ([f"({result.precision[of, server]})"] if (of, server) in result.precision else [])
            + [f"{min(one.mean for one in found):.5f}, {min(one.least for one in found):.5f}"]
        )
        for (of, server), found in result.likeness.items()
        if of == model
    ]
    if not parts:
        return []
    return [f"Cosines to the vectors of plain fp32, mean and least: {'; '.join(parts)}.", ""]


def _encoded_table(result: Result, model: str) -> list[str]:
    """A file of sentences to a file of vectors, with the start-up apart."""
    heads = ["command", *(name for name, _, _ in _ENCODED_COLUMNS), "ratio"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, tool in TOOLS.items():
        if not (found := result.encoded_by(model, name)):
            continue
        cells = [_number(median([of(one) for one in found]), n) for _, of, n in _ENCODED_COLUMNS]
        ratio = _ratio(result.encoded_ratios(model, name, lambda one: one.texts_per_s))
        lines.append("| " + " | ".join([tool.title, *cells, ratio]) + " |")
    return lines


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


def _nulled(row: Mapping[str, object]) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in row.items()
    }
