"""Trains the reader: `python -m training.reader DATA --encoder FOLDER --output FOLDER`."""

import json
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tokenizers import Encoding
from torch import nn
from transformers import BertForQuestionAnswering, PreTrainedTokenizerFast

from inference.calibration import area_under_roc, calibrate
from inference.spans import Window, best_spans, windows
from inference.torch_model import pad
from training import sources
from training.arithmetic import autocast
from training.batches import Batches
from training.cloze import SENTENCE_END, cloze_questions
from training.export import export_reader
from training.options import encoder_option, held_out_option, layers_option, run_options
from training.sources import Article, Question
from training.squad import exact_match, f1
from training.student import thin
from training.trainer import Plan, train
from training.vocabulary import split_particles

_WINDOW_TOKENS = 384
_QUESTION_TOKENS = 64
_STRIDE = 128
_ANSWER_TOKENS = 30
_BATCH = 16

# Parts of a paragraph around an answer, as long as any number between: they take less time than
# the whole, and the answer stands elsewhere in each.
_CUTTINGS = 2
_CUTTING_TOKENS = (48, 192)

# Shares of the steps, from the first: with parts alone, and with every other one a made question.
_PARTS = 0.3
_MADE = 0.6

# Share of the questions that are also asked of another paragraph of their article.
_ELSEWHERE = 0.8


@dataclass(frozen=True)
class Example:
    """A question and one window of a paragraph, as token ids.

    Attributes:
        ids: ``[CLS] question [SEP] window [SEP]``.
        question: tokens before the window.
        start, end: the answer's first and last token; both 0, the place of ``[CLS]``, without one.
        spans: characters of each of the window's tokens in the paragraph.
    """

    ids: list[int]
    question: int
    start: int
    end: int
    spans: list[tuple[int, int]]

    @property
    def segments(self) -> list[int]:
        """0 for the question's tokens, 1 for the window's."""
        return [0] * self.question + [1] * (len(self.ids) - self.question)


class ReaderInTraining:
    """A BERT with a start and an end logit for each token.

    Args:
        model: trained in place.
        tokenizer: of its vocabulary.
    """

    def __init__(self, model: BertForQuestionAnswering, tokenizer: PreTrainedTokenizerFast) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._fast = tokenizer.backend_tokenizer
        self._fast.no_truncation()
        self._fast.no_padding()

    @classmethod
    def load(cls, folder: Path, layers: int | None = None) -> "ReaderInTraining":
        """From the folder of a reader, or of an encoder, whose answers are then guesses.

        Args:
            folder: of transformers.
            layers: so many of its first, if it has more; None for all. What the last layers of an
                encoder know is of whole texts; where an answer stands, those before tell
                (H. Sajjad et al., On the effect of dropping layers of pre-trained transformer
                models, 2023, find the last the least missed).
        """
        model = BertForQuestionAnswering.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            # torch's fused attention on CPUs knows no dropout: with it a step takes three times
            # as long. The other dropout stays.
            attention_probs_dropout_prob=0.0,
        )
        if layers is not None:
            thin(model.bert, range(min(layers, model.config.num_hidden_layers)))
        return cls(model, PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True))

    @property
    def embeddings(self) -> torch.Tensor:
        return self.model.bert.embeddings.word_embeddings.weight

    def examples(self, context: str, questions: Sequence[Question]) -> Iterator[list[Example]]:
        """The windows of the paragraph, for each of its questions."""
        encoded = self._fast.encode(context, add_special_tokens=False)
        for question in questions:
            head = self._head(question)
            cuts = windows(len(encoded.ids), _WINDOW_TOKENS - len(head) - 1, _STRIDE)
            yield [_example(head, encoded, cut, question) for cut in cuts]

    def cuttings(
        self, context: str, questions: Sequence[Question], draw: random.Random
    ) -> Iterator[Example]:
        """A part of the paragraph around each answer, of any length and with it anywhere within.

        Where the paragraph is no longer, it is the whole; where the answer is longer, nothing.
        """
        encoded = self._fast.encode(context, add_special_tokens=False)
        tokens = len(encoded.ids)
        for question in questions:
            inside = _inside(encoded.offsets, question)
            length = min(draw.randint(*_CUTTING_TOKENS), tokens)
            if not 0 < len(inside) <= length:
                continue
            start = draw.randint(max(0, inside[-1] + 1 - length), min(inside[0], tokens - length))
            cut = Window(start, start + length)
            yield _example(self._head(question), encoded, cut, question)

    def lines(
        self, context: str, questions: Sequence[Question], draw: random.Random
    ) -> Iterator[Example]:
        """Each question of one or two sentences with the answer, and of as many without it.

        Sentences that hold the answer's words elsewhere are passed over, as are those too long to
        be read at once; a paragraph without any others gives the first only.
        """
        encoded = self._fast.encode(context, add_special_tokens=False)
        sentences = list(_sentences(context, encoded.offsets))
        for question in questions:
            head = self._head(question)
            several = min(draw.randint(1, 2), len(sentences))
            found = [
                _example(head, encoded, Window(first.start, last.end), question)
                for first, last in zip(sentences, sentences[several - 1 :], strict=False)
                if last.end - first.start < _WINDOW_TOKENS - len(head)
            ]
            holding = [example for example in found if example.start]
            lacking = [
                example
                for example in found
                if question.answer not in context[example.spans[0][0] : example.spans[-1][1]]
            ]
            for choice in (holding, lacking):
                if choice:
                    yield draw.choice(choice)

    def _head(self, question: Question) -> list[int]:
        """``[CLS] question [SEP]``."""
        cls, sep = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        asked = self._fast.encode(question.text, add_special_tokens=False).ids
        return [cls, *asked[:_QUESTION_TOKENS], sep]

    def logits(self, examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Start and end logits, each (n, tokens of the longest), padding at minus infinity."""
        device = self.model.device
        ids, mask = pad([example.ids for example in examples], 0, device)
        segments, _ = pad([example.segments for example in examples], 0, device)
        found = self.model(input_ids=ids, attention_mask=mask, token_type_ids=segments)
        padding = mask == 0
        return (
            found.start_logits.float().masked_fill(padding, -1e4),
            found.end_logits.float().masked_fill(padding, -1e4),
        )

    def loss(self, examples: Sequence[Example]) -> torch.Tensor:
        """Cross entropy of the right start and end."""
        starts, ends = self.logits(examples)
        at = torch.tensor([[example.start, example.end] for example in examples])
        at = at.to(starts.device)
        return (F.cross_entropy(starts, at[:, 0]) + F.cross_entropy(ends, at[:, 1])) / 2

    def answer(self, context: str, question: Question) -> tuple[str, float]:
        """The best span of the paragraph, and its logits less those of no answer."""
        (examples,) = self.examples(context, [question])
        return self.read(context, examples)

    @torch.inference_mode()
    def read(self, context: str, examples: Sequence[Example]) -> tuple[str, float]:
        """The same over windows of a paragraph, all of one question."""
        with autocast(self.model.device):
            starts, ends = (part.cpu().numpy() for part in self.logits(examples))
        best = ("", -np.inf)
        for row, example in enumerate(examples):
            inside = slice(example.question, example.question + len(example.spans))
            nothing = starts[row, 0] + ends[row, 0]
            (span,) = best_spans(
                starts[row, inside], ends[row, inside], longest=_ANSWER_TOKENS, count=1
            )
            if span.score - nothing > best[1]:
                first, last = example.spans[span.start][0], example.spans[span.end][1]
                best = (context[first:last], span.score - nothing)
        return best


def is_reader(folder: Path) -> bool:
    """Whether a folder of transformers holds a reader, rather than an encoder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return any("QuestionAnswering" in name for name in config.get("architectures") or ())


def _inside(spans: Sequence[tuple[int, int]], question: Question) -> list[int]:
    """Places of the tokens that share a character with the answer."""
    end = question.start + len(question.answer)
    return [
        place
        for place, (first, last) in enumerate(spans)
        if question.answer and first < end and last > question.start
    ]


def _sentences(context: str, spans: Sequence[tuple[int, int]]) -> Iterator[Window]:
    """The tokens of each sentence of a paragraph."""
    firsts = [first for first, _ in spans]
    # A word's first token may begin with the space before it.
    breaks = [bisect_left(firsts, found.start()) for found in SENTENCE_END.finditer(context)]
    for start, end in pairwise([0, *breaks, len(spans)]):
        # A stop may follow another.
        if start < end:
            yield Window(start, end)


def _example(head: list[int], context: Encoding, window: Window, question: Question) -> Example:
    """What follows a head that ends in ``[SEP]`` ends in the same."""
    spans = context.offsets[window.start : window.end]
    inside = _inside(spans, question)
    end = question.start + len(question.answer)
    # A window that begins or ends within the answer does not hold it.
    whole = inside and spans[inside[0]][0] <= question.start and spans[inside[-1]][1] >= end
    return Example(
        ids=[*head, *context.ids[window.start : window.end], head[-1]],
        question=len(head),
        start=len(head) + inside[0] if whole else 0,
        end=len(head) + inside[-1] if whole else 0,
        spans=spans,
    )


@dataclass(frozen=True)
class Readings:
    """What a reader made of questions.

    Attributes:
        matches, f1s: of each question, read in its own paragraph.
        margins: logits of the best span less those of no answer: in the right paragraph; for every
            third question, in the next one of its article; in a sentence or two of the right one,
            with the answer and without.
        present: which of the margins are of text that holds the answer.
        short: which of them are of a sentence or two.
    """

    matches: list[float]
    f1s: list[float]
    margins: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]
    short: npt.NDArray[np.bool_]

    @classmethod
    def together(cls, parts: "Sequence[Readings]") -> "Readings":
        """Those of several readers as if they were of one."""
        return cls(
            matches=[match for part in parts for match in part.matches],
            f1s=[found for part in parts for found in part.f1s],
            margins=np.concatenate([part.margins for part in parts]),
            present=np.concatenate([part.present for part in parts]),
            short=np.concatenate([part.short for part in parts]),
        )

    @property
    def figures(self) -> dict[str, float]:
        """Exact match, F1, and the areas under the ROC curves that part answers and absence."""
        long = ~self.short
        return {
            "exact_match": float(np.mean(self.matches)),
            "f1": float(np.mean(self.f1s)),
            "absence_auc": area_under_roc(self.margins[long], self.present[long]),
            "sentence_absence_auc": area_under_roc(
                self.margins[self.short], self.present[self.short]
            ),
        }

    @property
    def calibration(self) -> dict[str, Any]:
        """What ``ssang.json`` says of it: beyond which log-odds of no answer there is none."""
        boundary = calibrate(self.margins, self.present)
        return {
            "no_answer_threshold": round(-boundary.threshold, 3),
            "calibrated_on": {
                "data": "held-out articles of KorQuAD, paragraphs and sentences of them,"
                " with and without the answer",
                "questions": len(self.matches),
                "balanced_accuracy": round(boundary.balanced_accuracy, 4),
            },
        }


def ask_all(reader: ReaderInTraining, articles: Sequence[Article]) -> Readings:
    """Asks every question of its own paragraph, and of others as :class:`Readings` says."""
    draw = random.Random(0)
    matches: list[float] = []
    f1s: list[float] = []
    # Margin, whether the answer is there, whether the text is short.
    margins: list[tuple[float, bool, bool]] = []
    for article in articles:
        for place, (context, questions) in enumerate(article.paragraphs):
            elsewhere = article.paragraphs[(place + 1) % len(article.paragraphs)][0]
            for number, question in enumerate(questions):
                found, margin = reader.answer(context, question)
                matches.append(exact_match(found, question.answer))
                f1s.append(f1(found, question.answer))
                margins.append((margin, True, False))
                if elsewhere != context and number % 3 == 0:
                    margins.append((reader.answer(elsewhere, question)[1], False, False))
            for line in reader.lines(context, questions, draw):
                margins.append((reader.read(context, [line])[1], line.start > 0, True))
    values, present, short = zip(*margins, strict=True)
    return Readings(matches, f1s, np.array(values), np.array(present), np.array(short))


def lessons(
    reader: ReaderInTraining, folder: Path, articles: Sequence[Article]
) -> dict[str, list[Example]]:
    """What the reader is taught, by its name in the log.

    Returns:
        ``parts``, people's questions and a part of the paragraph around the answer, or sentences
        of it with and without; ``asked``, the same and all of the paragraph, or another one;
        ``made``, questions made from plain text.
    """
    draw = random.Random(0)
    parts: list[Example] = []
    asked: list[Example] = []
    made: list[Example] = []
    for article in articles:
        for place, (context, questions) in enumerate(article.paragraphs):
            for found in reader.examples(context, questions):
                asked += found
            parts += reader.cuttings(context, [*questions] * _CUTTINGS, draw)
            parts += reader.lines(context, questions, draw)
            other = article.paragraphs[place - 1][0]
            elsewhere = [
                question._replace(answer="", start=0)
                for question in questions
                if other != context and draw.random() < _ELSEWHERE
            ]
            for found in reader.examples(other, elsewhere):
                asked += found[:1]
            for found in reader.examples(context, list(cloze_questions(context, 4, draw))):
                made += found
    passages = sources.cap_sources(sources.mine_passages(sources.read_aligned(folder)), cap=250)
    for passage in passages:
        for found in reader.examples(
            passage.korean, list(cloze_questions(passage.korean, 1, draw))
        ):
            made += found
    return {"parts": parts, "asked": parts + asked, "made": made}


def _order(steps: int) -> Iterator[tuple[str, int]]:
    """The lesson of each step, and how many of the same came before it.

    Few words first: where an answer stands is learnt from them in far fewer steps. Made questions
    thin out: they teach to read, people's to answer.
    """
    before: Counter[str] = Counter()
    for step in range(steps):
        name = "parts" if step < _PARTS * steps else "asked"
        if step % 2 and step < _MADE * steps:
            name = "made"
        yield name, before[name]
        before[name] += 1


def fit(
    encoder: Path,
    layers: int,
    folder: Path,
    articles: Sequence[Article],
    unseen: Sequence[Article],
    steps: int,
    rate: float,
    work: Path,
    device: str,
    measure_every: int = 400,
) -> tuple[ReaderInTraining, Readings]:
    """A reader trained on some articles, and what it makes of others.

    It also learns from questions made from the other files of the data.

    Args:
        encoder: whose layers it starts from.
        layers: so many of them, as :meth:`ReaderInTraining.load` takes.
        folder: of the data.
        articles: to learn from.
        unseen: to measure it on, as it learns and at the end.
        steps, rate, measure_every: how long, how fast and how often measured on the way, as in
            :class:`~training.trainer.Plan`.
        work: where checkpoint and log are kept.
        device: of PyTorch.
    """
    torch.manual_seed(0)
    reader = ReaderInTraining.load(encoder, layers)
    split_particles(reader.tokenizer.backend_tokenizer)
    nn.Module.to(reader.model, device)
    examples = lessons(reader, folder, articles)
    batches = {
        name: Batches([len(example.ids) for example in found], _BATCH, seed)
        for seed, (name, found) in enumerate(examples.items())
    }
    order = list(_order(steps))

    def loss_of(step: int) -> dict[str, torch.Tensor]:
        name, number = order[step]
        return {name: reader.loss([examples[name][place] for place in batches[name][number]])}

    readings: list[Readings] = []

    def figures() -> dict[str, float]:
        readings.append(ask_all(reader, unseen))
        return readings[-1].figures

    plan = Plan(steps, rate, embedding_rate=1.0, measure_every=measure_every)
    train(reader.model, reader.embeddings, loss_of, plan, work, figures)
    # Asked at the last step, unless that was taken by a run before this one.
    return reader, readings[-1] if readings else ask_all(reader, unseen)


@click.command()
@run_options(output="models/ko-reader", work="build/training/reader", steps=1_500, rate=1.5e-4)
@encoder_option
@layers_option
@held_out_option
def main(
    data: Path,
    encoder: Path,
    layers: int,
    output: Path,
    work: Path,
    steps: int,
    rate: float,
    held_out: int,
    device: str,
) -> None:
    """Train the reader on the files in DATA and write it to a model folder."""
    unseen = sources.read_articles(data, held_out=True, last=held_out)
    articles = sources.read_articles(data, held_out=False, last=held_out)
    reader, readings = fit(encoder, layers, data, articles, unseen, steps, rate, work, device)
    export_reader(reader.model, reader.tokenizer, output, readings.calibration)


if __name__ == "__main__":
    main()
