"""What the benchmark says about numbers, and the texts it sends; nothing here is timed."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from benchmarks import texts
from benchmarks.load import LOADS, Measured
from benchmarks.plot import draw
from benchmarks.report import as_json, as_markdown
from benchmarks.result import Bare, Result, Row, bars, percentile
from inference.resource import locate


def row(server: str, load: str, round_: int, texts_per_s: float, p50_ms: float = 1.0) -> Row:
    return Row(
        model="m",
        server=server,
        load=load,
        round=round_,
        requests=0 if math.isnan(p50_ms) else 10,
        requests_per_s=texts_per_s,
        texts_per_s=texts_per_s,
        p50_ms=p50_ms,
        p99_ms=p50_ms,
        server_cpu_ms=1.0,
        client_cpu_ms=0.1,
        peak_rss_mib=500.0,
        errors={"429": 3} if server == "ours" else {},
    )


def result(*rows: Row) -> Result:
    return Result({"machine": "this"}, rows=list(rows), bulk_texts={"m": 4096})


@pytest.mark.parametrize(
    ("percent", "found"), [(0, 1.0), (1, 1.0), (50, 5.0), (90, 9.0), (99, 10.0), (100, 10.0)]
)
def test_percentile_is_the_nearest_rank(percent: float, found: float) -> None:
    assert percentile([float(value) for value in range(10, 0, -1)], percent) == found


def test_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))


def test_row_of_measured_load() -> None:
    measured = Measured(2.0, 64, [0.5, 0.25], 1.6, 0.064, 700.0, Counter({"429": 1}))
    found = Row.of("m", "ours", LOADS[3], 0, measured)
    assert (found.requests_per_s, found.texts_per_s) == (1.0, 32.0)
    assert (found.p50_ms, found.p99_ms) == (250.0, 500.0)
    assert (found.server_cpu_ms, found.client_cpu_ms) == (25.0, 1.0)
    assert found.errors == {"429": 1}


def test_ratios_compare_rows_of_the_same_round() -> None:
    found = result(
        row("plain", "16 clients", 0, 10.0),
        row("plain", "16 clients", 1, 20.0),
        row("ours", "16 clients", 1, 60.0),
        row("ours", "16 clients", 2, 99.0),
    )
    assert found.ratios("m", "16 clients", "ours") == [3.0]


def test_bars() -> None:
    found = result(
        row("plain", "16 clients", 0, 10.0),
        row("ours", "16 clients", 0, 20.0),
        row("ours", "1 client", 0, 50.0, p50_ms=13.0),
    )
    found.bare.append(Bare("m", 0, median_ms=9.0, threads=2))
    assert [bar.passed for bar in bars(found, "m")] == [True, None, False]


def test_report_names_what_was_refused_and_what_was_not_measured() -> None:
    refused = row("ours", "bulk", 0, 0.0, p50_ms=math.nan)
    found = result(row("plain", "bulk", 0, 200.0), refused)
    markdown = as_markdown(found)
    assert "| 4,096 texts once | ours | 0.0 |" in markdown
    assert "refused: 3 x 429" in markdown
    assert "**not measured** 16 clients" in markdown
    value = json.loads(as_json(found))
    assert value["rows"][1]["p50_ms"] is None
    assert value["bars"][0]["passed"] is None


def test_plot_is_drawn(tmp_path: Path) -> None:
    draw(result(row("plain", "bulk", 0, 1.0), row("ours", "bulk", 0, 2.0)), tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_sentences_are_distinct_and_always_the_same() -> None:
    some = [texts.sentence(number) for number in range(20_000)]
    assert len(set(some)) == len(some)
    assert some[0] == "오늘 서울에서 학생이 천천히 새로운 책을 샀습니다."
    assert texts.sentence(texts.SENTENCES) == some[0]


def test_texts_have_the_lengths_they_claim() -> None:
    tokenizer = AutoTokenizer.from_pretrained(locate("inference", "models") / "ko-mini")

    def lengths(some: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(some).input_ids]

    sentences = lengths([texts.sentence(number) for number in range(2000)])
    assert sum(sentences) / len(sentences) == pytest.approx(14, abs=1)
    passages = sorted(lengths([texts.passage(number) for number in range(2000)]))
    assert passages[0] in range(4, 8)
    assert passages[-1] in range(380, 430)
    assert passages[1000] == pytest.approx((texts.SHORTEST * texts.LONGEST) ** 0.5, rel=0.1)
