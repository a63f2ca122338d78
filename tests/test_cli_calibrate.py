"""``ssang calibrate``: from labelled pairs to the model's ssang.json."""

import json
from pathlib import Path

import pytest
from ssang_command import named_pipe, refusal, ssang
from tiny_model import SENTENCES, save_bert, write_json

from inference.model import open_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_bert(tmp_path / "tiny")


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Equal pairs with the label 5, near ones with 3, others with 0, and a few that are no use."""
    path = tmp_path / "sts.tsv"
    rows = ["score\tsentence1\tsentence2"]
    for number, sentence in enumerate(SENTENCES * 2):
        rows.append(f"5.000\t{sentence} {number}\t{sentence} {number}")
        rows.append(f"3.000\t{sentence} {number}\t{sentence[:-2]} {number}")
        rows.append(f"0.000\t{sentence} {number}\t{SENTENCES[(number + 1) % 6][::-1]}")
    path.write_text("\n".join([*rows, "?\t가\t나", "5\t가\t "]), encoding="utf-8")
    return path


def test_thresholds_come_into_the_models_file(model: Path, scored: Path, tmp_path: Path) -> None:
    write_json(model / "ssang.json", {"thresholds": {"high": 0.9}, "prompts": {"query": ""}})
    picture = tmp_path / "a.png"
    levels = ["--high", 4, "--medium", 2.5, "--binary", 3]
    done = ssang("calibrate", scored, *levels, "--plot", picture, model=model)
    assert done.returncode == 0, done.stderr
    assert "1 rows could not be scored" in done.stderr
    written = json.loads((model / "ssang.json").read_text(encoding="utf-8"))
    assert written["prompts"] == {"query": ""}
    origin = written["calibration"]
    assert (origin["data"], origin["rows"]) == ("sts.tsv", 36)
    high = origin["boundaries"]["high"]
    assert (high["least_label"], high["positives"], high["negatives"]) == (4.0, 12, 24)
    assert high["balanced_accuracy"] > 0.9
    thresholds = open_model(str(model)).thresholds
    assert thresholds.medium < thresholds.high <= 1.0
    assert thresholds.high == written["thresholds"]["high"]
    assert f"{thresholds.high:.4f}" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_named_pipe_is_read_like_a_file(model: Path, scored: Path, tmp_path: Path) -> None:
    pipe = named_pipe(tmp_path / "pipe", scored.read_bytes())
    levels = ["--high", 4, "--medium", 2.5, "--binary", 3, "--dry-run"]
    of_pipe, of_file = (
        ssang("calibrate", source, *levels, model=model) for source in (pipe, scored)
    )
    assert of_pipe.returncode == 0, of_pipe.stderr
    assert of_pipe.stdout == of_file.stdout


def test_labels_of_0_and_1_give_the_threshold_of_a_match(model: Path, tmp_path: Path) -> None:
    path, output = tmp_path / "pairs.jsonl", tmp_path / "found.json"
    rows = [{"query": text, "document": text, "label": 1} for text in SENTENCES]
    rows += [{"query": text, "document": text[::-1], "label": 0} for text in SENTENCES]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    done = ssang("calibrate", path, "--output", output, model=model)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(output.read_text(encoding="utf-8"))["thresholds"]) == {"binary"}
    assert not (model / "ssang.json").exists()


def test_the_embedded_model_is_left_alone(scored: Path) -> None:
    assert "--output" in refusal("calibrate", scored, "--high", 4)
    assert "--output" in refusal("calibrate", scored, "--model", "models/ko-mini")


def test_labels_that_say_too_little_are_refused(scored: Path, tmp_path: Path) -> None:
    assert "from 0 to 5" in refusal("calibrate", scored, "--dry-run")
    path = tmp_path / "a.csv"
    path.write_text("query,document,label\n가,나,yes\n", encoding="utf-8")
    assert "no numbers" in refusal("calibrate", path, "--dry-run")
    assert "'id'" in refusal("calibrate", path, "--dry-run", "--label-column", "id")
