"""Long texts cut into passages that a model can read whole, at the ends of sentences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# The end of a sentence: its mark, closing quotes or brackets, and space; or a line break.
_SENTENCE_END = re.compile(r"[.!?。！？…]+[\"'”’)\]」』]*\s+|\n+")

# Share of a passage that the next one repeats, so that what stands at a border is read in context.
_OVERLAP = 0.125


@dataclass(frozen=True)
class Passage:
    """Part of a text by its characters: ``text[start:end]``."""

    start: int
    end: int


def trim(text: str, start: int, end: int) -> Passage:
    """The part of a text less the white space at its ends; empty where there is nothing else.

    >>> trim("비가  와요", 2, 6)
    Passage(start=4, end=6)
    """
    part = text[start:end]
    first = end - len(part.lstrip())
    return Passage(first, max(first, start + len(part.rstrip())))


def split_sentences(text: str) -> list[Passage]:
    """The sentences of a text, which cover it without gaps.

    >>> [(s.start, s.end) for s in split_sentences("비가 와요. 우산 있어요?")]
    [(0, 7), (7, 14)]
    """
    borders = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return [Passage(a, b) for a, b in pairwise(borders) if a < b]


def split_passages(
    text: str, token_spans: Sequence[tuple[int, int]], max_tokens: int
) -> list[Passage]:
    """Cuts a text into overlapping passages of whole sentences.

    A sentence too long for a passage is cut between its tokens.

    Args:
        text: the text.
        token_spans: first and last character (exclusive) of each of its tokens.
        max_tokens: most tokens of a passage.

    Returns:
        Passages in their order, without space at their ends; together they hold every token.
    """
    if len(token_spans) <= max_tokens:
        return [_passage(text, 0, len(text))]
    units = _units(text, token_spans, max_tokens)
    passages = []
    first = 0
    while True:
        last, tokens = first, 0
        while last < len(units) and tokens + units[last].tokens <= max_tokens:
            tokens += units[last].tokens
            last += 1
        passages.append(_passage(text, units[first].start, units[last - 1].end))
        if last == len(units):
            return passages
        first = _step_back(units, first, last, _OVERLAP * max_tokens)


@dataclass(frozen=True)
class _Unit:
    """A sentence, or a piece of one, with its number of tokens: never more than fit a passage."""

    start: int
    end: int
    tokens: int


def _units(text: str, token_spans: Sequence[tuple[int, int]], max_tokens: int) -> list[_Unit]:
    units = []
    token = 0
    for sentence in split_sentences(text):
        begin = token
        while token < len(token_spans) and token_spans[token][0] < sentence.end:
            token += 1
        borders = range(begin, max(token, begin + 1), max_tokens)
        for piece in borders:
            stop = min(piece + max_tokens, token)
            start = sentence.start if piece == begin else token_spans[piece][0]
            end = sentence.end if stop == token else token_spans[stop][0]
            units.append(_Unit(start, end, stop - piece))
    return units


def _step_back(units: Sequence[_Unit], first: int, last: int, overlap: float) -> int:
    """Where the passage after ``units[first:last]`` begins: a little before its end."""
    start, tokens = last, 0
    while start - 1 > first and tokens + units[start - 1].tokens <= overlap:
        start -= 1
        tokens += units[start].tokens
    return start


def _passage(text: str, start: int, end: int) -> Passage:
    """Without space at its ends, and never empty."""
    part = trim(text, start, end)
    return Passage(part.start, max(part.end, part.start + 1))
