"""The STS service's contract as its users call it: ``requests`` against a running service."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

EXAMPLE = Path(__file__).parent.parent / "examples" / "clients" / "sts_requests.py"

PAIRS = [
    ("맛있는 한국 전통 음식 김치찌개", "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다."),
    ("최신 기술 발전", "인공지능 기술이 빠르게 발전하고 있습니다."),
    ("색깔", "파리의 에펠탑은 프랑스의 상징입니다."),
]


@pytest.mark.parametrize("end", ["", "/"])
def test_two_sentences(live_server: str, end: str) -> None:
    body = {"sentence_1": PAIRS[0][0], "sentence_2": PAIRS[0][1]}
    response = requests.post(f"{live_server}/pred/sentences{end}", json=body, timeout=60)
    assert response.history == []
    answer = response.json()
    assert (answer["sentence_1"], answer["sentence_2"]) == PAIRS[0]
    assert answer["pred"] == 1
    assert 0 < answer["runtime(sec)"] < 60


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", ["file", "multi", "file/multi"])
def test_file(live_server: str, path: str, end: str) -> None:
    rows = [
        {"idx": index, "sentence1": left, "sentence2": right}
        for index, (left, right) in enumerate(PAIRS)
    ]
    file = io.StringIO(json.dumps({"results": rows}, ensure_ascii=False))
    response = requests.post(f"{live_server}/pred/{path}{end}", files={"file": file}, timeout=60)
    assert response.history == []
    answer = response.json()
    assert [tuple(pair) for pair in answer["sentences"]] == PAIRS
    assert answer["scores"] == sorted(answer["scores"], reverse=True)
    assert answer["preds"] == sorted(answer["preds"], reverse=True)
    assert len(answer["preds"]) == len(PAIRS)


def test_error_says_what_to_mend(live_server: str) -> None:
    file = {"file": ("pairs.json", b'{"results": [{"sentence1": "a"}]}', "application/json")}
    response = requests.post(f"{live_server}/pred/file/", files=file, timeout=60)
    assert response.status_code == requests.codes.unprocessable
    assert response.json()["detail"] == "results[0].sentence2: This field is required."


def test_example(live_server: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    rows = [{"sentence1": left, "sentence2": right} for left, right in PAIRS]
    path.write_text(json.dumps({"results": rows}), encoding="utf-8-sig")
    by_arguments = _run_example(*PAIRS[0], url=live_server)
    by_file = _run_example("--file", str(path), url=live_server)
    assert len(by_file) == len(PAIRS)
    score, pred, *texts = by_file[0].split(" ", 2)
    assert by_arguments[0].split(" ")[1:] == by_file[0].split(" ")[1:]
    assert float(score) > 0
    assert pred == "1"
    assert texts == [" | ".join(PAIRS[0])]


def _run_example(*arguments: str, url: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, EXAMPLE, *arguments],
        env={**os.environ, "SSANG_URL": url},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
