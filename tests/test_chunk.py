import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.chunk import Passage, split_passages, split_sentences

TEXT = st.text(st.sampled_from("가나 다.!?\n\"'）x "), max_size=120)


def _spans(text: str) -> list[tuple[int, int]]:
    """Words as tokens."""
    return [match.span() for match in re.finditer(r"\S+", text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("비가 와요.", ["비가 와요."]),
        ("비가 와요. 우산 있어요?", ["비가 와요. ", "우산 있어요?"]),
        ('그는 "가자." 라고 했다. 끝.', ['그는 "가자." ', "라고 했다. ", "끝."]),
        ("첫 줄\n둘째 줄", ["첫 줄\n", "둘째 줄"]),
        ("3.14는 수입니다. 예!", ["3.14는 수입니다. ", "예!"]),
        ("", []),
    ],
)
def test_sentences_end_at_marks_and_lines(text: str, sentences: list[str]) -> None:
    assert [text[s.start : s.end] for s in split_sentences(text)] == sentences


@given(TEXT)
def test_sentences_cover_the_text(text: str) -> None:
    assert "".join(text[s.start : s.end] for s in split_sentences(text)) == text


def test_short_text_is_one_passage() -> None:
    text = " 하나 둘. 셋 "
    assert split_passages(text, _spans(text), 3) == [Passage(1, 8)]


def test_passages_end_with_sentences_and_overlap() -> None:
    sentences = [f"문장 번호 {number} 입니다." for number in range(12)]
    text = " ".join(sentences)
    passages = split_passages(text, _spans(text), 32)
    pieces = [text[p.start : p.end] for p in passages]
    assert all(piece.endswith("입니다.") and piece.startswith("문장") for piece in pieces)
    assert pieces[0].endswith(sentences[7])
    assert pieces[1].startswith(sentences[7])
    assert pieces[-1].endswith(sentences[-1])


def test_sentence_over_the_limit_is_cut_between_tokens() -> None:
    text = " ".join(f"낱말{number}" for number in range(25))
    passages = split_passages(text, _spans(text), 10)
    assert [len(_spans(text[p.start : p.end])) for p in passages] == [10, 10, 5]


@given(TEXT, st.integers(1, 9))
def test_passages_hold_every_token_and_none_is_too_long(text: str, limit: int) -> None:
    spans = _spans(text)
    if not spans:
        return
    passages = split_passages(text, spans, limit)
    assert all(len(_spans(text[p.start : p.end])) <= limit for p in passages)
    for start, end in spans:
        assert any(p.start <= start and end <= p.end for p in passages)
    assert [p.start for p in passages] == sorted({p.start for p in passages})
