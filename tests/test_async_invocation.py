"""Asynchronous invocations: files in and out, and a journal that survives whoever works on it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running_service import wait_until

from inference.errors import InvalidInput, ModelUnavailable, TooLarge
from webapp.async_invocation import AsyncInvocation, AsyncInvocations
from webapp.invocation import Invocation

_OUTSIDE = "leads out of the folder"


def _upper(body: bytes, content_type: str, accept: str) -> Invocation:
    return Invocation("text/plain", body.upper())


@contextmanager
def _running(
    folder: Path, invoke: Callable[[bytes, str, str], Invocation] = _upper, **options: Any
) -> Iterator[AsyncInvocations]:
    invocations = AsyncInvocations(folder, invoke, **{"max_input_bytes": 1000, **options})
    invocations.start()
    yield invocations
    invocations.stop()


def _idle(folder: Path) -> AsyncInvocations:
    """Takes invocations over and works on none."""
    return AsyncInvocations(folder, _upper, max_input_bytes=1000)


def _journal(folder: Path) -> list[Path]:
    return list((folder / "async" / "jobs").glob("*.json"))


def _message(invocation: AsyncInvocation) -> str:
    message: str = json.loads(invocation.failure.read_bytes())["OriginalMessage"]
    return message


def test_output_is_written_and_the_job_forgotten(tmp_path: Path) -> None:
    (tmp_path / "in put.json").write_bytes(b"abc")
    with _running(tmp_path) as invocations:
        taken = invocations.submit(input_location=(tmp_path / "in put.json").as_uri())
        wait_until(lambda: _journal(tmp_path) == [], 10)
    assert taken.output.read_bytes() == b"ABC"
    assert not taken.failure.exists()
    assert (tmp_path / "in put.json").exists()


def test_body_may_come_with_the_request(tmp_path: Path) -> None:
    with _running(tmp_path) as invocations:
        taken = invocations.submit(body=b"abc", inference_id="mine")
        wait_until(lambda: _journal(tmp_path) == [], 10)
    assert taken.inference_id == "mine"
    assert taken.output.read_bytes() == b"ABC"
    assert not taken.input.exists()


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("s3://bucket/key", "no file://"),
        ("file://other.host/etc/passwd", "no file://"),
        ("file:///etc/passwd", _OUTSIDE),
        ("file://{root}/../outside", _OUTSIDE),
        ("file://{root}/%2e%2e/outside", _OUTSIDE),
        ("file://{root}/link", _OUTSIDE),
        ("file://{root}/linked/outside", _OUTSIDE),
        ("file://{root}/missing", "no file that is there"),
        ("file://{root}/%00", "no file that is there"),
        ("file://{root}", "names no file"),
    ],
)
def test_other_locations_are_refused(tmp_path: Path, location: str, fault: str) -> None:
    root = tmp_path / "data"
    (tmp_path / "outside").write_text("secret")
    invocations = _idle(root)
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "linked").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match=fault):
        invocations.submit(input_location=location.format(root=root))
    assert _journal(root) == []


def test_large_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b" " * 1001)
    with pytest.raises(TooLarge):
        _idle(tmp_path).submit(input_location=(tmp_path / "in").as_uri())


def test_file_that_became_a_link_meanwhile_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "data"
    invocations = _idle(root)
    (root / "in").write_text("mine")
    (tmp_path / "outside").write_text("secret")
    taken = invocations.submit(input_location=(root / "in").as_uri())
    (root / "in").unlink()
    (root / "in").symlink_to(tmp_path / "outside")
    with _running(root):
        wait_until(taken.failure.exists, 10)
    assert not taken.output.exists()


def test_error_is_written_as_a_model_error(tmp_path: Path) -> None:
    def refuse(body: bytes, content_type: str, accept: str) -> Invocation:
        raise InvalidInput("inputs[0]: too short.", item="inputs[0]")

    with _running(tmp_path, refuse) as invocations:
        taken = invocations.submit(body=b"x", request_id="trace-7")
        wait_until(lambda: _journal(tmp_path) == [], 10)
    assert not taken.output.exists()
    failure = json.loads(taken.failure.read_bytes())
    assert failure["OriginalStatusCode"] == 400
    assert "inputs[0]: too short." in failure["Message"]
    assert failure["LogStreamArn"].endswith("trace-7")


def test_expired_job_fails(tmp_path: Path) -> None:
    taken = _idle(tmp_path).submit(body=b"x", ttl_s=0)
    with _running(tmp_path):
        wait_until(taken.failure.exists, 10)
    assert "RequestTTLSeconds" in _message(taken)


def test_job_that_takes_too_long_fails_and_the_next_one_has_its_own_time(tmp_path: Path) -> None:
    def slow(body: bytes, content_type: str, accept: str) -> Invocation:
        time.sleep(0.5 if body == b"slow" else 0)
        return _upper(body, content_type, accept)

    with _running(tmp_path, slow) as invocations:
        late = invocations.submit(body=b"slow", timeout_s=0.1)
        next_one = invocations.submit(body=b"fast", timeout_s=0.1)
        wait_until(lambda: _journal(tmp_path) == [], 10)
    assert "InvocationTimeoutSeconds" in _message(late)
    assert next_one.output.read_bytes() == b"FAST"


def test_job_waits_for_the_model(tmp_path: Path) -> None:
    ready = threading.Event()
    tried = threading.Event()

    def load(body: bytes, content_type: str, accept: str) -> Invocation:
        if not ready.is_set():
            tried.set()
            raise ModelUnavailable("It is loading.")
        return _upper(body, content_type, accept)

    with _running(tmp_path, load) as invocations:
        taken = invocations.submit(body=b"x")
        assert tried.wait(10)
        ready.set()
        wait_until(taken.output.exists, 10)


def test_several_workers_do_each_job_once(tmp_path: Path) -> None:
    done: list[bytes] = []

    def count(body: bytes, content_type: str, accept: str) -> Invocation:
        done.append(body)
        return _upper(body, content_type, accept)

    bodies = [f"job {number}".encode() for number in range(30)]
    taken = [_idle(tmp_path).submit(body=body) for body in bodies]
    with _running(tmp_path, count), _running(tmp_path, count), _running(tmp_path, count):
        wait_until(lambda: _journal(tmp_path) == [], 30)
    assert sorted(done) == sorted(bodies)
    assert all(job.output.exists() for job in taken)


_WORKER = """
import sys, time
from pathlib import Path
from webapp.async_invocation import AsyncInvocations

def hang(body, content_type, accept):
    print("begun", flush=True)
    time.sleep(600)

AsyncInvocations(Path(sys.argv[1]), hang, max_input_bytes=1000).start()
time.sleep(600)
"""


def _kill_one_that_has_begun(folder: Path) -> None:
    command = [sys.executable, "-c", _WORKER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"begun\n"
        os.kill(worker.pid, signal.SIGKILL)


def test_what_a_killed_worker_left_is_taken_up_again(tmp_path: Path) -> None:
    taken = _idle(tmp_path).submit(body=b"abc")
    _kill_one_that_has_begun(tmp_path)
    assert len(_journal(tmp_path)) == 1
    with _running(tmp_path):
        wait_until(taken.output.exists, 10)
    assert taken.output.read_bytes() == b"ABC"


def test_job_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    taken = _idle(tmp_path).submit(body=b"abc")
    for _ in range(3):
        _kill_one_that_has_begun(tmp_path)
    with _running(tmp_path):
        wait_until(taken.failure.exists, 10)
    assert "ended 3 times" in _message(taken)
    assert not taken.output.exists()
