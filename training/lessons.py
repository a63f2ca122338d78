"""What encoders are taught: each lesson gives the loss of its n-th batch."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F

from training import losses, sources
from training.batches import Batches
from training.cloze import SENTENCE_END, cloze_query
from training.columns import Columns
from training.neighbours import neighbours
from training.student import Student, mean
from training.teacher import Teacher

Item = TypeVar("Item")

SENTENCE_TOKENS = 96
PASSAGE_TOKENS = 160
DIMS = (256, 128, 64)

_HIGHEST_SCORE = 5.0

# How much the teacher of English counts where both sides of a pair are known.
_ENGLISH_SHARE = 0.6

# Passages of each source.
_PASSAGES = 150


@dataclass(frozen=True)
class Lesson:
    """One thing that is taught.

    Attributes:
        name: of its loss in the log.
        weight: of its loss.
        every, offset: it is taught in the steps s with s % every == offset.
        loss: of its n-th batch.
    """

    name: str
    weight: float
    every: int
    offset: int
    loss: Callable[[int], torch.Tensor]


def taught(curriculum: Sequence[Lesson], step: int) -> dict[str, torch.Tensor]:
    """The weighted losses of the lessons of one step."""
    return {
        lesson.name: lesson.weight * lesson.loss(step // lesson.every)
        for lesson in curriculum
        if step % lesson.every == lesson.offset
    }


class Distillation:
    """Every text's vector should be the teacher's, also to tell it from the others of the batch.

    Args:
        student: what learns.
        texts: to read.
        teacher: knows the vectors of these texts, of the student's width.
        size: texts a batch.
        seed: of their order.
    """

    def __init__(
        self, student: Student, texts: Sequence[str], teacher: Teacher, size: int, seed: int
    ) -> None:
        self._columns = Columns(
            student, [(text,) for text in texts], size, tokens=PASSAGE_TOKENS, seed=seed
        )
        self._teacher = teacher

    def __call__(self, number: int) -> torch.Tensor:
        (found,) = self._columns.vectors(number)
        (texts,) = self._columns.texts(number)
        wanted = self._teacher(texts).to(found.device)
        return _towards(found, wanted)


class Tokens:
    """Every token's last state should be the teacher's, and with them the vector of the text.

    A text teaches as many vectors as it has tokens (X. Jiao et al., TinyBERT, Findings of EMNLP
    2020: of its losses, that of the last layer).

    Args:
        student: what learns.
        teacher: as wide, and with the same vocabulary.
        texts: to read.
        size: texts a batch.
        seed: of their order.

    Raises:
        ValueError: the teacher's tokens are others, or its states have another width.
    """

    def __init__(
        self, student: Student, teacher: Student, texts: Sequence[str], size: int, seed: int
    ) -> None:
        if teacher.tokenizer.get_vocab() != student.tokenizer.get_vocab():
            raise ValueError("The teacher of tokens must have the student's vocabulary.")
        if teacher.embeddings.shape != student.embeddings.shape:
            raise ValueError("The teacher of tokens must be as wide as the student.")
        self._student, self._teacher = student, teacher
        self._columns = Columns(
            student, [(text,) for text in texts], size, tokens=PASSAGE_TOKENS, seed=seed
        )

    def __call__(self, number: int) -> torch.Tensor:
        (ids,) = self._columns.ids(number)
        found, mask = self._student.states(ids)
        with torch.no_grad():
            wanted, _ = self._teacher.states(ids)
        within = mask.bool()
        vectors = _towards(mean(found, mask), mean(wanted, mask))
        return losses.deviation(found[within], wanted[within]) + vectors


class Neighbours:
    """Sentences that are near each other should be as near as the teachers find them.

    At random hardly two sentences of a batch have to do with each other. Here each stands beside
    its neighbours, near and less near ones, so that a batch shows the whole scale of likeness
    (N. Thakur et al., Augmented SBERT, NAACL 2021, with encoders in place of a cross-encoder).

    Args:
        student: what learns.
        pairs: sentences in two languages, each Korean one once.
        often: so many of the first pairs lead twice as many groups as the others.
        korean, english: teachers of either side.
        groups: groups a batch.
    """

    def __init__(
        self,
        student: Student,
        pairs: Sequence[sources.Aligned],
        often: int,
        korean: Teacher,
        english: Teacher,
        groups: int,
    ) -> None:
        self._student = student
        self._pairs = pairs
        self._korean, self._english = korean, english
        places = [*range(often), *range(len(pairs))]
        vectors = korean([pair.korean for pair in pairs]).numpy()
        self._groups = neighbours(vectors, places)
        self._ids = student.tokenize([pair.korean for pair in pairs], SENTENCE_TOKENS)
        lengths = [max(len(self._ids[place]) for place in group) for group in self._groups]
        self._batches = Batches(lengths, groups, seed=5)

    def __call__(self, number: int) -> torch.Tensor:
        groups = self._groups[self._batches[number]]
        places = groups.reshape(-1).tolist()
        found = self._student([self._ids[place] for place in places])
        korean = self._korean([self._pairs[place].korean for place in places])
        english = self._english([self._pairs[place].english for place in places])
        wanted = _ENGLISH_SHARE * (english @ english.T) + (1 - _ENGLISH_SHARE) * (korean @ korean.T)
        wanted = wanted.to(found.device)
        return torch.stack(
            [
                15 * losses.likeness(part, wanted, groups.shape[1])
                + 0.3 * losses.ranking(part, wanted)
                for part in losses.cut(found, DIMS)
            ]
        ).mean()


class Scores:
    """Pairs should come in the order in which people scored them.

    Args:
        student: what learns.
        pairs: with their scores.
        size: pairs a batch.
        seed: of their order.
        dims: lengths that the vectors are cut to, besides the whole.
        near: weight, beside that order, of cosines near a fifth of the scores.
    """

    def __init__(
        self,
        student: Student,
        pairs: Sequence[sources.Scored],
        *,
        size: int = 48,
        seed: int = 2,
        dims: Sequence[int] = DIMS,
        near: float = 0.0,
    ) -> None:
        sides = [(pair.left, pair.right) for pair in pairs]
        self._columns = Columns(student, sides, size, tokens=SENTENCE_TOKENS, seed=seed)
        self._labels = torch.tensor([pair.score / _HIGHEST_SCORE for pair in pairs])
        self._dims = dims
        self._near = near

    def __call__(self, number: int) -> torch.Tensor:
        sides = [losses.cut(side, self._dims) for side in self._columns.vectors(number)]
        cosines = [(left * right).sum(dim=1) for left, right in zip(*sides, strict=True)]
        labels = self._labels[self._columns.places(number)].to(cosines[0].device)
        order = torch.stack([losses.cosent(found, labels) for found in cosines]).mean()
        return order + self._near * F.mse_loss(cosines[0], labels)


class Contrast:
    """The first text of each example should find the second, and not the third if there is one."""

    def __init__(self, student: Student, examples: Sequence[Sequence[str]], size: int) -> None:
        self._columns = Columns(student, examples, size, tokens=PASSAGE_TOKENS, seed=3)

    def __call__(self, number: int) -> torch.Tensor:
        return _contrast(self._columns.vectors(number))


class Ranking:
    """Each text should have its neighbours in the order that the teacher gives them."""

    def __init__(
        self, student: Student, examples: Sequence[Sequence[str]], teacher: Teacher, size: int
    ) -> None:
        self._columns = Columns(student, examples, size, tokens=PASSAGE_TOKENS, seed=3)
        self._teacher = teacher

    def __call__(self, number: int) -> torch.Tensor:
        found = torch.cat(self._columns.vectors(number))
        wanted = self._teacher([text for part in self._columns.texts(number) for text in part])
        wanted = wanted.to(found.device)
        parts = losses.cut(found, DIMS)
        return torch.stack([losses.ranking(part, wanted @ wanted.T) for part in parts]).mean()


class Paragraphs:
    """A question should find its paragraph among others of the same article."""

    _ARTICLES = 6
    _EACH = 4

    def __init__(self, student: Student, articles: Sequence[sources.Article]) -> None:
        self._student = student
        self._articles = [
            [
                (text, [question.text for question in asked])
                for text, asked in article.paragraphs
                if asked
            ]
            for article in articles
        ]

    def __call__(self, number: int) -> torch.Tensor:
        draw = random.Random(f"paragraphs/{number}")
        drawn = _draw_each(self._articles, self._ARTICLES, self._EACH, draw)
        questions, paragraphs = zip(
            *((draw.choice(asked), text) for text, asked in drawn), strict=True
        )
        return _contrast(_vectors(self._student, questions, paragraphs))


class Cloze:
    """Some words of a sentence should find the passage that it was taken from.

    Among passages of the same source, so that the subject alone does not give it away (K. Lee et
    al., Latent retrieval for weakly supervised open domain question answering, ACL 2019).
    """

    _SOURCES = 6
    _EACH = 4
    _SHORTEST = 10

    def __init__(
        self,
        student: Student,
        passages: Sequence[sources.Aligned],
        articles: Sequence[sources.Article],
    ) -> None:
        self._student = student
        by_source: dict[str, list[str]] = {}
        for passage in sources.cap_sources(passages, cap=_PASSAGES):
            by_source.setdefault(passage.source, []).append(passage.korean)
        for article in articles:
            by_source[f"article {article.title}"] = [text for text, _ in article.paragraphs]
        groups = [list(self._sentences(texts)) for texts in by_source.values()]
        self._groups = [group for group in groups if len(group) >= self._EACH]

    def _sentences(self, texts: Sequence[str]) -> Iterator[list[str]]:
        for text in texts:
            found = [part for part in SENTENCE_END.split(text) if len(part) >= self._SHORTEST]
            if len(found) >= 2:
                yield found

    def __call__(self, number: int) -> torch.Tensor:
        draw = random.Random(f"cloze/{number}")
        drawn = _draw_each(self._groups, self._SOURCES, self._EACH, draw)
        queries, passages = zip(*(cloze_query(part, draw) for part in drawn), strict=True)
        return _contrast(_vectors(self._student, queries, passages))


def _towards(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far vectors are from the teacher's, alone and among those of the batch."""
    loss = 2 * losses.distillation(found, wanted) + 0.5 * losses.contrast(found, wanted)
    relations = [losses.relation(part, wanted) for part in losses.cut(found, DIMS)]
    return loss + torch.stack(relations).mean()


def _contrast(columns: Sequence[torch.Tensor]) -> torch.Tensor:
    parts = zip(*(losses.cut(vectors, DIMS) for vectors in columns), strict=True)
    return torch.stack([losses.contrast(*part) for part in parts]).mean()


def _vectors(student: Student, short: Sequence[str], long: Sequence[str]) -> list[torch.Tensor]:
    return [
        student(student.tokenize(short, SENTENCE_TOKENS)),
        student(student.tokenize(long, PASSAGE_TOKENS)),
    ]


def _draw_each(
    groups: Sequence[Sequence[Item]], count: int, each: int, draw: random.Random
) -> list[Item]:
    """Up to ``each`` items of ``count`` groups."""
    return [
        item
        for group in draw.sample(groups, min(count, len(groups)))
        for item in draw.sample(group, min(each, len(group)))
    ]
