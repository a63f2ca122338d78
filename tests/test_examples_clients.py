"""The examples with other servers' clients, run as a user runs them, against a running service."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.engine import Engine

CLIENTS = Path(__file__).parent.parent / "examples" / "clients"

QUERY = "최신 기술"
DOCUMENTS = ["파리의 에펠탑", "인공지능 기술이 빠르게 발전하고 있습니다.", "맛있는 김치찌개"]


@pytest.mark.parametrize(
    "name",
    [
        "openai_embeddings.py",
        "langchain_collections.py",
        "langchain_embeddings.py",
        "cohere_rerank.py",
        "huggingface_inference.py",
    ],
)
def test_documents_are_printed_best_first(
    name: str, exact_server: str, engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "documents.txt"
    path.write_text("\n".join(DOCUMENTS), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, CLIENTS / name, QUERY, path],
        env={**os.environ, "SSANG_URL": exact_server},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    printed = [line.split(" ", 1) for line in done.stdout.splitlines()]
    ranked = engine.rank(QUERY, DOCUMENTS).results
    assert [text for _, text in printed] == [DOCUMENTS[result.index] for result in ranked]
    scores = [float(score) for score, _ in printed]
    assert scores == pytest.approx([float(result.score) for result in ranked], abs=1e-3)


def test_every_client_example_is_run() -> None:
    tests = "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")
    )
    for example in CLIENTS.glob("*.py"):
        assert f'"{example.name}"' in tests, example.name
