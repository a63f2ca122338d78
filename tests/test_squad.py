"""Known cases of KorQuAD 1.0's metric."""

import pytest

from training.squad import exact_match, f1


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("1443년", "1443년"),
        ("《훈민정음》", "훈민정음"),
        ("'세종'  대왕", "세종 대왕"),
        ("1,000원", "1000원"),
        ("U.S.", "us"),
        ("(주) 쌍", "주 쌍"),
        ("서울\u00a0시청", "서울 시청"),
    ],
)
def test_the_same_words_match(answer: str, right: str) -> None:
    assert exact_match(answer, right) == 1.0
    assert f1(answer, right) == 1.0


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("세종대왕", "세종 대왕"),
        ("1443년에", "1443년"),
        # Brackets part words, where other signs join them.
        ("훈민(정음", "훈민정음"),
        # What ASCII does not have stays, but for a few quotes and brackets.
        ("“훈민정음”", "훈민정음"),
        ("「훈민정음」", "훈민정음"),
    ],
)
def test_other_words_do_not_match(answer: str, right: str) -> None:
    assert exact_match(answer, right) == 0.0


@pytest.mark.parametrize(
    ("answer", "right", "score"),
    [
        ("세종대왕", "세종 대왕", 1.0),
        ("세종대왕이", "세종대왕", 8 / 9),
        ("1443년에", "1443년", 10 / 11),
        # Each of a repeated character counts once.
        ("가가나", "가나나", 2 / 3),
        ("세종", "장영실", 0.0),
        ("", "세종", 0.0),
        ("세종", "", 0.0),
        ("...", "!", 0.0),
    ],
)
def test_f1_counts_characters(answer: str, right: str, score: float) -> None:
    assert f1(answer, right) == pytest.approx(score)
