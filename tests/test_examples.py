"""The examples, run as a user runs them, against a running service."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

DOCUMENTS = ["파리의 에펠탑", "인공지능 기술이 빠르게 발전하고 있습니다.", "맛있는 김치찌개"]


def _run(name: str, *arguments: object, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        env={**os.environ, "SSANG_URL": url},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def _output(name: str, *arguments: object, url: str) -> list[str]:
    done = _run(name, *arguments, url=url)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "documents.txt"
    path.write_text("\n".join(DOCUMENTS), encoding="utf-8")
    return path


def test_pairs(live_server: str) -> None:
    texts = ["최신 기술 발전", DOCUMENTS[1], "색깔", DOCUMENTS[0]]
    first, second = _output("pairs.py", *texts, url=live_server)
    assert float(first.split()[0]) > float(second.split()[0])
    assert first.endswith(f"최신 기술 발전 | {DOCUMENTS[1]}")


def test_rank(live_server: str, documents: Path) -> None:
    lines = _output("rank.py", "최신 기술", documents, "--top-k", 2, url=live_server)
    assert len(lines) == 2
    assert lines[0].endswith(DOCUMENTS[1])


def test_score_file(live_server: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(f"query,document\n최신 기술,{DOCUMENTS[1]}\n가\n".encode("cp949"))
    first, second = map(json.loads, _output("score_file.py", path, url=live_server))
    assert -1 <= first["score"] <= 1
    assert second["error"]["code"] == "invalid_input"


def test_score_file_says_what_is_wrong(live_server: str, documents: Path) -> None:
    done = _run("score_file.py", documents, url=live_server)
    assert done.returncode == 1
    assert "The file has no column 'query'" in done.stderr


def test_embed_corpus(live_server: str, documents: Path, tmp_path: Path) -> None:
    output = tmp_path / "vectors.npy"
    _output("embed_corpus.py", documents, output, url=live_server)
    vectors = np.load(output)
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_every_example_is_run() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    for example in EXAMPLES.glob("*.py"):
        assert f'"{example.name}"' in tested
