"""Answers in the words of the documents, without a language model."""

from collections.abc import Iterator, Sequence

from inference.answering.base import Generation, Request, Source, Usage
from inference.chunk import split_sentences
from inference.corpus.keywords import tokens
from inference.errors import ModelUnavailable
from inference.reader import Reader

# What a title stands over is a whole answer up to so many characters; more is a chapter.
_ANSWER_CHARACTERS = 1000

# What a reader reads of a text whose title was found, for want of a nearer place.
_READ_CHARACTERS = 4000

_NOT_SURE = "자료에서 꼭 맞는 답은 찾지 못했습니다. 가장 가까운 내용을 알려 드립니다. "


class ExtractiveGenerator:
    """Quotes a source: an entry of a FAQ whole, and of other texts the sentence that answers.

    Args:
        reader: finds that sentence; without one, or where it has failed, the sentence that shares
            the most words with the question is taken.
    """

    def __init__(self, reader: Reader | None = None) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        return "extractive"

    def generate(self, request: Request) -> Generation:
        usage = Usage()
        return Generation(self._pieces(request, usage), usage)

    def close(self) -> None:
        """The reader is not ended: others use it too."""

    def _pieces(self, request: Request, usage: Usage) -> Iterator[str]:
        best = request.sources[0]
        if best.document.title and len(best.document.text) <= _ANSWER_CHARACTERS:
            yield from _quote(best.document.text, best)
            return
        texts = [_readable(source) for source in request.sources]
        try:
            yield from self._read(request, texts, usage)
        except ModelUnavailable:
            yield from _quote(_nearest_sentence(texts[0], request.question), best)

    def _read(self, request: Request, texts: Sequence[str], usage: Usage) -> Iterator[str]:
        """The sentence around the reader's answer, or the nearest one if it finds none.

        Raises:
            ModelUnavailable: there is no reader, or it cannot answer now.
        """
        if self._reader is None:
            raise ModelUnavailable("There is no reader.")
        answers = self._reader.answer(request.question, texts)
        usage.prompt_tokens = answers.tokens
        if answers.found:
            answer = answers.answers[0]
            text = texts[answer.document_index]
            sentence = _around(text, answer.start, answer.end)
            yield from _quote(sentence, request.sources[answer.document_index])
        else:
            yield _NOT_SURE
            sentence = _nearest_sentence(texts[0], request.question)
            yield from _quote(sentence, request.sources[0])


def _readable(source: Source) -> str:
    """The passage; a title stands for the beginning of its text."""
    if source.passage.field == "title":
        return source.document.text[:_READ_CHARACTERS]
    return source.document.text[source.passage.start : source.passage.end]


def _quote(text: str, source: Source) -> Iterator[str]:
    """A text sentence by sentence, and where it is from."""
    text = text.strip()
    for sentence in split_sentences(text):
        yield text[sentence.start : sentence.end]
    yield f" [{source.number}]"


def _around(text: str, start: int, end: int) -> str:
    """The sentences that hold ``text[start:end]``."""
    held = [part for part in split_sentences(text) if part.start < end and part.end > start]
    return text[held[0].start : held[-1].end]


def _nearest_sentence(text: str, question: str) -> str:
    """The first of the sentences that share the most words, or parts of them, with a question."""
    wanted = set(tokens(question))
    sentences = [text[part.start : part.end] for part in split_sentences(text)]
    return max(sentences, key=lambda sentence: len(wanted.intersection(tokens(sentence))))
