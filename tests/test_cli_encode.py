"""``ssang encode``: any input, any output, and runs that end before they should."""

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from running_service import wait_until
from ssang_command import SSANG, environment, refusal, ssang, start
from tiny_model import SENTENCES, WIDTH, save_bert

from inference.encoding_run import PART_TEXTS, EncodingRun
from inference.errors import Conflict, InvalidInput
from inference.text_source import open_texts
from inference.vector_file import check_vector_file

# Bytes of NumPy's header, and of a part's numbers.
_HEADER = 128
_PART = 4 * PART_TEXTS * WIDTH

MANY = 5 * PART_TEXTS + 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    lines = (f"{SENTENCES[number % 5][: number % 17 + 3]} {number}\n" for number in range(MANY))
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(model: Path, texts: Path) -> bytes:
    """The vectors of a run that nothing disturbed."""
    output = texts.with_name("whole.npy")
    done = ssang("encode", texts, "-o", output, model=model)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"{MANY:,} texts are in {output}.\n"
    assert not done.stdout
    return output.read_bytes()


def _start(texts: Path, output: Path, model: Path) -> subprocess.Popen[str]:
    """A run of which some parts are finished."""
    process = start("encode", texts, "-o", output, model=model)
    wait_until(lambda: _parts(output) >= 2)
    return process


def _parts(output: Path) -> int:
    return len(list(output.with_name(f"{output.name}.parts").glob("part-*.npy")))


def test_vectors_are_unit_vectors_in_order(whole: bytes, texts: Path, tmp_path: Path) -> None:
    vectors = np.load(texts.with_name("whole.npy"))
    assert vectors.shape == (MANY, WIDTH)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert not texts.with_name("whole.npy.parts").exists()


def test_a_killed_run_goes_on_to_the_same_bytes(
    model: Path, texts: Path, whole: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "killed.npy"
    process = _start(texts, output, model)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not output.exists()
    first = tmp_path / "killed.npy.parts" / "part-000000.npy"
    assert first.read_bytes()[_HEADER:] == whole[_HEADER : _HEADER + _PART]
    # Marked, so that it shows whether it is made again.
    np.save(first, np.zeros((PART_TEXTS, WIDTH), np.float32))
    done = ssang("encode", texts, "-o", output, model=model)
    assert done.returncode == 0, done.stderr
    unmarked = whole[:_HEADER] + bytes(_PART) + whole[_HEADER + _PART :]
    assert output.read_bytes() == unmarked
    assert [path.name for path in tmp_path.iterdir()] == ["killed.npy"]


def test_ctrl_c_says_how_to_go_on_and_another_model_refuses_to(
    model: Path, texts: Path, tmp_path: Path
) -> None:
    output = tmp_path / "stopped.npy"
    process = _start(texts, output, model)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "give the same command to go on" in message
    assert "Traceback" not in message
    other = save_bert(tmp_path / "other", seed=1)
    sentence = refusal("encode", texts, "-o", output, model=other)
    assert "had another model: make them the same to go on, or restart" in sentence
    done = ssang("encode", "-", "-o", output, "--restart", model=other, stdin="가\n나\n")
    assert done.returncode == 0, done.stderr
    assert np.load(output).shape == (2, WIDTH)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_tables_and_standard_input_give_texts_and_numbers(
    model: Path, tmp_path: Path, suffix: str
) -> None:
    source, output = tmp_path / "a.csv", tmp_path / f"a{suffix}"
    source.write_text("id,text\n1,가나다\n2,\n3,라마바\n", encoding="cp949")
    options = ["--column", "TEXT", "--skip-empty", "--dimensions", "8"]
    done = ssang("encode", source, "-o", output, *options, model=model)
    assert done.returncode == 0, done.stderr
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    else:
        rows = parquet.read_table(output).to_pylist()
    assert [(row["row"], row["text"]) for row in rows] == [(1, "가나다"), (3, "라마바")]
    assert [len(row["embedding"]) for row in rows] == [8, 8]
    plain = tmp_path / "b.npy"
    options = ["--dimensions", "8", "--max-length", "64"]
    done = ssang("encode", "-", "-o", plain, *options, model=model, stdin="가나다\n라마바")
    assert done.returncode == 0, done.stderr
    assert np.allclose(np.load(plain), [row["embedding"] for row in rows], atol=1e-6)


def test_cut_texts_are_counted(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.npy"
    options = ["--max-length", "4"]
    done = ssang("encode", "-", "-o", output, *options, model=model, stdin=f"{SENTENCES[0]}\n가\n")
    assert "1 of them were too long and were cut" in done.stderr


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        ("가\n\n나\n", [], "Line 2 is empty"),
        ("\n \n", ["--skip-empty"], "holds no texts"),
        ("", [], "The file is empty"),
        ("id\n1\n", ["--column", "text"], "no column 'text'; it has 'id'"),
        ("text,id\n가,1\n나,다,라\n", ["--column", "text"], "Row 2: The row has 3 columns"),
        ("text,id\n,1\n", ["--column", "text"], "Row 1 is empty"),
    ],
)
def test_what_cannot_be_read_is_told_before_the_model_is_loaded(
    content: str, options: list[str], problem: str, tmp_path: Path
) -> None:
    sentence = refusal("encode", "-", "-o", tmp_path / "a.npy", *options, stdin=content)
    assert problem in sentence
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_are_one_sentence(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.npy"
    assert ".npy, .jsonl, .parquet" in refusal("encode", "-", "-o", tmp_path / "a.txt", stdin="가")
    arguments = ["encode", "-", "-o", output]
    assert "no model 'none'" in refusal(*arguments, "--model", "none", stdin="가")
    assert "max_length" in refusal(*arguments, "--max-length", "1", model=model, stdin="가")
    assert "Device 'tpu'" in refusal(*arguments, "--device", "tpu", model=model, stdin="가")


def test_parquet_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InvalidInput, match=r"pip install 'ssang\[parquet\]'"):
        check_vector_file(Path("a.parquet"))


def test_finished_parts_are_not_made_again(tmp_path: Path) -> None:
    first = EncodingRun(tmp_path / "parts", {"input": "a"})
    with first.locked():
        first.add(np.ones((2, 3), np.float32), truncated=1)
        with pytest.raises(Conflict, match="Another run"), first.locked():
            pass
    second = EncodingRun(tmp_path / "parts", {"input": "a"})
    second.resume()
    assert (second.parts, second.truncated) == (1, 1)
    (vectors,) = second.vectors()
    assert vectors.tolist() == [[1.0] * 3] * 2
    second.remove()
    assert not second.folder.exists()


def test_another_run_may_not_go_on(tmp_path: Path) -> None:
    run = EncodingRun(tmp_path, {"input": "a", "kind": "query", "model": "m"})
    run.add(np.ones((2, 3), np.float32), truncated=0)
    other = EncodingRun(tmp_path, {"input": "b", "kind": "document", "model": "m"})
    with pytest.raises(Conflict, match="another input and kind:"):
        other.resume()
    other.restart()
    other.resume()
    assert other.parts == 0


def test_a_part_that_the_state_does_not_count_is_made_again(tmp_path: Path) -> None:
    run = EncodingRun(tmp_path, {})
    run.add(np.ones((2, 3), np.float32), truncated=0)
    (tmp_path / "part-000001.npy").write_bytes(b"half a part")
    again = EncodingRun(tmp_path, {})
    again.resume()
    again.add(np.zeros((1, 3), np.float32), truncated=0)
    assert [len(vectors) for vectors in again.vectors()] == [2, 1]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("가나다라마바사\n".encode() * 50 + b"\xff\n")
    with path.open("rb") as file, pytest.raises(InvalidInput, match="Line 51"):
        list(open_texts(file))


def test_memory_does_not_grow_with_the_texts(model: Path, tmp_path: Path) -> None:
    def peak_mib(count: int) -> float:
        source = tmp_path / f"{count}.txt"
        source.write_text("오늘 날씨가 참 좋네요, 산책을 갈까요?\n" * count, encoding="utf-8")
        command = [*SSANG, "encode", str(source), "-o", str(tmp_path / f"{count}.npy")]
        process = subprocess.Popen(command, env=environment(model), stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss / 1024

    # The vectors alone of the larger one are 18 MiB, its texts another 24.
    assert peak_mib(150_000) - peak_mib(3000) < 15
