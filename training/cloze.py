"""Questions made from plain text, of what was taken out of a sentence."""

import random
import re
from collections.abc import Iterator

from training.sources import Question

# What a question may ask for, and the word that asks for it.
_ENTITIES = (
    (re.compile(r"\d{1,4}년(?: \d{1,2}월(?: \d{1,2}일)?)?|\d{1,2}월 \d{1,2}일"), "언제"),
    (
        re.compile(r"\d[\d,.]*(?:만|억|조)?\s?(?:명|개|원|달러|살|세|위|회|번|점|대|척|km|m|kg|%)"),
        "얼마",
    ),
    (
        re.compile(r"(?<=[‘“'\"《〈「『])[^‘’“”'\"《》〈〉「」『』]{2,30}(?=[’”'\"》〉」』])"),
        "무엇",
    ),
    (re.compile(r"[A-Z][\w.-]+(?: [A-Z][\w.-]+)*"), "무엇"),
    (re.compile(r"[가-힣]{2,6}(?=(?:에서|으로부터|까지)\s)"), "어디"),
    (re.compile(r"[가-힣]{2,5}(?=\()"), "무엇"),
    (re.compile(r"(?:[가-힣]{2,6} )?[가-힣]{2,6}(?=(?:은|는|이|가|을|를|의)\s)"), "무엇"),
)

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_KEPT_WORDS = 0.7
_SHORTEST = 20


def cloze_questions(context: str, count: int, draw: random.Random) -> Iterator[Question]:
    """Up to ``count`` questions on different sentences of a paragraph.

    Some words are left out of each, so that a reader learns more than to find the same sentence.
    """
    sentences = [text for text in SENTENCE_END.split(context) if len(text) >= _SHORTEST]
    draw.shuffle(sentences)
    for number, sentence in enumerate(sentences[:count]):
        question = _ask(sentence, context.index(sentence), draw)
        if question:
            yield question._replace(id=f"cloze-{number}")


def _ask(sentence: str, offset: int, draw: random.Random) -> Question | None:
    for pattern, word in draw.sample(_ENTITIES, len(_ENTITIES)):
        found = list(pattern.finditer(sentence))
        if not found:
            continue
        entity = draw.choice(found)
        words = [
            *_thinned(sentence[: entity.start()], draw),
            word,
            *_thinned(sentence[entity.end() :].lstrip(), draw),
        ]
        text = " ".join(words).rstrip(".") + "?"
        return Question("", text, entity.group(), offset + entity.start())
    return None


def _thinned(text: str, draw: random.Random) -> list[str]:
    return [word for word in text.split() if draw.random() < _KEPT_WORDS]
