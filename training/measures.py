"""How good a bi-encoder is: figures over the held-out parts of the data folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import pearsonr, spearmanr

from inference.encoders.base import Encoder
from inference.similarity import Vectors, cosine, normalize
from training import sources
from training.batches import by_length

Embed = Callable[[Sequence[str]], Vectors]

# Every so many mined questions one is held out.
HELD_OUT_EVERY = 20


@dataclass(frozen=True)
class HeldOut:
    """What bi-encoders are measured on, read once.

    Attributes:
        scored: KorSTS dev.
        paraphrases: held-out groups of paraKQC.
        questions, paragraphs, places: questions on held-out KorQuAD articles, the paragraphs of
            all articles, and each question's place among them.
        asked, answers: questions with the answers behind them.
    """

    scored: list[sources.Scored]
    paraphrases: list[list[str]]
    questions: list[str]
    paragraphs: list[str]
    places: list[int]
    asked: list[str]
    answers: list[str]


def read_held_out(folder: Path) -> HeldOut:
    """Reads the held-out parts of a data folder."""
    paragraphs = [text for article in sources.read_articles(folder) for text in article.texts]
    index = {text: place for place, text in enumerate(paragraphs)}
    questions = sources.read_questions(folder, held_out=True)
    answered = held_out_answers(sources.mine_headed(sources.read_aligned(folder)))
    return HeldOut(
        scored=sources.read_scored(folder, "dev"),
        paraphrases=sources.read_paraphrases(folder, held_out=True),
        questions=[question for question, _ in questions],
        paragraphs=paragraphs,
        places=[index[paragraph] for _, paragraph in questions],
        asked=[head.korean for head, _ in answered],
        answers=[body.korean for _, body in answered],
    )


def held_out_answers(
    headed: Sequence[tuple[sources.Aligned, sources.Aligned]],
) -> list[tuple[sources.Aligned, sources.Aligned]]:
    """Every twentieth different question of :func:`~training.sources.mine_headed`."""
    asked = {head.korean: (head, body) for head, body in headed if head.korean.endswith("?")}
    return list(asked.values())[::HELD_OUT_EVERY]


def embed_with(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Unit vectors (n, dim) of texts, by batches of like length."""
    ids = encoder.tokenize(texts, "document").ids
    vectors = np.zeros((len(ids), encoder.dim), dtype=np.float32)
    for batch in by_length([len(row) for row in ids], encoder.batch_tokens):
        vectors[batch] = encoder.encode([ids[place] for place in batch])
    return vectors


def cosines_of(embed: Embed, pairs: Sequence[sources.Scored]) -> Vectors:
    """The cosine of each pair."""
    return cosine(embed([pair.left for pair in pairs]), embed([pair.right for pair in pairs]))


def measure(embed: Embed, held_out: HeldOut, dimensions: int | None = None) -> dict[str, float]:
    """Figures between 0 and 1 by name, of vectors whole or cut to ``dimensions`` and rescaled."""

    def vectors_of(texts: Sequence[str]) -> Vectors:
        vectors = embed(texts)
        return vectors if dimensions is None else normalize(vectors[:, :dimensions])

    scored = held_out.scored
    cosines, labels = cosines_of(vectors_of, scored), [row.score for row in scored]
    ranks = _ranks(vectors_of(held_out.questions), vectors_of(held_out.paragraphs), held_out.places)
    answers = _ranks(
        vectors_of(held_out.asked), vectors_of(held_out.answers), range(len(held_out.answers))
    )
    return {
        "korsts_dev_spearman": float(spearmanr(cosines, labels).statistic),
        "korsts_dev_pearson": float(pearsonr(cosines, labels).statistic),
        "paraphrase_recall@1": _nearest_in_group(vectors_of, held_out.paraphrases),
        "paragraph_recall@1": float(np.mean(ranks == 0)),
        "paragraph_recall@10": float(np.mean(ranks < 10)),
        "paragraph_mrr": float(np.mean(1 / (ranks + 1))),
        "answer_recall@1": float(np.mean(answers == 0)),
        "answer_mrr": float(np.mean(1 / (answers + 1))),
    }


def _ranks(queries: Vectors, documents: Vectors, places: Sequence[int]) -> npt.NDArray[np.int64]:
    """How many documents come before the right one, for each query."""
    scores = queries @ documents.T
    right = scores[np.arange(len(queries)), list(places)]
    ahead: npt.NDArray[np.int64] = (scores > right[:, None]).sum(axis=1)
    return ahead


def _nearest_in_group(embed: Embed, groups: Sequence[Sequence[str]]) -> float:
    """The share of sentences whose nearest other sentence is of their own group."""
    vectors = embed([text for group in groups for text in group])
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return float(np.mean(owner[scores.argmax(axis=1)] == owner))
