"""Trains the bi-encoder: `python -m training.encoder DATA --output FOLDER`."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import click
import torch

from inference.checkpoint import open_checkpoint
from training import losses, sources
from training.alignment import alignment, project
from training.batches import Batches
from training.columns import Columns
from training.export import export_encoder
from training.measures import HeldOut, held_out_answers, measure, read_held_out
from training.options import run_options
from training.sources import Aligned
from training.student import Student
from training.teacher import (
    Teacher,
    TeacherModel,
    default_teacher,
    open_teacher,
    universal_teacher,
)
from training.trainer import Plan, train
from training.vocabulary import build_student, train_tokenizer, wrap_tokenizer

_SENTENCE_TOKENS = 64
_PASSAGE_TOKENS = 160
_DIMS = (256, 128, 64)

# Titles and the text behind them are kept if the universal encoder finds them this near.
_LEAST_HEADED = 0.2

# Of these texts a wide teacher's vectors are aligned with the student's.
_ALIGNED_TEXTS = 4_096

# How much the student that a run begins with counts as its own teacher of Korean texts, beside the
# universal encoder: blended so, the two score better than either.
_START_SHARE = 0.7

# KorQuAD's questions are repeated among the many of documentation.
_QUESTIONS_TIMES = 3

# Passages of each source: the teacher reads them slowly.
_PASSAGES = 40


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


def lessons(
    student: Student,
    folder: Path,
    teacher: TeacherModel,
    korean: Sequence[tuple[TeacherModel, float]],
    work: Path,
    source_cap: int,
) -> list[Lesson]:
    """Everything that the bi-encoder is taught, from the files of the data folder.

    Args:
        student: as it starts.
        folder: of the data.
        teacher: of English sentences.
        korean: teachers of Korean texts, the universal encoder first, and how much each counts.
        work: where what the teachers say is kept.
        source_cap: at most so many sentences of each source.
    """
    aligned = sources.read_aligned(folder)
    sentences = [
        *sources.cap_sources(aligned, source_cap),
        *sources.read_words(folder),
        *sources.read_scored_originals(folder),
        *sources.cap_sources(sources.mine_passages(aligned), cap=_PASSAGES),
    ]
    english_vectors = _aligned(
        Teacher(teacher, [pair.english for pair in sentences], work), student
    )
    mined = sources.mine_headed(aligned)
    answered = {head.korean for head, _ in held_out_answers(mined)}
    headed = [(head.korean, body.korean) for head, body in mined if head.korean not in answered]
    questions = sources.read_questions(folder, held_out=False)
    lone = [(text,) for text in sources.read_korean(folder)]
    texts = list(chain.from_iterable([*headed, *questions, *lone]))
    tutors = [(Teacher(model, texts, work), share) for model, share in korean]
    near = list(_near(headed, tutors[0][0]))
    alike = [*_couples(sources.read_paraphrases(folder, held_out=False))]
    alike += sources.read_duplicates(folder)
    found = [*near, *_QUESTIONS_TIMES * questions]
    from_korean = _Distillation(student, sentences, english_vectors, korean=True)
    from_english = _Distillation(student, sentences, english_vectors, korean=False)
    scores = _Scores(student, sources.read_scored(folder, "train"))
    triples = _Contrast(student, sources.read_triples(folder), 48)
    answers = _Contrast(student, [*near, *sources.read_chat(folder)], 48)
    return [
        Lesson("distillation", 1.0, 1, 0, from_korean),
        Lesson("english", 0.5, 8, 3, from_english),
        Lesson("scores", 0.08, 3, 0, scores),
        Lesson("triples", 0.3, 12, 1, triples),
        Lesson("alike", 0.3, 8, 7, _Contrast(student, alike, 64)),
        Lesson("answers", 0.4, 4, 0, answers),
        Lesson("paragraphs", 0.5, 4, 2, _Paragraphs(student, folder)),
        Lesson("korean", 0.5, 4, 1, _Ranking(student, lone, tutors, 96)),
        Lesson("finding", 0.5, 8, 6, _Ranking(student, found, tutors, 32)),
    ]


class _Distillation:
    """The student's vector of a sentence should be the teacher's of the English one."""

    def __init__(
        self,
        student: Student,
        pairs: Sequence[Aligned],
        vectors_of: Callable[[Sequence[str]], torch.Tensor],
        *,
        korean: bool,
    ) -> None:
        self._student = student
        self._pairs = pairs
        self._vectors_of = vectors_of
        texts = [pair.korean if korean else pair.english for pair in pairs]
        self._ids = student.tokenize(texts, _PASSAGE_TOKENS)
        self._batches = Batches([len(ids) for ids in self._ids], 128, seed=1)

    def __call__(self, number: int) -> torch.Tensor:
        batch = self._batches[number]
        found = self._student([self._ids[place] for place in batch])
        wanted = self._vectors_of([self._pairs[place].english for place in batch]).to(found.device)
        loss = 2 * losses.distillation(found, wanted) + 0.5 * losses.contrast(found, wanted)
        relations = [losses.relation(part, wanted) for part in losses.cut(found, _DIMS)]
        return loss + torch.stack(relations).mean()


class _Scores:
    """Pairs should come in the order in which people scored them."""

    def __init__(self, student: Student, pairs: Sequence[sources.Scored]) -> None:
        sides = [(pair.left, pair.right) for pair in pairs]
        self._columns = Columns(student, sides, 48, tokens=_SENTENCE_TOKENS, seed=2)
        self._labels = torch.tensor([pair.score for pair in pairs])

    def __call__(self, number: int) -> torch.Tensor:
        sides = [losses.cut(side, _DIMS) for side in self._columns.vectors(number)]
        labels = self._labels[self._columns.places(number)].to(sides[0][0].device)
        return torch.stack(
            [
                losses.cosent((left * right).sum(dim=1), labels)
                for left, right in zip(*sides, strict=True)
            ]
        ).mean()


class _Contrast:
    """The first text of each example should find the second, and not the third if there is one."""

    def __init__(self, student: Student, examples: Sequence[Sequence[str]], size: int) -> None:
        self._columns = Columns(student, examples, size, tokens=_PASSAGE_TOKENS, seed=3)

    def __call__(self, number: int) -> torch.Tensor:
        columns = [losses.cut(vectors, _DIMS) for vectors in self._columns.vectors(number)]
        return torch.stack([losses.contrast(*parts) for parts in zip(*columns, strict=True)]).mean()


class _Ranking:
    """Each text should have its neighbours in the order that the teachers give them."""

    def __init__(
        self,
        student: Student,
        examples: Sequence[Sequence[str]],
        teachers: Sequence[tuple[Teacher, float]],
        size: int,
    ) -> None:
        self._columns = Columns(student, examples, size, tokens=_PASSAGE_TOKENS, seed=3)
        self._teachers = teachers

    def __call__(self, number: int) -> torch.Tensor:
        found = torch.cat(self._columns.vectors(number))
        texts = list(chain.from_iterable(self._columns.texts(number)))
        vectors = [(teacher(texts).to(found.device), share) for teacher, share in self._teachers]
        wanted = torch.stack([share * (each @ each.T) for each, share in vectors]).sum(dim=0)
        parts = losses.cut(found, _DIMS)
        return torch.stack([losses.ranking(part, wanted) for part in parts]).mean()


class _Paragraphs:
    """A question should find its paragraph among others of the same article."""

    _ARTICLES = 6
    _EACH = 4

    def __init__(self, student: Student, folder: Path) -> None:
        self._student = student
        self._articles = [
            [
                (
                    student.tokenize([text], _PASSAGE_TOKENS)[0],
                    student.tokenize([question.text for question in asked], _SENTENCE_TOKENS),
                )
                for text, asked in article.paragraphs
                if asked
            ]
            for article in sources.read_articles(folder, held_out=False)
        ]

    def __call__(self, number: int) -> torch.Tensor:
        draw = random.Random(f"paragraphs/{number}")
        questions: list[list[int]] = []
        paragraphs: list[list[int]] = []
        for article in draw.sample(self._articles, min(self._ARTICLES, len(self._articles))):
            for paragraph, asked in draw.sample(article, min(self._EACH, len(article))):
                paragraphs.append(paragraph)
                questions.append(draw.choice(asked))
        found = losses.cut(self._student(questions), _DIMS)
        among = losses.cut(self._student(paragraphs), _DIMS)
        return torch.stack(
            [losses.contrast(*parts) for parts in zip(found, among, strict=True)]
        ).mean()


def _aligned(teacher: Teacher, student: Student) -> Callable[[Sequence[str]], torch.Tensor]:
    """The teacher's vectors, where they are wider than the student's as narrow ones near them."""
    width = student.bert.config.hidden_size
    if teacher.dim == width:
        return teacher
    texts = teacher.texts[:: max(1, len(teacher.texts) // _ALIGNED_TEXTS)]
    through = alignment(teacher(texts).numpy(), student.embed(texts))
    return lambda asked: project(teacher(asked), through)


def _near(pairs: Sequence[tuple[str, str]], teacher: Teacher) -> Iterator[tuple[str, str]]:
    heads = teacher([head for head, _ in pairs])
    bodies = teacher([body for _, body in pairs])
    for pair, score in zip(pairs, (heads * bodies).sum(dim=1).tolist(), strict=True):
        if score >= _LEAST_HEADED:
            yield pair


def _couples(groups: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Neighbours within each group, around in a ring."""
    for group in groups:
        yield from zip(group, [*group[1:], group[0]], strict=True)


def _new_student(folder: Path, base: str, vocabulary: int) -> Student:
    pairs = [*sources.read_aligned(folder), *sources.read_words(folder)]
    capped = sources.cap_sources(pairs)
    korean = sources.read_korean(folder)
    both = chain.from_iterable((pair.english, pair.korean) for pair in capped)
    tokenizer = train_tokenizer(chain(both, korean), vocabulary)
    source = Student.load(open_checkpoint(base).transformer_path)
    bert = build_student(source.bert, source.tokenizer.backend_tokenizer, tokenizer, pairs)
    return Student(bert, wrap_tokenizer(tokenizer))


@click.command()
@run_options(output="models/ko-mini", work="build/training/encoder", steps=5_400, rate=2e-4)
@click.option(
    "--base",
    default="",
    help="Encoder whose layers a new student begins with. Default: all-MiniLM-L6-v2, a package.",
)
@click.option(
    "--teacher",
    default="",
    help="Encoder of English that it learns from, of any width. Default: the base.",
)
@click.option(
    "--start",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Model folder to train on, in place of a new vocabulary on the base's layers.",
)
@click.option("--vocabulary", default=24_000, show_default=True, help="Word pieces.")
@click.option(
    "--source-cap", default=sources.SOURCE_CAP, show_default=True, help="Sentences of each source."
)
def main(
    data: Path,
    output: Path,
    work: Path,
    base: str,
    teacher: str,
    start: Path | None,
    steps: int,
    rate: float,
    vocabulary: int,
    source_cap: int,
    device: str,
) -> None:
    """Train the bi-encoder on the files in DATA and write it to a model folder."""
    base = base or default_teacher()
    torch.manual_seed(0)
    student = Student.load(start) if start else _new_student(data, base, vocabulary)
    student.to(device)
    own = [(open_teacher(str(start), device), _START_SHARE)] if start else []
    korean = [(universal_teacher(), 1 - sum(share for _, share in own)), *own]
    curriculum = lessons(
        student, data, open_teacher(teacher or base, device), korean, work, source_cap
    )
    held_out = read_held_out(data)

    def loss_of(step: int) -> dict[str, torch.Tensor]:
        return {
            lesson.name: lesson.weight * lesson.loss(step // lesson.every)
            for lesson in curriculum
            if step % lesson.every == lesson.offset
        }

    def figures() -> dict[str, float]:
        return measure(student.embed, held_out)

    train(student, student.embeddings, loss_of, Plan(steps, rate), work, figures)
    export_encoder(student, output, held_out.scored)
    _print(student, held_out)


def _print(student: Student, held_out: HeldOut) -> None:
    for dimensions in (None, *_DIMS):
        figures = measure(student.embed, held_out, dimensions)
        click.echo(f"{dimensions or 'whole'}: {figures}")


if __name__ == "__main__":
    main()
