"""Scoring a file over HTTP: the lines of the answer, and what happens while they are sent."""

import io
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from running_service import RunningService, StartService, wait_until
from tiny_model import SENTENCES, save_bert

from inference import pair_table, window
from inference.engine import Engine
from inference.errors import ModelUnavailable, Overloaded
from inference.model import open_model
from inference.pipeline import ReadOptions
from webapp import create_app, schema, stream
from webapp.settings import Settings

QUERY, DOCUMENT = "최신 기술 발전", "인공지능 기술이 빠르게 발전하고 있습니다."
CSV = f"query,document\n{QUERY},{DOCUMENT}\n색깔,파리의 에펠탑은 프랑스의 상징입니다.\n"


def _post(client: FlaskClient, content: str | bytes, name: str = "a.csv", **form: str) -> Any:
    data = content.encode() if isinstance(content, str) else content
    # Buffered, since the client closes only such an answer.
    form_data = {"file": (io.BytesIO(data), name), **form}
    return client.post("/api/score-file", data=form_data, buffered=True)


def _lines(client: FlaskClient, content: str | bytes, name: str = "a.csv", **form: str) -> Any:
    response = _post(client, content, name, **form)
    assert response.status_code == 200, response.text
    assert response.content_type == "application/x-ndjson; charset=utf-8"
    lines = [json.loads(line) for line in response.text.splitlines()]
    for line in lines:
        schema.ScoreFileLine.model_validate(line)
    return lines


def _rows(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if "row" in line]


def test_lines_are_start_rows_and_summary(client: FlaskClient, engine: Engine) -> None:
    start, first, second, end = _lines(client, CSV)
    assert start["start"] == {
        "model": "ko-mini",
        "format": "csv",
        "encoding": "utf-8",
        "columns": ["query", "document"],
        "query_column": "query",
        "document_column": "document",
        "thresholds": vars(engine.model.thresholds),
    }
    body = {"pairs": [{"query": QUERY, "document": DOCUMENT}]}
    scored = client.post("/api/pairs", json=body).get_json()["pairs"][0]
    assert first.pop("score") == pytest.approx(scored.pop("score"), abs=1e-5)
    del scored["index"]
    assert first == {"row": 1, "query": QUERY, "document": DOCUMENT, "match": True, **scored}
    assert (second["row"], second["match"], second["grade"]) == (2, False, "low")
    summary = end["summary"]
    assert summary.pop("seconds") > 0
    tokens = sum(row["query_tokens"] + row["document_tokens"] for row in (first, second))
    assert summary == {"rows": 2, "scored": 2, "failed": 0, "truncated": 0, "tokens": tokens}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp949"])
def test_korean_excel_files_give_the_same_scores(client: FlaskClient, encoding: str) -> None:
    plain = _rows(_lines(client, CSV))
    assert _rows(_lines(client, CSV.encode(encoding))) == plain
    tsv = CSV.replace(",", "\t").replace("query", "sentence1").replace("document", "sentence2")
    lines = _lines(client, tsv.encode(encoding), "시트.txt")
    assert _rows(lines) == plain
    assert (lines[0]["start"]["format"], lines[0]["start"]["query_column"]) == ("tsv", "sentence1")


def test_the_answer_of_the_api_is_a_file_too(client: FlaskClient) -> None:
    rows = [{"query": QUERY, "document": DOCUMENT, "score": 0.1, "grade": "low"}]
    for body in ({"results": rows}, {"model": "m", "pairs": rows}, rows):
        lines = _lines(client, json.dumps(body), "a.json")
        assert lines[0]["start"]["columns"] is None
        assert _rows(lines)[0]["score"] > 0.3


def test_form_fields_say_how_to_read(client: FlaskClient) -> None:
    content = f"Q;A;n\n{DOCUMENT};{DOCUMENT};1\n".encode("cp949")
    form = {"query_column": "q", "document_column": " a", "format": "csv", "encoding": "cp949"}
    lines = _lines(client, content, "x.dat", **form, max_length="4", texts="false")
    (row,) = _rows(lines)
    assert not {"query", "document"} & set(row)
    assert row["truncated"]
    assert lines[-1]["summary"]["truncated"] == 1
    assert lines[-1]["summary"]["tokens"] == 8
    assert lines[0]["start"]["query_column"] == "Q"


def test_bad_rows_are_told_and_the_others_scored(client: FlaskClient) -> None:
    long = "가 나 다 라 " * 300
    bad = ["가", "", f'"{long}",나', '"가"나,다', " ,나", "가,나,다"]
    lines = _lines(client, "\n".join(["query,document", "가,나", *bad, "라,마"]), truncate="false")
    rows = _rows(lines)
    assert [row["row"] for row in rows if "score" in row] == [1, 7]
    failed = {row["row"]: row["error"] for row in rows if "error" in row}
    assert all(error["code"] == "invalid_input" for error in failed.values())
    told = [failed[number]["message"] for number in (2, 3, 4, 5, 6)]
    for message, word in zip(
        told, ["document", "tokens", "quotes", "empty", "columns"], strict=True
    ):
        assert word in message
    assert rows[1]["query"] == "가"
    assert lines[-1]["summary"]["failed"] == 5
    assert lines[-1]["summary"]["rows"] == 7


def test_a_file_of_bad_rows_alone_is_no_error(client: FlaskClient) -> None:
    lines = _lines(client, '{"query": 1, "document": "x"}\n', "a.jsonl")
    assert lines[-1]["summary"]["failed"] == 1


@pytest.mark.parametrize(
    ("content", "form", "problem"),
    [
        ("a,b\n1,2\n", {}, "it has 'a', 'b'"),
        ("", {}, "empty"),
        ("query,document\n", {}, "no rows"),
        ("PK\x03\x04", {}, "Excel"),
        (CSV, {"max_length": "100000"}, "max_length"),
        (CSV, {"max_length": "many"}, "max_length"),
        (CSV, {"format": "xlsx"}, "format"),
        (CSV, {"colum": "a"}, "colum"),
    ],
)
def test_an_unreadable_file_is_an_ordinary_error(
    client: FlaskClient, content: str, form: dict[str, str], problem: str
) -> None:
    response = _post(client, content, **form)
    assert response.status_code == 422
    assert problem in schema.ErrorReply.model_validate(response.get_json()).error.message


@pytest.mark.parametrize("data", [{}, {"file": "text"}, {"upload": (io.BytesIO(b"a"), "a.csv")}])
def test_without_a_file_the_field_is_named(client: FlaskClient, data: dict[str, Any]) -> None:
    response = client.post("/api/score-file", data=data, content_type="multipart/form-data")
    assert response.status_code == 422
    assert "file" in response.get_json()["error"]["message"]


def test_a_file_over_the_limit_is_too_large(engine: Engine) -> None:
    client = create_app(Settings(max_body_bytes=500), engine).test_client()
    response = _post(client, CSV + "가,나\n" * 100)
    assert (response.status_code, response.get_json()["error"]["code"]) == (413, "too_large")


def test_while_loading_the_model_is_unavailable() -> None:
    client = create_app(Settings(), Engine(open_model("ko-mini"))).test_client()
    assert _post(client, CSV).status_code == 503


def test_a_failing_model_ends_the_stream_with_an_error(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_at(engine, monkeypatch, ModelUnavailable("It is gone."))
    lines = _lines(client, "query,document\n" + "가,나\n" * 100)
    assert len(_rows(lines)) == 32
    assert lines[-1] == {"error": {"code": "model_unavailable", "message": "It is gone."}}


def test_a_bug_ends_the_stream_without_its_trace(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_at(engine, monkeypatch, ZeroDivisionError("secret"))
    last = _lines(client, "query,document\n" + "가,나\n" * 100)[-1]
    assert last["error"]["code"] == "internal"
    assert "secret" not in last["error"]["message"]


def _fail_at(engine: Engine, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Lets the second window fail."""
    score_pairs, calls = engine.score_pairs, iter([True])

    def fail(*args: Any, **kwargs: Any) -> Any:
        if next(calls, False):
            return score_pairs(*args, **kwargs)
        raise error

    monkeypatch.setattr(engine, "score_pairs", fail)


def test_a_full_queue_makes_a_file_wait(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_pairs, full = engine.score_pairs, iter([True, True])

    def refuse_twice(*args: Any, **kwargs: Any) -> Any:
        if next(full, False):
            raise Overloaded("Full.", retry_after_s=1)
        return score_pairs(*args, **kwargs)

    monkeypatch.setattr(engine, "score_pairs", refuse_twice)
    monkeypatch.setattr("inference.window.time.sleep", lambda _: None)
    assert _lines(client, CSV)[-1]["summary"]["scored"] == 2
    monkeypatch.setattr(window, "_PATIENCE_S", 0.0)
    full = iter([True])
    assert _lines(client, CSV)[-1]["error"]["code"] == "overloaded"


def test_silence_is_filled_with_heartbeats(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_pairs = engine.score_pairs

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.3)
        return score_pairs(*args, **kwargs)

    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(engine, "score_pairs", slow)
    lines = _lines(client, "query,document\n" + "가,나\n" * 40)
    beats = [line["heartbeat"]["rows"] for line in lines if "heartbeat" in line]
    assert {0, 32} <= set(beats)
    assert len(_rows(lines)) == 40


def test_the_upload_is_closed_in_the_end(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    original = pair_table.PairTable.of

    def keep(table: Any, **columns: str) -> Any:
        opened.append(table._file)
        return original(table, **columns)

    monkeypatch.setattr(pair_table.PairTable, "of", keep)
    client = app.test_client()
    _lines(client, CSV)
    _post(client, "a,b\n1,2\n")
    client.post("/api/score-file", data={"file": (io.BytesIO(CSV.encode()), "a.csv")}).close()
    assert [file.closed for file in opened] == [True, True, True]


def test_streams_take_half_of_the_places(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    client = app.test_client()
    places = app.extensions["ssang"].streams
    with ExitStack() as stack:
        for _ in range(3):
            places.take()
            stack.callback(places.give_back)
        response = _post(client, CSV)
        assert (response.status_code, response.get_json()["error"]["code"]) == (429, "overloaded")
        assert int(response.headers["Retry-After"]) >= 1
        assert client.post("/api/embed", json={"texts": "가"}).status_code == 200
    for content in (CSV, "", CSV, "a,b\n1,2"):
        _post(client, content)
    for _ in range(3):
        places.take()
    with pytest.raises(Overloaded):
        places.take()


def test_windows_grow_with_the_speed_and_never_hold_much(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_WINDOW_S", 1e9)
    rows = [pair_table.PairRow(number, "가", "나") for number in range(300)]
    windows = pair_table.score_rows(engine, rows, options=ReadOptions())
    assert [len(window.rows) for window in windows] == [32, 64, 128, 76]
    monkeypatch.setattr(pair_table, "_WINDOW_CHARACTERS", 20)
    windows = pair_table.score_rows(engine, rows[:50], options=ReadOptions())
    assert [len(window.rows) for window in windows] == [10] * 5


# Under gunicorn, with a small model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def service(tiny: Path, start_service: StartService) -> RunningService:
    return start_service(model=tiny, log_format="json", threads=8, workers=1)


def _upload(service: RunningService, rows: Iterator[str] | list[str]) -> requests.Response:
    content = "query,document\n" + "\n".join(rows)
    return requests.post(
        f"{service.url}/api/score-file",
        files={"file": ("a.csv", content.encode())},
        stream=True,
        timeout=60,
    )


def _distinct(count: int) -> list[str]:
    return [f"{number}번 {SENTENCES[number % 5]},{SENTENCES[3]}{number}" for number in range(count)]


def test_lines_arrive_while_the_file_is_scored(service: RunningService) -> None:
    arrived: list[float] = []
    began = time.monotonic()
    for _ in _upload(service, _distinct(40_000)).iter_lines(chunk_size=None):
        arrived.append(time.monotonic() - began)
    assert len(arrived) == 40_002
    assert arrived[1] < arrived[-1] / 4


def test_the_work_stops_when_the_client_leaves(service: RunningService) -> None:
    already = service.log.count("client left")
    response = _upload(service, _distinct(60_000))
    next(response.iter_lines())
    response.close()
    wait_until(lambda: service.log.count("client left") > already, timeout_s=20)
    (line,) = [line for line in service.log.splitlines() if "client left" in line][already:]
    logged = json.loads(line)
    assert 0 < logged["rows"] < 60_000
    assert logged["status"] == 200
    tokens = _metric(service, "ssang_tokens_total")
    time.sleep(0.5)
    assert _metric(service, "ssang_tokens_total") == tokens


def test_log_and_metrics_count_the_stream_to_its_end(service: RunningService) -> None:
    secret = "누구에게도말하지않을비밀"
    before = _metric(service, 'ssang_file_rows_total{outcome="failed"}')
    response = _upload(service, [f"{secret},가", "나", "다,라"])
    assert response.text.count("\n") == 5
    request_id = response.headers["X-Request-ID"]
    wait_until(lambda: request_id in service.log, timeout_s=5)
    (line,) = [line for line in service.log.splitlines() if request_id in line]
    logged = json.loads(line)
    assert (logged["rows"], logged["failed"], logged["outcome"]) == (3, 1, "complete")
    assert secret not in service.log
    assert _metric(service, 'ssang_file_rows_total{outcome="failed"}') == before + 1


def test_more_streams_than_places_are_refused_while_short_requests_pass(
    service: RunningService,
) -> None:
    with ThreadPoolExecutor(5) as pool, ExitStack() as stack:
        answers = [
            stack.enter_context(answer)
            for answer in pool.map(lambda _: _upload(service, _distinct(30_000)), range(5))
        ]
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 200, 200, 429, 429]
        short = requests.post(f"{service.url}/api/embed", json={"texts": "가"}, timeout=60)
        assert short.status_code == 200
    wait_until(lambda: _upload(service, ["가,나"]).status_code == 200, timeout_s=20)


def test_a_hundred_thousand_rows_in_bounded_memory(service: RunningService) -> None:
    _upload(service, _distinct(5000)).close()
    (worker,) = (
        Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    )
    before = peak = _resident_mib(worker)
    rows = 0
    pairs = [
        f"{number % 50}번 고객님의 오늘 서울 날씨 문의,{SENTENCES[0]}" for number in range(100_000)
    ]
    for line in _upload(service, pairs).iter_lines(chunk_size=2**16):
        rows += b'"score"' in line
        if rows % 5000 == 0:
            peak = max(peak, _resident_mib(worker))
    assert rows == 100_000
    assert peak - before < 60


def test_a_chunked_upload_over_the_limit_is_refused(
    tiny: Path, start_service: StartService
) -> None:
    service = start_service(model=tiny, max_body_bytes=2000, workers=1)
    body = (
        b"--x\r\nContent-Disposition: form-data; name=file; filename=a.csv\r\n\r\n"
        b"query,document\n" + "가,나\n".encode() * 1000 + b"\r\n--x--\r\n"
    )
    response = requests.post(
        f"{service.url}/api/score-file",
        data=iter([body[:900], body[900:]]),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
        timeout=30,
    )
    assert response.status_code == 413


def test_a_client_that_leaves_in_mid_upload_gives_its_place_back(service: RunningService) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    for _ in range(4):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /api/score-file HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            )
    wait_until(lambda: _upload(service, ["가,나"]).status_code == 200, timeout_s=20)


def _resident_mib(pid: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _metric(service: RunningService, name: str) -> float:
    for line in requests.get(f"{service.url}/metrics", timeout=30).text.splitlines():
        if line.rpartition(" ")[0] == name:
            return float(line.rpartition(" ")[2])
    return 0.0
