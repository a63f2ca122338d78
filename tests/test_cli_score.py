"""``ssang score``, the files it writes, ``ssang info``, and the command line as a whole."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssang_command import named_pipe, refusal, ssang
from tiny_model import SENTENCES, WIDTH, save_bert

from inference.score_file import open_score_file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("model") / "tiny")


def test_scores_open_right_in_excel(model: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "a.csv", tmp_path / "scores.csv"
    rows = f"=1+1,{SENTENCES[0]}\n나\n{SENTENCES[1]},{SENTENCES[1]}\n"
    source.write_bytes(f"query,document\n{rows}".encode("cp949"))
    done = ssang("score", source, "-o", output, model=model)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"2 of 3 rows are scored in {output}, 1 could not be and say why.\n"
    assert output.read_bytes().startswith(b"\xef\xbb\xbf")
    with output.open(encoding="utf-8-sig", newline="") as file:
        first, second, third = csv.DictReader(file)
    assert first["query"] == "'=1+1"
    assert -1 <= float(first["score"]) <= 1
    assert "document" in second["error"]
    assert float(third["score"]) == pytest.approx(1.0, abs=1e-5)
    assert (third["grade"], third["match"], third["truncated"]) == ("high", "true", "false")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "scores.csv"]


def test_named_pipe_is_scored_like_a_file(model: Path, tmp_path: Path) -> None:
    content = f"query,document\n{SENTENCES[0]},{SENTENCES[1]}\n".encode("cp949")
    file, pipe = tmp_path / "a.csv", named_pipe(tmp_path / "pipe", content)
    file.write_bytes(content)
    for source, output in ((file, tmp_path / "file.csv"), (pipe, tmp_path / "pipe.csv")):
        done = ssang("score", source, "-o", output, model=model)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "pipe.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()


def test_json_lines_say_the_same_as_the_api(model: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "a.tsv", tmp_path / "scores.jsonl"
    source.write_text(f"a\tb\n{SENTENCES[0]}\t{SENTENCES[1]}\n", encoding="utf-16")
    options = ["--query-column", "a", "--document-column", "b", "--max-length", "4"]
    done = ssang("score", source, "-o", output, *options, "--no-truncate", model=model)
    assert done.returncode == 0, done.stderr
    (row,) = map(json.loads, output.read_text(encoding="utf-8").splitlines())
    assert set(row) == {"row", "query", "document", "error"}
    assert "tokens" in row["error"]


def test_what_cannot_be_scored_is_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("a,b\n1,2\n")
    assert "it has 'a', 'b'" in refusal("score", source, "-o", tmp_path / "b.csv")
    assert ".csv or .jsonl" in refusal("score", source, "-o", tmp_path / "b.xlsx")
    missing = refusal("score", source, "-o", tmp_path / "none" / "b.csv")
    assert "none/b.csv" in missing
    assert missing.endswith("No such file or directory.")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@given(st.text(max_size=10).map(lambda text: text.replace("\0", "")))
def test_no_cell_is_a_formula(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "formula.csv"
    text = text.encode("utf-8", "replace").decode()
    with open_score_file(path) as write:
        write([{"row": 1, "query": text, "score": np.float32(-0.5)}])
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["query"] in {text, f"'{text}"}
    assert not row["query"].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert row["score"] == "-0.5"


def test_a_failed_run_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="dict contains fields"), open_score_file(path) as write:
        write([{"row": 1}, {"no such column": 1}])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_info_describes_the_model(model: Path) -> None:
    done = ssang("info", "--json", "--dimensions", 8, model=model)
    described = json.loads(done.stdout)
    assert (described["model"], described["dimension"]) == ("tiny", 8)
    assert described["pooling"] == "mean"
    text = ssang("info", model=model)
    assert f"dimension         {WIDTH}\n" in text.stdout
    assert "warning: " in text.stderr


def test_help_comes_at_once_and_names_every_command() -> None:
    done = ssang("--help")
    for command in ("serve", "encode", "score", "info", "calibrate", "doctor"):
        assert f"  {command} " in done.stdout
        assert "--help" in ssang(command, "--help").stdout


def test_a_model_that_does_not_load_is_one_sentence(model: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "tokenizer.json").write_text("{}")
    assert "broken" in refusal("info", model=broken)
