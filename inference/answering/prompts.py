"""What language models are asked: Korean templates, filled within a budget of tokens.

The templates are the files beside this module. The sources share what the instructions, the
question and the conversation leave: each keeps an equal part, and what short ones do not need goes
to the others.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby

from inference.answering.base import Request, Source, Turn
from inference.chunk import split_sentences
from inference.errors import TooLarge
from inference.resource import locate

Message = dict[str, str]
"""A message of a chat: ``role`` (system, user or assistant) and ``content``."""

Count = Callable[[str], int]
"""How many tokens a text has."""

SECTION_MARK = "###"
"""Begins the headings of the template for models without one of their own."""

# Tokens that chat templates put around a message, at most.
_MESSAGE_TOKENS = 8

# Of the room for sources and conversation, the part that a conversation may always have.
_HISTORY_SHARE = 0.25

# Fewer tokens of a source say nothing.
_LEAST_SOURCE_TOKENS = 16

_CUT = " …"
_GAP = "\n\n"

_CITATION = re.compile(r"\s?\[\d+\]")
_SECTION = re.compile(rf"^[ \t]*{SECTION_MARK}+", re.MULTILINE)


def estimate_tokens(text: str) -> int:
    """Tokens of a text for a model whose tokenizer is not here, rather too many than too few.

    A Hangul syllable is about one token in tokenizers of many languages, and four Latin letters
    are another.

    >>> estimate_tokens("대출 금리 ABCD")
    6
    """
    plain = sum(character.isascii() for character in text)
    return len(text) - plain + math.ceil(plain / 4)


class PromptWriter:
    """Writes the prompts of one model.

    Args:
        max_tokens: of a whole prompt.
        count: tells how many tokens a text has for that model.
    """

    def __init__(self, max_tokens: int, count: Count = estimate_tokens) -> None:
        self._max_tokens = max_tokens
        self._count = count

    def chat(self, request: Request) -> list[Message]:
        """Messages for a model that was trained on conversations.

        Users and assistants take turns, as many templates demand, beginning with a user.

        Raises:
            TooLarge: the question leaves no room for sources.
        """
        system = _template("system")
        turns, sources = self._fill(request, [system])
        asked = _template("question").format(sources=sources, question=request.question)
        said = [*turns, Turn("user", asked)]
        return [
            {"role": "system", "content": system},
            *({"role": turn.role, "content": turn.content} for turn in _merge(said)),
        ]

    def instruction(self, request: Request) -> str:
        """A text for a model that continues texts, up to where the answer begins.

        Raises:
            TooLarge: the question leaves no room for sources.
        """
        frame = _template("instruction").format(system=_template("system"), input="")
        turns, sources = self._fill(request, [frame])
        asked = _template("question").format(sources=sources, question=request.question)
        said = [_template(f"turn_{turn.role}").format(content=turn.content) for turn in turns]
        # A heading in a text would end the input before its end.
        given = _SECTION.sub("#", _GAP.join([*said, asked]))
        return _template("instruction").format(system=_template("system"), input=given) + "\n"

    def _fill(self, request: Request, fixed: Sequence[str]) -> tuple[list[Turn], str]:
        """What of the conversation and of the sources there is room for beside ``fixed``."""
        asked = _template("question").format(sources="", question=request.question)
        room = self._max_tokens - sum(map(self._cost, [*fixed, asked]))
        if room < _LEAST_SOURCE_TOKENS * len(request.sources):
            raise TooLarge(
                f"The question leaves no room for sources in a prompt of {self._max_tokens:,} "
                "tokens: shorten it, ask for fewer sources, or raise prompt_tokens.",
                item="question",
            )
        texts = [_source_text(source) for source in request.sources]
        needs = [self._count(text) for text in texts]
        room -= sum(self._count(_source(source, "") + _GAP) for source in request.sources)
        history_room = max(int(room * _HISTORY_SHARE), room - sum(needs))
        turns = self._latest(request.history, history_room)
        shares = fair_shares(needs, room - sum(self._cost(turn.content) for turn in turns))
        entries = [
            _source(source, cut_text(text, share, self._count))
            for source, text, share in zip(request.sources, texts, shares, strict=True)
        ]
        return turns, _GAP.join(entries)

    def _latest(self, history: Sequence[Turn], room: int) -> list[Turn]:
        """The last turns that fit, from a user's on, without citations of other sources."""
        kept: list[Turn] = []
        for turn in reversed(_merge(history)):
            said = Turn(turn.role, _CITATION.sub("", turn.content))
            room -= self._cost(said.content)
            if room < 0:
                break
            kept.insert(0, said)
        return kept[1:] if kept and kept[0].role == "assistant" else kept

    def _cost(self, content: str) -> int:
        return self._count(content) + _MESSAGE_TOKENS


def fair_shares(needs: Sequence[int], room: int) -> list[int]:
    """How much of ``room`` each gets: what it needs, or as much as any other that needs more.

    >>> fair_shares([50, 10, 90], 100)
    [45, 10, 45]
    """
    shares = [0] * len(needs)
    smallest_first = sorted(range(len(needs)), key=needs.__getitem__)
    for served, index in enumerate(smallest_first):
        shares[index] = min(needs[index], room // (len(needs) - served))
        room -= shares[index]
    return shares


def cut_text(text: str, max_tokens: int, count: Count) -> str:
    """The beginning of a text that has no more tokens, up to the end of a sentence if it can be.

    >>> cut_text("비가 와요. 우산 있어요?", 9, len)
    '비가 와요. …'
    """
    if count(text) <= max_tokens:
        return text

    def begin(end: int) -> str:
        return text[:end].rstrip() + _CUT

    for ends in ([part.end for part in split_sentences(text)], range(1, len(text))):
        fitting = bisect_right(ends, max_tokens, key=lambda end: count(begin(end)))
        if fitting:
            return begin(ends[fitting - 1])
    return ""


def _source_text(source: Source) -> str:
    """The title over the passage, or over all of the text if it is the title that was found."""
    text = source.document.text
    if source.passage.field == "text":
        text = text[source.passage.start : source.passage.end]
    return "\n".join(part for part in (source.document.title.strip(), text.strip()) if part)


def _source(source: Source, text: str) -> str:
    return _template("source").format(number=source.number, text=text)


def _merge(turns: Sequence[Turn]) -> list[Turn]:
    """The same turns, with those joined that one side said without an answer."""
    return [
        Turn(role, _GAP.join(turn.content for turn in said))
        for role, said in groupby(turns, key=lambda turn: turn.role)
    ]


@cache
def _template(name: str) -> str:
    file = locate("inference", "answering") / "prompts" / f"{name}.txt"
    return file.read_text(encoding="utf-8").strip()
