"""What encoders are taught: each lesson gives the loss of its n-th batch."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F

from training import losses, sources
from training.columns import Columns
from training.student import Student, mean, shorten

Item = TypeVar("Item")

SENTENCE_TOKENS = 96
PASSAGE_TOKENS = 160
LONG_TOKENS = 384
DIMS = (256, 128, 64)

_HIGHEST_SCORE = 5.0


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


class Tokens:
    """Every token's states should be the teacher's, and with them the vector of the text.

    A text teaches as many vectors as it has tokens, and each layer gives what its successor took
    in the teacher (X. Jiao et al., TinyBERT, Findings of EMNLP 2020: of its losses, those of the
    states).

    Args:
        student: what learns.
        teacher: as wide, and with the same vocabulary.
        layers: of the teacher, counted from 0, that the student's layers were.
        texts: to read.
        size: texts a batch, or fewer, so that it has no more than 4,096 padded tokens.
        tokens: a longer text is cut.
        least: a batch is cut at a random number of tokens from this to ``tokens``, so that what
            long texts hold is read at every length; ``None`` cuts at ``tokens`` alone.
        seed: of the order.

    Raises:
        ValueError: the teacher's tokens are others, its states have another width, or the student
            has another number of layers.
    """

    _MOST_TOKENS = 4_096

    def __init__(
        self,
        student: Student,
        teacher: Student,
        layers: Sequence[int],
        texts: Sequence[str],
        *,
        size: int,
        tokens: int,
        least: int | None = None,
        seed: int,
    ) -> None:
        if teacher.tokenizer.get_vocab() != student.tokenizer.get_vocab():
            raise ValueError("The teacher of tokens must have the student's vocabulary.")
        if teacher.embeddings.shape != student.embeddings.shape:
            raise ValueError("The teacher of tokens must be as wide as the student.")
        if len(layers) != student.bert.config.num_hidden_layers:
            raise ValueError(f"The student has not {len(layers)} layers: --layers.")
        self._student, self._teacher = student, teacher
        # The states begin with the embeddings': the fourth of them is what layer 3 took.
        self._wanted = [*layers[1:], teacher.bert.config.num_hidden_layers]
        self._columns = Columns(
            student, [(text,) for text in texts], size, tokens=tokens, seed=seed
        )
        self._longest = (tokens if least is None else least, tokens)

    def __call__(self, number: int) -> torch.Tensor:
        (ids,) = self._columns.ids(number)
        longest = random.Random(f"tokens/{number}").randint(*self._longest)
        ids = [shorten(row, longest) for row in ids]
        ids = ids[: max(1, self._MOST_TOKENS // max(map(len, ids)))]
        found, mask = self._student.states_by_layer(ids)
        with torch.no_grad():
            states, _ = self._teacher.states_by_layer(ids)
        wanted = [states[place] for place in self._wanted]
        within = mask.bool()
        *between, last = (
            losses.deviation(ours[within], theirs[within])
            for ours, theirs in zip(found[1:], wanted, strict=True)
        )
        vectors = _towards(mean(found[-1], mask), mean(wanted[-1], mask))
        return last + torch.stack(between).mean() + vectors


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


class Paragraphs:
    """A question should find its paragraph among others of the same article.

    Args:
        student: what learns.
        articles: of which those paragraphs are read that have questions.
        longest: each is cut at a random number of tokens from 80 to this.
    """

    _ARTICLES = 6
    _EACH = 4

    def __init__(
        self, student: Student, articles: Sequence[sources.Article], longest: int = PASSAGE_TOKENS
    ) -> None:
        self._student = student
        self._longest = longest
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
        questions = [draw.choice(asked) for _, asked in drawn]
        # Where all are cut, a text that ends there comes to mean a paragraph; the larger the bound,
        # the more of them are whole.
        paragraphs = [
            self._student.tokenize([text], draw.randint(PASSAGE_TOKENS // 2, self._longest))[0]
            for text, _ in drawn
        ]
        return _contrast(
            [
                self._student(self._student.tokenize(questions, SENTENCE_TOKENS)),
                self._student(paragraphs),
            ]
        )


def _towards(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far vectors are from the teacher's, alone and among those of the batch."""
    loss = 2 * losses.distillation(found, wanted) + 0.5 * losses.contrast(found, wanted)
    relations = [losses.relation(part, wanted) for part in losses.cut(found, DIMS)]
    return loss + torch.stack(relations).mean()


def _contrast(columns: Sequence[torch.Tensor]) -> torch.Tensor:
    parts = zip(*(losses.cut(vectors, DIMS) for vectors in columns), strict=True)
    return torch.stack([losses.contrast(*part) for part in parts]).mean()


def _draw_each(
    groups: Sequence[Sequence[Item]], count: int, each: int, draw: random.Random
) -> list[Item]:
    """Up to ``each`` items of ``count`` groups."""
    return [
        item
        for group in draw.sample(groups, min(count, len(groups)))
        for item in draw.sample(group, min(each, len(group)))
    ]
