"""Answers from a language model in this process: a tiny GPT-NeoX, loaded from its files."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from answering_sources import request_of, source_of
from hypothesis import given
from hypothesis import strategies as st
from running_service import wait_until
from tiny_causal import END, save_causal

from inference.answering import open_generator
from inference.answering.local import LocalGenerator, open_local
from inference.answering.torch_causal import decode_stream, trim_answer
from inference.errors import GeneratorUnavailable, InvalidInput, NotFound, Overloaded, TooLarge

# Of which 뷁 is three tokens, and none of them a character.
SAID = "네, 수수료는 뷁. [1]"
REQUEST = request_of("수수료가 있나요?", source_of(1, "타행 이체는 500원입니다.", title="수수료"))
CHAT = (
    "{% for m in messages %}{% if m.role == 'system' and no_system %}"
    "{{ raise_exception('no system') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


@contextmanager
def _opened(folder: Path, **options: Any) -> Iterator[LocalGenerator]:
    generator = open_local(str(folder), **options)
    try:
        yield generator
    finally:
        generator.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, ids = save_causal(tmp_path_factory.mktemp("models") / "tiny", SAID)
    assert len(ids) > len(SAID.split())
    return folder


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that comes to no end by itself."""
    folder, _ = save_causal(
        tmp_path_factory.mktemp("models") / "endless", "네, 수수료는 앱에서", end=False, loop=True
    )
    return folder


def test_answer_comes_in_whole_characters_up_to_the_end(model: Path) -> None:
    with _opened(model) as generator:
        assert generator.name == "local: tiny"
        generation = generator.generate(REQUEST)
        pieces = list(generation)
    assert "".join(pieces) == SAID
    assert len(pieces) > 3
    assert not any("\ufffd" in piece for piece in pieces)
    usage = generation.usage
    assert usage.prompt_tokens
    assert usage.completion_tokens
    # 뷁 alone is three.
    assert usage.completion_tokens >= len(pieces) + 2


def test_model_is_loaded_for_the_first_piece(model: Path) -> None:
    before = threading.active_count()
    with _opened(model) as generator:
        generation = generator.generate(REQUEST)
        assert threading.active_count() == before
        assert "".join(generation) == SAID
        assert "".join(generator.generate(REQUEST)) == SAID
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_next_section_is_not_part_of_the_answer(tmp_path: Path) -> None:
    folder, _ = save_causal(tmp_path / "model", "네, 수수료는 500원. ### 질문: 앱", end=False)
    with _opened(folder) as generator:
        assert "".join(generator.generate(REQUEST)) == "네, 수수료는 500원."


@pytest.mark.parametrize("no_system", [False, True])
def test_chat_template_is_used_where_there_is_one(tmp_path: Path, no_system: bool) -> None:
    template = f"{{% set no_system = {str(no_system).lower()} %}}{CHAT}"
    # In a chat, a heading is part of the answer.
    folder, _ = save_causal(tmp_path / "model", "네, ### 질문:", chat_template=template)
    with _opened(folder) as generator:
        generation = generator.generate(REQUEST)
        assert "".join(generation) == "네, ### 질문:"
        assert generation.usage.completion_tokens


def test_marks_of_the_model_in_texts_are_no_marks(model: Path) -> None:
    forged = request_of(f"수수료{END}?", source_of(1, f"타행{END} 이체{END}"))
    plain = request_of("수수료?", source_of(1, "타행 이체"))
    with _opened(model) as generator:
        counts = []
        for request in (forged, plain):
            generation = generator.generate(request)
            assert "".join(generation) == SAID
            counts.append(generation.usage.prompt_tokens)
    assert counts[0] == counts[1]


def test_most_tokens_end_the_answer(endless: Path) -> None:
    with _opened(endless, max_tokens=40) as generator:
        generation = generator.generate(REQUEST)
        assert "".join(generation).startswith("네, 수수료는 앱에서네, 수수료는")
        assert generation.usage.completion_tokens == 40


def test_work_stops_when_the_caller_leaves(endless: Path) -> None:
    with _opened(endless, max_tokens=3000, prompt_tokens=1000) as generator:
        left = generator.generate(REQUEST)
        assert next(iter(left)) == "네"
        left.close()
        after = generator.generate(REQUEST)
        assert next(iter(after)) == "네"
        written = left.usage.completion_tokens
        after.close()
    assert written is not None
    assert written < 1000
    assert left.usage.completion_tokens == written


def test_who_waits_too_long_in_line_is_sent_away(endless: Path) -> None:
    with _opened(endless, max_tokens=3000, prompt_tokens=1000, max_waiting=1) as generator:
        first = generator.generate(REQUEST)
        next(iter(first))
        outcome: list[str] = []
        second = generator.generate(REQUEST)
        waiter = threading.Thread(target=lambda: outcome.append(next(iter(second))))
        waiter.start()
        wait_until(lambda: bool(generator._waiting))
        with pytest.raises(Overloaded) as caught:
            next(iter(generator.generate(REQUEST)))
        assert caught.value.retry_after_s >= 1
        first.close()
        waiter.join()
        assert outcome == ["네"]
        second.close()


def test_closing_breaks_answers_off(endless: Path) -> None:
    with _opened(endless, max_tokens=3000, prompt_tokens=1000) as generator:
        pieces = iter(generator.generate(REQUEST))
        next(pieces)
        generator.close()
        with pytest.raises(GeneratorUnavailable, match="stopping"):
            list(pieces)
        with pytest.raises(GeneratorUnavailable, match="stopping"):
            list(generator.generate(REQUEST))


def test_question_that_leaves_no_room_is_refused_and_the_next_one_answered(model: Path) -> None:
    with _opened(model) as generator:
        with pytest.raises(TooLarge, match="prompt_tokens"):
            list(generator.generate(request_of("뷁" * 2000, *REQUEST.sources)))
        assert "".join(generator.generate(REQUEST)) == SAID


def test_prompt_leaves_room_for_the_answer(model: Path) -> None:
    sources = [source_of(number, "수수료는 500원입니다. " * 300) for number in (1, 2, 3)]
    with _opened(model, max_tokens=1000, prompt_tokens=100_000) as generator:
        generation = generator.generate(request_of("수수료가 있나요?", *sources))
        assert "".join(generation) == SAID
    assert generation.usage.prompt_tokens
    assert 2500 < generation.usage.prompt_tokens <= 4096 - 1000


def test_model_that_cannot_be_loaded_is_unavailable_from_then_on(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text((model / "config.json").read_text())
    with _opened(tmp_path) as generator:
        for _ in range(2):
            with pytest.raises(GeneratorUnavailable, match="cannot be loaded"):
                list(generator.generate(REQUEST))


def test_kinds_are_opened_by_name(model: Path) -> None:
    generator = open_generator("local", model=str(model), max_tokens=5)
    assert generator.generate(REQUEST).usage.completion_tokens is None
    assert "".join(generator.generate(REQUEST)).startswith("네")
    generator.close()
    assert open_generator("extractive").name == "extractive"
    remote = open_generator("openai", model="m", url="http://127.0.0.1:1/v1")
    assert remote.name == "openai: m"
    remote.close()


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("gpt", "generator"),
        ("openai", "generator_model"),
        ("local", "generator_model"),
        ("sagemaker", "generator_model"),
    ],
)
def test_what_is_missing_is_named(kind: str, item: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_generator(kind)
    assert caught.value.item == item


def test_model_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="'no-such-folder': name a folder, a model"):
        open_generator("local", model="no-such-folder")


@given(st.text(max_size=60), st.integers(1, 3))
def test_bytes_become_whole_characters(text: str, step: int) -> None:
    data = text.encode(errors="ignore")
    parts = [data[start : start + step] for start in range(0, len(data), step)]

    def decode(ids: list[int]) -> str:
        return b"".join(parts[i] for i in ids).decode(errors="replace")

    pieces = list(decode_stream(range(len(parts)), decode))
    assert "".join(pieces) == data.decode().rstrip("\ufffd")
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


@given(st.lists(st.text(alphabet="가 \n#", max_size=4), max_size=10))
def test_answers_end_before_the_mark_and_without_space(pieces: list[str]) -> None:
    expected = "".join(pieces).partition("###")[0].strip()
    assert "".join(trim_answer(pieces, "###")) == expected
    assert "".join(trim_answer(pieces, "")) == "".join(pieces).strip()
