"""What the benchmark says about numbers, and the texts it sends; no test depends on a time."""

import json
import math
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from benchmarks import offline, onnx_model, texts
from benchmarks.bar import LOADS as BAR_LOADS
from benchmarks.bar import bars
from benchmarks.environment import CannotInstall
from benchmarks.likeness import NEAR, SAME, Likeness, compare
from benchmarks.load import LOADS, Measured, loads_for
from benchmarks.offline import Cost, Encoded
from benchmarks.plot import draw
from benchmarks.report import as_json, as_markdown
from benchmarks.result import Result, Row, percentile
from benchmarks.running import CannotMeasure, running
from benchmarks.servers import PEERS
from inference.resource import locate

MODEL = "ko-mini"


def row(
    server: str,
    load: str,
    round_: int,
    texts_per_s: float,
    p50_ms: float = 1.0,
    peak_rss_mib: float = 500.0,
) -> Row:
    return Row(
        model=MODEL,
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
        peak_rss_mib=peak_rss_mib,
        errors={"429": 3} if server == "ours" else {},
    )


def encoded(tool: str, round_: int, wall_s: float, cpu_s: float) -> Encoded:
    """A hundred texts, with a start-up of one second by the clock and two of the processor."""
    start_up, whole = Cost(1.0, 2.0, 400.0), Cost(1.0 + wall_s, 2.0 + cpu_s, 500.0)
    return Encoded(MODEL, tool, round_, 100, start_up, whole)


def result(*rows: Row) -> Result:
    return Result({"machine": "this"}, rows=list(rows), bulk_texts={MODEL: 4096})


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
        row("infinity", "16 clients", 0, 10.0),
        row("infinity", "16 clients", 1, 20.0),
        row("ours", "16 clients", 1, 60.0),
        row("ours", "16 clients", 2, 99.0),
    )
    assert found.ratios(MODEL, "16 clients", "ours") == [3.0]


def test_bars_are_held_against_infinity_and_told_against_its_other_engine() -> None:
    found = result(
        row("infinity", "16 clients", 0, 10.0),
        row("infinity-onnx", "16 clients", 0, 25.0),
        row("ours", "16 clients", 0, 50.0),
        row("ours-fp32", "16 clients", 0, 20.0),
        row("infinity", "1 client", 0, 50.0, p50_ms=20.0),
        row("ours", "1 client", 0, 50.0, p50_ms=8.0),
    )
    served, batches, latency, _, _ = bars(found, MODEL)
    assert (served.found, served.passed) == (5.0, True)
    assert served.beside == {
        "against `infinity-onnx`": 2.0,
        "`ours-fp32` against `infinity`": 2.0,
    }
    assert batches.passed is None
    assert (latency.found, latency.passed) == (0.4, False)


def test_larger_model_has_a_higher_bar() -> None:
    small, large = (bars(result(), model)[0].limit for model in (MODEL, "roberta-12x768"))
    assert (small, large) == (5.0, 6.0)


def test_memory_is_compared_by_the_worst_load_with_the_most_modest_peer() -> None:
    found = result(
        row("ours", "1 client", 0, 1.0, peak_rss_mib=300.0),
        row("ours", "bulk", 0, 1.0, peak_rss_mib=600.0),
        row("ours-fp32", "bulk", 0, 1.0, peak_rss_mib=100.0),
        row("plain", "bulk", 0, 1.0, peak_rss_mib=800.0),
        row("infinity", "bulk", 0, 1.0, peak_rss_mib=1200.0),
    )
    memory = bars(found, MODEL)[-1]
    assert memory.found == 0.75
    assert memory.beside == {"against `infinity`": 0.5, "against `plain`": 0.75}


def test_encoding_is_compared_without_start_up() -> None:
    found = result()
    found.encoded += [encoded("plain", 0, 4.0, 8.0), encoded("ours", 0, 1.0, 4.0)]
    bar = bars(found, MODEL)[3]
    assert (bar.found, bar.passed) == (4.0, True)
    assert bar.beside["start-up included"] == 2.5
    assert bar.beside["by CPU time"] == 2.0


def test_every_load_of_a_bar_is_a_load() -> None:
    assert set(BAR_LOADS) <= {load.name for load in loads_for(4096)}


def test_report_names_what_was_refused_and_what_was_not_measured() -> None:
    refused = row("ours", "bulk", 0, 0.0, p50_ms=math.nan)
    found = result(row("infinity", "bulk", 0, 200.0), refused)
    markdown = as_markdown(found)
    assert "| 4,096 texts once | ours | 0.0 |" in markdown
    assert "refused: 3 x 429" in markdown
    assert "**not measured** 16 clients" in markdown
    value = json.loads(as_json(found))
    assert value["rows"][1]["p50_ms"] is None
    assert value["bars"][0]["passed"] is None
    assert value["bars"][0]["beside"] == {
        "against `infinity-onnx`": None,
        "`ours-fp32` against `infinity`": None,
    }


def test_report_tells_the_precision_and_the_likeness_of_vectors() -> None:
    found = result(row("ours", "1 client", 0, 1.0))
    found.precision[MODEL, "ours"] = "int8"
    found.likeness[MODEL, "ours"] = [Likeness(0.998, 0.995), Likeness(0.999, 0.993)]
    assert "mean and least: ours (int8) 0.99800, 0.99300." in as_markdown(found)


def test_report_of_encoding_alone() -> None:
    found = result()
    found.encoded.append(encoded("ours", 0, 2.0, 4.0))
    line = "| `ssang encode` | 100 | 1.0 | 2.0 | 3.0 | 6.0 | 50.0 | 40.00 | 500 | - |"
    assert line in as_markdown(found)


def test_likeness_of_vectors() -> None:
    found = compare([[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [1.0, 0.0]])
    assert found == Likeness(0.8, 0.6)
    assert Likeness(0.99, 0.5).reaches(NEAR)
    assert not Likeness(0.99, 0.5).reaches(SAME)
    assert not Likeness(0.9899, 0.98).reaches(NEAR)


def test_only_the_default_precision_may_differ_from_fp32() -> None:
    assert [name for name, peer in PEERS.items() if peer.bound != SAME] == ["ours"]
    assert [name for name, tool in offline.TOOLS.items() if tool.bound != SAME] == ["ours"]


WRITER = """
import sys
import numpy as np
texts = open(sys.argv[1], encoding="utf-8").read().splitlines()
vectors = np.array([[1.0, 0.0], [0.6, 0.8]], dtype="float32")
np.save(sys.argv[2], vectors[[int(sys.argv[3]) * (number % 2) for number in range(len(texts))]])
"""


def writer(name: str, place: int) -> offline.Tool:
    """A command whose every other vector is one of two."""

    def command(_model: Path, source: Path, target: Path) -> list[str]:
        return [sys.executable, "-c", WRITER, str(source), str(target), str(place)]

    return offline.Tool(name, name, command, SAME)


def test_commands_are_measured_and_their_vectors_compared(tmp_path: Path) -> None:
    start_up, whole, likeness = offline.measure(
        writer(offline.REFERENCE, 0), tmp_path, 50, tmp_path
    )
    assert likeness is None
    assert min(start_up.cpu_s, whole.cpu_s, start_up.wall_s) > 0
    assert whole.peak_rss_mib > 5
    assert len(np.load(tmp_path / f"{offline.REFERENCE}.npy")) == 50
    *_, likeness = offline.measure(writer("same", 0), tmp_path, 50, tmp_path)
    assert likeness == (1.0, 1.0)
    with pytest.raises(CannotMeasure, match="its vectors are others"):
        offline.measure(writer("other", 1), tmp_path, 50, tmp_path)


def test_command_that_fails_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    tool = offline.Tool("broken", "broken", lambda *_: command, SAME)
    with pytest.raises(CannotMeasure, match="status 1: no such model"):
        offline.measure(tool, tmp_path, 50, tmp_path)


SERVER = """
import json, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["texts"]
        if len(texts) > 1:
            print("batches are too much", flush=True)
            if sys.argv[2] == "silent":
                time.sleep(60)
            return self.send_error(500) if sys.argv[2] == "500" else None
        body = json.dumps({"embeddings": [[1.0, 0.0]]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.parametrize("fault", ["500", "silent", "hangs up"])
def test_server_that_answers_a_text_and_fails_at_more_is_told(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(_python: Path, _model: Path, port: int) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-c", SERVER, str(port), fault], {}

    monkeypatch.setattr("benchmarks.running._ANSWER_S", 2)
    peer = replace(PEERS["ours"], name="weak", command=command)
    with running(peer, tmp_path, "하나", tmp_path / "weak.log") as server:
        assert server.embed(["하나"]) == [[1.0, 0.0]]
        with pytest.raises(CannotMeasure, match=r"2 texts .* batches are too much"):
            server.embed(["하나", "둘"])


def exporter(tmp_path: Path, ending: str = "") -> Path:
    """What stands for an interpreter: it counts its runs in the folder that it exports."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nmkdir "$2/onnx"\necho run >> "{tmp_path}/runs"\n{ending}\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(onnx_model, "ENVIRONMENTS", tmp_path / "environments")
    folder = tmp_path / "model"
    (folder / "int8").mkdir(parents=True)
    (folder / "int8" / "model.onnx").write_bytes(b"compiled")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_model_is_exported_beside_a_copy_again_only_when_its_weights_change(
    model: Path, tmp_path: Path
) -> None:
    python = exporter(tmp_path)
    copies = {onnx_model.prepare(python, model) for _ in range(2)}
    (model / "model.safetensors").write_bytes(b"other weights")
    copies.add(onnx_model.prepare(python, model))
    [copy] = copies
    assert (copy / "model.safetensors").read_bytes() == b"other weights"
    # The peer would take another ONNX file for the export.
    assert list(copy.rglob("*.onnx")) == []
    assert sorted(file.name for file in model.iterdir()) == ["int8", "model.safetensors"]
    assert (tmp_path / "runs").read_text() == "run\n" * 2


def test_export_that_failed_is_told_and_begun_again(model: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match="no exporter"):
        onnx_model.prepare(exporter(tmp_path, "echo no exporter >&2; exit 1"), model)
    assert (onnx_model.prepare(exporter(tmp_path), model) / "onnx").is_dir()


def test_plot_is_drawn(tmp_path: Path) -> None:
    draw(result(row("infinity", "bulk", 0, 1.0), row("ours", "bulk", 0, 2.0)), tmp_path / "p.png")
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
    assert sum(sentences) / len(sentences) == pytest.approx(18, abs=1)
    passages = sorted(lengths([texts.passage(number) for number in range(2000)]))
    assert passages[0] in range(4, 8)
    assert passages[-1] in range(380, 430)
    assert passages[1000] == pytest.approx((texts.SHORTEST * texts.LONGEST) ** 0.5, rel=0.1)
