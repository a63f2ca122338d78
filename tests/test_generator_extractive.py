"""Answers in the words of the documents."""

from collections.abc import Callable, Iterator

import pytest
from answering_sources import request_of, source_of
from running_service import wait_until

from inference.answering.extractive import ExtractiveGenerator
from inference.corpus.base import PassagePlace
from inference.lifecycle import State
from inference.reader import Reader
from inference.reader_model import open_reader

FAQ = source_of(
    1,
    "앱의 설정 메뉴에서 바꾸실 수 있습니다.\n신분증이 필요합니다. 문의는 고객센터로 해 주세요!",
    title="비밀번호는 어떻게 바꾸나요?",
)
CASTLE = (
    "수원 화성은 조선 정조 때 지은 성곽이다. 정약용이 설계에 참여하였다. "
    "1997년에 유네스코 세계유산으로 등재되었다. 둘레는 약 5.7킬로미터이다."
)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader(open_reader("ko-reader"))
    reader.start()
    wait_until(lambda: reader.state is not State.LOADING)
    yield reader
    reader.close()


def _answer(generator: ExtractiveGenerator, question: str, *sources: object) -> str:
    return "".join(generator.generate(request_of(question, *sources)))  # type: ignore[arg-type]


def test_entry_of_a_faq_is_quoted_whole_sentence_by_sentence() -> None:
    pieces = list(ExtractiveGenerator().generate(request_of("비밀번호 변경", FAQ)))
    assert pieces == [
        "앱의 설정 메뉴에서 바꾸실 수 있습니다.\n",
        "신분증이 필요합니다. ",
        "문의는 고객센터로 해 주세요!",
        " [1]",
    ]


def test_entry_is_quoted_where_its_answer_was_found_too() -> None:
    found = source_of(1, FAQ.document.text, title="비밀번호", passage=PassagePlace("text", 0, 5))
    assert _answer(ExtractiveGenerator(), "설정", found) == f"{FAQ.document.text} [1]"


def test_reader_finds_the_sentence_and_its_source(reader: Reader) -> None:
    other = source_of(1, "경복궁은 조선의 으뜸 궁궐이다. 태조가 한양으로 도읍을 옮기며 지었다.")
    begin = CASTLE.index("정약용")
    castle = source_of(
        2, f"머리말이다. {CASTLE}", passage=PassagePlace("text", 7 + begin, 7 + len(CASTLE))
    )
    generation = ExtractiveGenerator(reader).generate(
        request_of("수원 화성이 유네스코 세계유산으로 등재된 것은 언제인가?", other, castle)
    )
    assert "".join(generation) == "1997년에 유네스코 세계유산으로 등재되었다. [2]"
    assert generation.usage.prompt_tokens


def test_long_section_with_a_title_is_read_and_not_quoted_whole(reader: Reader) -> None:
    filler = "이 문단은 다른 이야기를 길게 이어 간다. " * 40
    section = source_of(1, f"{filler}{CASTLE}", title="수원 화성")
    answer = _answer(
        ExtractiveGenerator(reader), "언제 유네스코 세계유산으로 등재되었나요?", section
    )
    assert answer == "1997년에 유네스코 세계유산으로 등재되었다. [1]"


def test_it_says_when_the_reader_finds_nothing() -> None:
    reader = Reader(open_reader("ko-reader"), no_answer_threshold=-1000.0)
    reader.start()
    wait_until(lambda: reader.state is not State.LOADING)
    answer = _answer(ExtractiveGenerator(reader), "정약용은 무엇을 했나요?", source_of(1, CASTLE))
    reader.close()
    assert answer == (
        "자료에서 꼭 맞는 답은 찾지 못했습니다. 가장 가까운 내용을 알려 드립니다. "
        "정약용이 설계에 참여하였다. [1]"
    )


def _closed_reader() -> Reader:
    reader = Reader(open_reader("ko-reader"))
    reader.start()
    reader.close()
    return reader


@pytest.mark.parametrize("make_reader", [lambda: None, _closed_reader])
def test_nearest_sentence_where_no_reader_answers(make_reader: Callable[[], Reader | None]) -> None:
    generator = ExtractiveGenerator(make_reader())
    generation = generator.generate(request_of("유네스코 등재 시기", source_of(1, CASTLE)))
    assert "".join(generation) == "1997년에 유네스코 세계유산으로 등재되었다. [1]"
    assert generation.usage.prompt_tokens is None


def test_nothing_is_read_before_the_first_piece_is_asked_for(reader: Reader) -> None:
    generation = ExtractiveGenerator(reader).generate(request_of("질문", source_of(1, CASTLE)))
    generation.close()
    assert generation.usage.prompt_tokens is None
