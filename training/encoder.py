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
from training.batches import Batches
from training.export import export_encoder
from training.measures import HeldOut, held_out_answers, measure, read_held_out
from training.sources import Aligned
from training.student import Student
from training.teacher import Teacher, default_teacher
from training.trainer import Plan, train
from training.vocabulary import build_student, train_tokenizer, wrap_tokenizer

_SENTENCE_TOKENS = 64
_PASSAGE_TOKENS = 160
_DIMS = (256, 128, 64)

# Titles and the text behind them are kept if the teacher finds their English sides this near.
_LEAST_HEADED = 0.35


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


def lessons(student: Student, folder: Path, teacher: str, work: Path, device: str) -> list[Lesson]:
    """Everything that the bi-encoder is taught, from the files of the data folder."""
    aligned = sources.read_aligned(folder)
    sentences = [
        *sources.cap_sources(aligned),
        *sources.read_words(folder),
        *sources.read_scored_originals(folder),
        *sources.cap_sources(sources.mine_passages(aligned), cap=120),
    ]
    mined = sources.mine_headed(aligned)
    answered = {head.korean for head, _ in held_out_answers(mined)}
    headed = [pair for pair in mined if pair[0].korean not in answered]
    texts = [pair.english for pair in sentences]
    texts += [side.english for pair in headed for side in pair]
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    oracle = Teacher(teacher, list(places), work, device)

    def english_vectors(pairs: Sequence[Aligned]) -> torch.Tensor:
        return oracle.vectors([places[pair.english] for pair in pairs])

    near = _near(headed, english_vectors)
    asked = [*near, *sources.read_chat(folder)]
    alike = [*_couples(sources.read_paraphrases(folder, held_out=False))]
    alike += sources.read_duplicates(folder)
    triples = sources.read_triples(folder)
    scored = sources.read_scored(folder, "train")
    korean = _Distillation(student, sentences, english_vectors, korean=True)
    english = _Distillation(student, sentences, english_vectors, korean=False)
    return [
        Lesson("distillation", 1.0, 1, 0, korean),
        Lesson("english", 0.5, 8, 3, english),
        Lesson("scores", 0.08, 3, 0, _Scores(student, scored)),
        Lesson("triples", 0.3, 6, 1, _Contrast(student, triples, 48)),
        Lesson("alike", 0.3, 4, 3, _Contrast(student, alike, 64)),
        Lesson("answers", 0.4, 4, 0, _Contrast(student, asked, 48)),
        Lesson("paragraphs", 0.5, 4, 2, _Paragraphs(student, folder)),
    ]


class _Distillation:
    """The student's vector of a sentence should be the teacher's of the English one."""

    def __init__(
        self,
        student: Student,
        pairs: Sequence[Aligned],
        vectors_of: Callable[[Sequence[Aligned]], torch.Tensor],
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
        wanted = self._vectors_of([self._pairs[place] for place in batch]).to(found.device)
        loss = 2 * losses.distillation(found, wanted) + 0.5 * losses.contrast(found, wanted)
        relations = [losses.relation(part, wanted) for part in losses.cut(found, _DIMS)]
        return loss + torch.stack(relations).mean()


class _Scores:
    """Pairs should come in the order in which people scored them."""

    def __init__(self, student: Student, pairs: Sequence[sources.Scored]) -> None:
        self._student = student
        self._left = student.tokenize([pair.left for pair in pairs], _SENTENCE_TOKENS)
        self._right = student.tokenize([pair.right for pair in pairs], _SENTENCE_TOKENS)
        self._labels = torch.tensor([pair.score for pair in pairs])
        lengths = [len(ids) for ids in self._left]
        self._batches = Batches(lengths, 48, seed=2)

    def __call__(self, number: int) -> torch.Tensor:
        batch = self._batches[number]
        ids = [self._left[place] for place in batch] + [self._right[place] for place in batch]
        parts = losses.cut(self._student(ids), _DIMS)
        labels = self._labels[batch].to(parts[0].device)
        count = len(batch)
        return torch.stack(
            [losses.cosent((part[:count] * part[count:]).sum(dim=1), labels) for part in parts]
        ).mean()


class _Contrast:
    """The first text of each example should find the second, and not the third if there is one."""

    def __init__(self, student: Student, examples: Sequence[Sequence[str]], size: int) -> None:
        self._student = student
        columns = [list(column) for column in zip(*examples, strict=True)]
        self._ids = [student.tokenize(column, _PASSAGE_TOKENS) for column in columns]
        lengths = [sum(map(len, row)) for row in zip(*self._ids, strict=True)]
        self._batches = Batches(lengths, size, seed=3)

    def __call__(self, number: int) -> torch.Tensor:
        batch = self._batches[number]
        # Texts of unlike lengths (a question, its answer) waste no padding on each other.
        columns = [
            losses.cut(self._student([column[place] for place in batch]), _DIMS)
            for column in self._ids
        ]
        return torch.stack([losses.contrast(*parts) for parts in zip(*columns, strict=True)]).mean()


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


def _near(
    headed: Sequence[tuple[Aligned, Aligned]],
    vectors_of: Callable[[Sequence[Aligned]], torch.Tensor],
) -> Iterator[tuple[str, str]]:
    heads = vectors_of([head for head, _ in headed])
    bodies = vectors_of([body for _, body in headed])
    for (head, body), score in zip(headed, (heads * bodies).sum(dim=1).tolist(), strict=True):
        if score >= _LEAST_HEADED:
            yield head.korean, body.korean


def _couples(groups: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Neighbours within each group, around in a ring."""
    for group in groups:
        yield from zip(group, [*group[1:], group[0]], strict=True)


def _new_student(folder: Path, teacher: str, vocabulary: int) -> Student:
    pairs = [*sources.read_aligned(folder), *sources.read_words(folder)]
    capped = sources.cap_sources(pairs)
    korean = sources.read_korean(folder)
    both = chain.from_iterable((pair.english, pair.korean) for pair in capped)
    tokenizer = train_tokenizer(chain(both, korean), vocabulary)
    source = Student.load(open_checkpoint(teacher).transformer_path)
    bert = build_student(source.bert, source.tokenizer.backend_tokenizer, tokenizer, pairs)
    return Student(bert, wrap_tokenizer(tokenizer))


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("models/ko-mini"), show_default=True
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("build/training/encoder"),
    show_default=True,
    help="Folder of the checkpoint, from which an interrupted run goes on.",
)
@click.option("--teacher", default="", help="Default: all-MiniLM-L6-v2 from its package.")
@click.option(
    "--start",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Model folder to train on, in place of a new vocabulary on the teacher's layers.",
)
@click.option("--steps", default=5_400, show_default=True)
@click.option("--rate", default=2e-4, show_default=True)
@click.option("--vocabulary", default=24_000, show_default=True, help="Word pieces.")
@click.option("--device", default="cpu", show_default=True)
def main(
    data: Path,
    output: Path,
    work: Path,
    teacher: str,
    start: Path | None,
    steps: int,
    rate: float,
    vocabulary: int,
    device: str,
) -> None:
    """Train the bi-encoder on the files in DATA and write it to a model folder."""
    teacher = teacher or default_teacher()
    torch.manual_seed(0)
    student = Student.load(start) if start else _new_student(data, teacher, vocabulary)
    student.to(device)
    curriculum = lessons(student, data, teacher, work, device)
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
