"""``ssang ask``: one question, or a conversation at a terminal."""

import os
import pty
import subprocess
from pathlib import Path

import pytest
from ssang_command import SSANG, environment, refusal, ssang, ssang_here
from tiny_model import save_bert

from webapp.answer_schema import AskReply

QUESTION = "카드를 잃어버렸습니다."
ANSWER = (
    "바로 고객센터나 앱에서 분실 신고를 해 주세요. 신고가 접수되면 사용이 즉시 정지되고, "
    "재발급도 함께 신청하실 수 있습니다. [1]"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model, to which everything is near but for what is said otherwise."""
    folder = save_bert(tmp_path_factory.mktemp("model") / "tiny")
    (folder / "ssang.json").write_text('{"answer_floor": 0.99, "answer_margin": 0.0001}')
    return folder


@pytest.fixture(scope="module")
def data(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample FAQ as collection ``faq``."""
    data = tmp_path_factory.mktemp("data")
    done = ssang("index", "faq", "--sample", "--data-dir", data, model=model)
    assert done.returncode == 0, done.stderr
    return data


def test_an_answer_is_told_with_its_sources(model: Path, data: Path) -> None:
    done = ssang(
        "ask", "faq", QUESTION, "-k", 1, "--reader", "none", "--data-dir", data, model=model
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ANSWER}\n[1] {QUESTION}  (cosine 1.0000)\n"


def test_json_is_what_the_api_answers(model: Path, data: Path) -> None:
    done = ssang("ask", "faq", QUESTION, "--json", "--data-dir", data, model=model)
    reply = AskReply.model_validate_json(done.stdout, strict=True)
    assert (reply.answer, reply.found, reply.generator) == (ANSWER, True, "extractive")
    assert reply.sources[0].document.title == QUESTION


def test_what_cannot_be_asked(model: Path, data: Path) -> None:
    missing = refusal("ask", "none", QUESTION, "--reader", "none", "--data-dir", data, model=model)
    assert "no such collection" in missing
    for arguments in ((), ("--json",)):
        done = ssang_here("ask", "faq", *arguments, stdin="")
        assert done.returncode == 2
        assert "Give a question" in done.stderr


def test_a_conversation_at_a_terminal(model: Path, data: Path) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard, os.fdopen(theirs, "rb") as terminal:
        # The second has no text; the last ends it.
        keyboard.write(f"{QUESTION}\n\n{QUESTION}\n\x04".encode())
        done = subprocess.run(
            [*SSANG, "ask", "faq", "-k", "1", "--reader", "none", "--data-dir", str(data)],
            env=environment(model),
            stdin=terminal,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(ANSWER) == 2
    assert done.stdout.count("> ") == 4
    assert done.stdout.endswith("> \n")


def test_a_service_does_not_start_with_a_generator_that_lacks_something(model: Path) -> None:
    assert "generator_model" in refusal("serve", "--generator", "openai", model=model)
