"""All that the bi-encoder is taught from, read once, less the held-out parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from training import sources
from training.measures import held_out_answers

# Headed texts of each source that are not questions.
_HEADED = 150

# Passages of each source that are read for their own sake, and every so many of the sentences
# without a translation.
_PASSAGES = 60
_ONE_IN = 3

# Long texts of each source.
_LONG = 150


@dataclass(frozen=True)
class Material:
    """The files of the data folder, and what is mined from them.

    Attributes:
        originals, words: sentences of KorSTS, and words, in two languages.
        capped: aligned sentences, some of each source.
        korean: sentences without a translation.
        passages: neighbouring aligned sentences as one text.
        headed: questions and titles with the text behind them.
        articles, questions: of KorQuAD.
        triples, alike, chat: entailment and contradiction, paraphrases, remarks and answers.
        scored: KorSTS train.
    """

    originals: list[sources.Aligned]
    words: list[sources.Aligned]
    capped: list[sources.Aligned]
    korean: list[str]
    passages: list[sources.Aligned]
    headed: list[tuple[str, str]]
    articles: list[sources.Article]
    questions: list[tuple[str, str]]
    triples: list[sources.Triple]
    alike: list[tuple[str, str]]
    chat: list[tuple[str, str]]
    scored: list[sources.Scored]

    @classmethod
    def read(cls, folder: Path, source_cap: int) -> "Material":
        """From the data folder, with at most ``source_cap`` capped sentences of each source."""
        aligned = sources.read_aligned(folder)
        return cls(
            originals=sources.read_scored_originals(folder),
            words=sources.read_words(folder),
            capped=sources.cap_sources(aligned, source_cap),
            korean=sources.read_korean(folder),
            passages=sources.mine_passages(aligned),
            headed=headed_texts(aligned),
            articles=sources.read_articles(folder, held_out=False),
            questions=sources.read_questions(folder, held_out=False),
            triples=sources.read_triples(folder),
            alike=alike_texts(folder),
            chat=sources.read_chat(folder),
            scored=sources.read_scored(folder, "train"),
        )

    @property
    def texts(self) -> list[str]:
        """Whatever Korean there is to read."""
        pairs = [
            *self.originals,
            *self.capped,
            *self.words,
            *sources.cap_sources(self.passages, cap=_PASSAGES),
        ]
        return [
            *(pair.korean for pair in pairs),
            *self.korean[::_ONE_IN],
            *(text for article in self.articles for text in article.texts),
            *(question for question, _ in self.questions),
            *chain.from_iterable([*self.triples, *self.alike, *self.chat, *self.headed]),
        ]

    @property
    def long_texts(self) -> list[str]:
        """Some hundreds of tokens each: neighbouring passages as one text, and paragraphs."""
        longer = sources.cap_sources(sources.mine_passages(self.passages), _LONG)
        return [
            *(pair.korean for pair in longer),
            *(text for article in self.articles for text in article.texts),
        ]


def headed_texts(aligned: Sequence[sources.Aligned]) -> list[tuple[str, str]]:
    """Questions and titles with the text behind them, less the held-out ones."""
    mined = sources.mine_headed(aligned)
    held_out = {head.korean for head, _ in held_out_answers(mined)}
    counts: dict[str, int] = {}
    found: list[tuple[str, str]] = []
    for head, body in mined:
        if head.korean in held_out:
            continue
        counts[head.source] = counts.get(head.source, 0) + 1
        if head.korean.endswith("?") or counts[head.source] <= _HEADED:
            found.append((head.korean, body.korean))
    return found


def alike_texts(folder: Path) -> list[tuple[str, str]]:
    """Two ways to say one thing: neighbours in each group of paraphrases, in a ring, and more."""
    couples = sources.read_duplicates(folder)
    for group in sources.read_paraphrases(folder, held_out=False):
        couples += pairwise([*group, group[0]])
    return couples
