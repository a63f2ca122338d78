"""``ssang answer``."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ssang_command import named_pipe
from tiny_reader import save_reader

from webapp.cli import main

QUESTION = "훈민정음은 언제 창제되었나요?"
CONTEXT = "세종은 조선의 제4대 국왕으로,\r\n1443년에 훈민정음을 창제하였다."


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reader(tmp_path_factory.mktemp("reader") / "tiny")


@pytest.fixture
def ask(reader: Path) -> "Ask":
    return Ask(reader)


class Ask:
    """Runs the command with a small reader."""

    def __init__(self, reader: Path) -> None:
        self.reader = reader

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> Result:
        flags = ["--reader", str(self.reader), "--doc-stride", "32", "--device", "cpu"]
        return CliRunner().invoke(main, ["answer", QUESTION, *flags, *arguments], input=stdin)


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16"])
def test_file_is_read_in_its_encoding(ask: Ask, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "context.txt"
    file.write_bytes(CONTEXT.encode(encoding))
    from_file = ask(str(file), "--json")
    assert from_file.exit_code == 0, from_file.output
    body = json.loads(from_file.output)
    assert body["model"] == "tiny"
    assert CONTEXT[body["start"] : body["end"]] == body["answer"]


def test_standard_input_and_context_are_read_alike(ask: Ask) -> None:
    piped = ask("-", "-n", "3", stdin=CONTEXT.encode())
    assert piped.exit_code == 0, piped.output
    assert piped.output == ask("--context", CONTEXT, "-n", "3").output
    shown = piped.stdout.splitlines()
    assert len(shown) == 6
    part = shown[0].split("  ", 1)[1]
    # On one line, whatever line breaks the text has.
    assert f"[{part}]" in shown[1]


def test_named_pipe_is_read_like_a_file(ask: Ask, tmp_path: Path) -> None:
    pipe = named_pipe(tmp_path / "pipe", CONTEXT.encode("cp949"))
    read = ask(str(pipe), "-n", "3")
    assert read.exit_code == 0, read.output
    assert read.output == ask("--context", CONTEXT, "-n", "3").output


def test_no_answer_is_said(ask: Ask) -> None:
    result = ask("--context", CONTEXT, "--no-answer-threshold", "-100")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "does not seem to answer" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give the text as a file"),
        (("-", "--context", CONTEXT), "Give the text as a file"),
        (("--context", CONTEXT, "--reader", "none"), "turned off"),
        (("--context", CONTEXT, "--reader", "no-such-reader"), "no-such-reader"),
        (("--context", CONTEXT, "--n-best", "0"), "n_best"),
        (("--context", CONTEXT, "--max-seq-length", "97"), "reads 96 tokens"),
    ],
)
def test_mistakes_are_one_plain_sentence(
    ask: Ask, arguments: tuple[str, ...], message: str
) -> None:
    result = ask(*arguments, stdin=CONTEXT.encode())
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output


def test_bytes_that_are_no_text_are_refused(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "context.txt"
    file.write_bytes(CONTEXT.encode() + b"\xff\xff")
    assert "not text" in ask(str(file)).output
