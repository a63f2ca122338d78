"""``ssang feedback export``: from votes to labelled pairs, and on to ``ssang calibrate``."""

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ssang_command import refusal_here, ssang, ssang_here
from tiny_model import SENTENCES, save_bert

from inference.feedback import CitedSource, FeedbackStore, Verdict, Vote


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(data: Path) -> Iterator[FeedbackStore]:
    with closing(FeedbackStore(data / "feedback.sqlite")) as store:
        yield store


def _vote(
    store: FeedbackStore,
    question: str,
    passage: str,
    verdict: Verdict = "up",
    collection: str = "faq",
) -> str:
    source = CitedSource("1", "제목", passage, 1)
    return store.add(
        Vote(verdict, "고맙습니다.", collection, question, "답변입니다. [1]", "ko-mini", [source])
    )


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _queries(data: Path, *arguments: object) -> list[str]:
    done = ssang_here("feedback", "export", "--data-dir", data, *arguments)
    assert done.returncode == 0, done.stderr
    return [pair["query"] for pair in _lines(done.stdout)]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl"])
def test_calibrate_reads_what_is_exported(
    store: FeedbackStore, data: Path, tmp_path: Path, name: str
) -> None:
    model, pairs, found = save_bert(tmp_path / "tiny"), tmp_path / name, tmp_path / "found.json"
    for sentence in SENTENCES:
        _vote(store, sentence, sentence)
        _vote(store, sentence, sentence[::-1], "down")
    taken_back = _vote(store, SENTENCES[0], SENTENCES[1])
    store.remove(taken_back)
    done = ssang("feedback", "export", "-o", pairs, "--data-dir", data)
    assert done.returncode == 0, done.stderr
    count = len(SENTENCES)
    assert done.stderr == f"{count} pairs with a thumb up and {count} with one down are written.\n"
    done = ssang("calibrate", pairs, "--output", found, model=model)
    assert done.returncode == 0, done.stderr
    written = json.loads(found.read_text(encoding="utf-8"))
    boundary = written["calibration"]["boundaries"]["binary"]
    assert (boundary["positives"], boundary["negatives"]) == (count, count)
    assert boundary["balanced_accuracy"] > 0.9
    assert set(written["thresholds"]) == {"binary"}


def test_a_csv_opens_right_in_a_spreadsheet(
    store: FeedbackStore, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "pairs.csv"
    _vote(store, "=1+1", "첫째 줄\n둘째 줄, 끝", "down")
    done = ssang_here("feedback", "export", "-o", output, "--data-dir", data)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes().startswith(b"\xef\xbb\xbf")
    with output.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row)[:3] == ["query", "document", "label"]
    # A formula of whoever asked is run by nobody.
    assert (row["query"], row["document"], row["label"]) == ("'=1+1", "첫째 줄\n둘째 줄, 끝", "0")
    assert (row["document_id"], row["title"], row["comment"]) == ("1", "제목", "고맙습니다.")


def test_standard_output_gets_json_lines(store: FeedbackStore, data: Path) -> None:
    _vote(store, "=1+1", "답변")
    done = ssang_here("feedback", "export", "--data-dir", data)
    (pair,) = _lines(done.stdout)
    assert (pair["query"], pair["document"], pair["label"]) == ("=1+1", "답변", 1)
    assert (pair["collection"], pair["model"]) == ("faq", "ko-mini")


def test_one_collection_alone(store: FeedbackStore, data: Path) -> None:
    _vote(store, "카드", "가")
    _vote(store, "민원", "나", collection="민원")
    assert _queries(data) == ["카드", "민원"]
    assert _queries(data, "--collection", "민원") == ["민원"]
    assert _queries(data, "--collection", "none") == []


def test_votes_since_a_moment(store: FeedbackStore, data: Path) -> None:
    _vote(store, "질문", "가")
    now = datetime.now()
    assert _queries(data, "--since", f"{now - timedelta(days=1):%Y-%m-%d}") == ["질문"]
    later = now + timedelta(minutes=5)
    assert _queries(data, "--since", f"{later:%Y-%m-%dT%H:%M:%S}") == []
    assert _queries(data, "--since", f"{now + timedelta(days=1):%Y-%m-%d}") == []


def test_what_cannot_be_exported_is_one_sentence(
    store: FeedbackStore, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "pairs.csv"
    nothing = refusal_here("feedback", "export", "-o", output, "--data-dir", data)
    assert str(data) in nothing
    assert "--data-dir" in nothing
    # To look makes no file.
    assert not data.exists()
    _vote(store, "질문", "가")
    assert ".csv or .jsonl" in refusal_here(
        "feedback", "export", "-o", tmp_path / "pairs.xlsx", "--data-dir", data
    )
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
