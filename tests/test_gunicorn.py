"""The service under real gunicorn: overload, stopping, crashes, several workers."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from running_service import StartService, free_port, is_ready, wait_until

ROOT = Path(__file__).parent.parent


def _texts(count: int, subject: str = "날씨") -> list[str]:
    return [f"{number}번 고객님의 오늘 서울 {subject} 문의입니다." for number in range(count)]


TEXTS = _texts(64)


def _embed(url: str, texts: list[str], **options: Any) -> requests.Response:
    return requests.post(
        f"{url}/api/embed", json={"texts": texts, "encoding": "base64"}, timeout=120, **options
    )


def _workers(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def test_overload_is_refused_at_once_while_health_answers(start_service: StartService) -> None:
    service = start_service(threads=16, max_waiting_tokens=4000)
    stop = threading.Event()
    statuses: Counter[int] = Counter()
    refusal_s: list[float] = []

    def load() -> None:
        while not stop.is_set():
            began = time.monotonic()
            response = _embed(service.url, TEXTS)
            statuses[response.status_code] += 1
            if response.status_code == 429:
                refusal_s.append(time.monotonic() - began)
                assert int(response.headers["Retry-After"]) >= 1
                assert response.json()["error"]["code"] == "overloaded"
                # A client that came back at once would only measure its own core.
                stop.wait(0.05)

    with ThreadPoolExecutor(40) as pool:
        loads = [pool.submit(load) for _ in range(40)]
        try:
            wait_until(lambda: statuses[429] > 20 and statuses[200] > 5)
            health_s = [_seconds_until_ready_answers(service.url) for _ in range(10)]
        finally:
            stop.set()
        for future in loads:
            future.result()
    assert set(statuses) == {200, 429}
    assert max(health_s) < 1.0
    # The median, since forty clients share two cores with the service.
    assert sorted(refusal_s)[len(refusal_s) // 2] < 1.0
    metrics = requests.get(f"{service.url}/metrics", timeout=5).text
    assert 'ssang_refusals_total{reason="requests"}' in metrics
    assert _embed(service.url, TEXTS).status_code == 200


def _seconds_until_ready_answers(url: str) -> float:
    began = time.monotonic()
    response = requests.get(f"{url}/ready", timeout=30)
    assert response.status_code == 200
    return time.monotonic() - began


def test_sigterm_loses_no_admitted_request(start_service: StartService) -> None:
    service = start_service(workers=1)
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(_embed, service.url, _texts(200, f"{n}일")) for n in range(6)]
        wait_until(lambda: _metric(service.url, "ssang_batch_texts_count") > 2)
        service.process.send_signal(signal.SIGTERM)
        assert [answer.result().status_code for answer in answers] == [200] * 6
    assert service.process.wait(timeout=30) == 0
    assert "Traceback" not in service.log


def test_ready_turns_off_on_the_way_out(start_service: StartService) -> None:
    service = start_service()
    with requests.Session() as kept_alive, ThreadPoolExecutor(1) as pool:
        assert kept_alive.get(f"{service.url}/ready", timeout=5).status_code == 200
        answer = pool.submit(_embed, service.url, _texts(1500))
        wait_until(lambda: _metric(service.url, "ssang_batch_texts_count") > 2)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in service.log)
        response = kept_alive.get(f"{service.url}/ready", timeout=5)
        assert (response.status_code, response.json()) == (503, {"status": "stopping"})
        assert answer.result().status_code == 200


def test_killed_worker_is_replaced(start_service: StartService) -> None:
    service = start_service(workers=1)
    (worker,) = _workers(service.process.pid)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker not in _workers(service.process.pid))
    service.wait_until_ready()
    assert _embed(service.url, TEXTS).status_code == 200


def test_metrics_add_up_over_workers(start_service: StartService) -> None:
    service = start_service(workers=2, compute_threads=1)
    pids = _workers(service.process.pid)
    assert len(pids) == 2
    (chosen,) = [line for line in service.log.splitlines() if '"event": "starting"' in line]
    assert re.search(r'"cores": \d+.*"workers": 2.*"compute_threads": 1', chosen)
    for number in range(20):
        assert _embed(service.url, [f"{number}"]).status_code == 200
    labels = '{method="POST",route="/api/embed",status="200"}'
    assert _metric(service.url, f"ssang_requests_total{labels}") == 20
    assert _metric(service.url, "ssang_waiting_tokens") == 0


def test_one_log_line_a_request_with_its_id_and_without_its_text(
    start_service: StartService,
) -> None:
    service = start_service(log_format="json")
    secret = "누구에게도말하지않을비밀"
    _embed(service.url, [secret], headers={"X-Request-ID": "trace-7"})
    wait_until(lambda: "trace-7" in service.log, timeout_s=5)
    (line,) = [line for line in service.log.splitlines() if "trace-7" in line]
    assert re.search(r'"route": "/api/embed".*"status": 200.*"texts": 1', line)
    assert secret not in service.log


def test_procfile_serves_every_address_on_port_and_web_concurrency(
    start_service: StartService,
) -> None:
    command = (ROOT / "Procfile").read_text().strip().removeprefix("web: ")
    port = free_port()
    platform = f"export PATH={Path(sys.executable).parent}:$PATH PORT={port} WEB_CONCURRENCY=2"
    service = start_service(
        ["bash", "-c", f"unset SSANG_PORT; {platform}; exec {command}"],
        wait=False,
        compute_threads=1,
    )
    service.url, service.workers = f"http://127.0.0.1:{port}", 2
    service.wait_until_ready()
    assert len(_workers(service.process.pid)) == 2
    assert f"0.0.0.0:{port}" in service.log


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "no-such-model"}, "There is no model 'no-such-model'"),
        ({"port": "http"}, "SSANG_PORT=http"),
    ],
)
def test_a_wrong_start_ends_with_one_sentence(
    start_service: StartService, settings: dict[str, str], sentence: str
) -> None:
    for command in (None, [sys.executable, "-m", "gunicorn", *_GUNICORN]):
        service = start_service(command, wait=False, **settings)
        assert service.process.wait(timeout=60) != 0
        lines = [line for line in service.log.splitlines() if line.strip()]
        assert len(lines) == 1, service.log
        assert sentence in lines[0]


_GUNICORN = ["-c", "python:webapp.gunicorn_conf", "webapp:create_app()"]


def test_a_model_that_does_not_load_ends_the_service(
    start_service: StartService, tmp_path: Path
) -> None:
    folder = shutil.copytree(ROOT / "models" / "ko-mini", tmp_path / "broken")
    (folder / "tokenizer.json").write_text("{}")
    service = start_service(wait=False, model=folder)
    assert service.process.wait(timeout=60) != 0
    assert "tokenizer of model 'broken' cannot be read" in service.log


def test_slow_bodies_do_not_stop_others(live_server: str) -> None:
    host, port = live_server.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(10)]
    try:
        for connection in slow:
            connection.sendall(
                b"POST /api/embed HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
            )
        assert is_ready(live_server)
        assert _embed(live_server, ["가"]).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_early_refusal_of_a_body_over_the_limit_reaches_the_client(
    start_service: StartService,
) -> None:
    service = start_service(max_body_bytes=1000)
    response = requests.post(f"{service.url}/api/embed", data=b"x" * 3_000_000, timeout=30)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "too_large"


def test_chunked_body_over_the_limit_is_refused(start_service: StartService) -> None:
    service = start_service(max_body_bytes=1000)
    response = requests.post(
        f"{service.url}/api/embed",
        data=iter([b"x" * 600] * 3),
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    assert response.status_code == 413


def test_help_lists_every_flag() -> None:
    command = [sys.executable, "-m", "webapp.cli", "serve", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for flag in ("model", "host", "port", "workers", "threads", "device", "precision"):
        assert f"--{flag} " in text


def _metric(url: str, name: str) -> float:
    for line in requests.get(f"{url}/metrics", timeout=30).text.splitlines():
        if line.rpartition(" ")[0] == name:
            return float(line.rpartition(" ")[2])
    return 0.0
