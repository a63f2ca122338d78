"""What the data folder holds, as sentences and pairs.

Every file is named and described in the folder's own SOURCES.md. The readers check only what they
use, keep the files' order, and draw nothing at random, so that two runs see the same lists.
"""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

# Documentation and marketing text repeats itself: beyond so many rows a source teaches little.
SOURCE_CAP = 5_000

_LONGEST = 300

# Of these parts a model is measured, so that it never trains on them.
HELD_OUT_ARTICLES = 20
_HELD_OUT_GROUPS = 100


class Aligned(NamedTuple):
    """One sentence in two languages."""

    english: str
    korean: str
    source: str


class Scored(NamedTuple):
    """Two sentences and how near people found them, from 0 to 5."""

    left: str
    right: str
    score: float


class Triple(NamedTuple):
    """A sentence, one that follows from it, and one that contradicts it."""

    anchor: str
    positive: str
    negative: str


class Question(NamedTuple):
    """A question, the place of its answer, and where the answer stands."""

    id: str
    text: str
    answer: str
    start: int


@dataclass(frozen=True)
class Article:
    """Paragraphs on one subject, with the questions asked of each."""

    title: str
    paragraphs: tuple[tuple[str, tuple[Question, ...]], ...]

    @property
    def texts(self) -> list[str]:
        """The paragraphs without their questions."""
        return [text for text, _ in self.paragraphs]


def read_aligned(folder: Path) -> list[Aligned]:
    """English-Korean sentences in the file's order, without broken or one-sided ones."""
    with gzip.open(folder / "parallel.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [Aligned(*row[:3]) for row in rows if len(row) >= 3 and _is_translated(*row[:2])]


def read_words(folder: Path) -> list[Aligned]:
    """English-Korean words and names."""
    with (folder / "words.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Aligned(*row[:3]) for row in rows if len(row) >= 3 and _is_translated(*row[:2])]


def cap_sources(pairs: Iterable[Aligned], cap: int = SOURCE_CAP) -> list[Aligned]:
    """At most ``cap`` different pairs of each source, spread evenly over it."""
    by_source: dict[str, dict[str, Aligned]] = defaultdict(dict)
    for pair in pairs:
        by_source[pair.source].setdefault(pair.korean, pair)
    kept: list[Aligned] = []
    for rows in by_source.values():
        different = list(rows.values())
        step = max(1.0, len(different) / cap)
        kept += [different[int(place * step)] for place in range(int(len(different) / step))]
    return kept


def read_korean(folder: Path) -> list[str]:
    """Korean sentences without a translation."""
    with gzip.open(folder / "korean.txt.gz", "rt", encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


def read_scored(folder: Path, part: str) -> list[Scored]:
    """KorSTS: ``part`` is ``train`` or ``dev``."""
    with (folder / f"korsts-{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Scored(row["sentence1"], row["sentence2"], float(row["score"])) for row in rows]


def read_scored_originals(folder: Path) -> list[Aligned]:
    """The sentences of KorSTS train, each with the English one that it translates."""
    english, korean = read_scored_english(folder), read_scored(folder, "train")
    pairs: list[Aligned] = []
    for original, row in zip(english, korean, strict=True):
        pairs.append(Aligned(original.left, row.left, "KorSTS"))
        pairs.append(Aligned(original.right, row.right, "KorSTS"))
    return pairs


def read_scored_english(folder: Path) -> list[Scored]:
    """What KorSTS train translates."""
    with (folder / "stsb-en-train.csv").open(encoding="utf-8", newline="") as file:
        return [Scored(row[0], row[1], float(row[2])) for row in csv.reader(file)]


def read_triples(folder: Path) -> list[Triple]:
    """Entailment and contradiction of one premise: Korean XNLI and KLUE-NLI."""
    labelled: list[tuple[str, str, str]] = []
    for name in ("xnli-dev.ko.tsv", "xnli-test.ko.tsv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            labelled += [(row["sentence1"], row["sentence2"], row["gold_label"]) for row in rows]
    for row in json.loads((folder / "klue-nli-dev.json").read_text(encoding="utf-8")):
        labelled.append((row["premise"], row["hypothesis"], row["gold_label"]))
    by_premise: dict[str, dict[str, str]] = defaultdict(dict)
    for premise, hypothesis, label in labelled:
        by_premise[premise][label] = hypothesis
    return [
        Triple(premise, found["entailment"], found["contradiction"])
        for premise, found in by_premise.items()
        if {"entailment", "contradiction"} <= found.keys()
    ]


def read_paraphrases(folder: Path, *, held_out: bool) -> list[list[str]]:
    """Groups of ways to say one thing: paraKQC; every tenth group is held out."""
    with (folder / "parakqc.tsv").open(encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t")[-1] for line in file]
    groups = [lines[start : start + 10] for start in range(0, len(lines), 10)]
    every = max(2, len(groups) // _HELD_OUT_GROUPS)
    return [group for place, group in enumerate(groups) if (place % every == 0) == held_out]


def read_duplicates(folder: Path) -> list[tuple[str, str]]:
    """Remarks that say the same. In this file, against its name, ``is_duplicate`` 0 marks them."""
    with (folder / "question-pairs-train.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        return [(row["question1"], row["question2"]) for row in rows if row["is_duplicate"] == "0"]


def read_chat(folder: Path) -> list[tuple[str, str]]:
    """Short remarks and what one answers to them."""
    with (folder / "chatbot.csv").open(encoding="utf-8-sig", newline="") as file:
        return [(row["Q"], row["A"]) for row in csv.DictReader(file)]


def read_articles(
    folder: Path, *, held_out: bool | None = None, last: int = HELD_OUT_ARTICLES
) -> list[Article]:
    """KorQuAD 1.0; the ``last`` articles are held out, ``None`` gives all."""
    data = json.loads((folder / "korquad-part.json").read_text(encoding="utf-8"))["data"]
    articles = [
        Article(
            entry["title"],
            tuple(
                (paragraph["context"], tuple(_questions(paragraph["qas"])))
                for paragraph in entry["paragraphs"]
            ),
        )
        for entry in data
    ]
    if held_out is None:
        return articles
    count = min(last, len(articles) // 2)
    return articles[-count:] if held_out else articles[:-count]


def read_questions(folder: Path, *, held_out: bool) -> list[tuple[str, str]]:
    """Questions of KorQuAD, each with the paragraph that answers it."""
    return [
        (question.text, text)
        for article in read_articles(folder, held_out=held_out)
        for text, asked in article.paragraphs
        for question in asked
    ]


def mine_passages(pairs: Sequence[Aligned]) -> list[Aligned]:
    """Neighbouring sentences of one source as one longer text, in both languages.

    The files keep the order of the documents, so that three to six rows in a row mostly belong
    together; where they do not, both languages jump at the same place.
    """
    passages: list[Aligned] = []
    run: list[Aligned] = []
    wanted = 3
    for pair in pairs:
        if run and run[-1].source != pair.source:
            run = []
        run.append(pair)
        if len(run) == wanted:
            passages.append(_join(run))
            wanted = 3 + (wanted + 1) % 4
            run = []
    return passages


def mine_headed(pairs: Sequence[Aligned]) -> list[tuple[Aligned, Aligned]]:
    """What asks or names something, and the text behind it: question -> answer, title -> body."""
    found: list[tuple[Aligned, Aligned]] = []
    for place, (head, body) in enumerate(pairwise(pairs)):
        if head.source != body.source or not _is_head(head) or not _is_sentence(body):
            continue
        behind = pairs[place + 2 : place + 3]
        more = [row for row in behind if row.source == body.source and _is_sentence(row)]
        found.append((head, _join([body, *more])))
    return found


def _questions(entries: Iterable[dict[str, object]]) -> Iterator[Question]:
    for entry in entries:
        answers = entry["answers"]
        assert isinstance(answers, list)
        answer = answers[0]
        yield Question(
            str(entry["id"]), str(entry["question"]), answer["text"], answer["answer_start"]
        )


def _is_translated(english: str, korean: str) -> bool:
    return (
        any("가" <= char <= "힣" for char in korean)
        and len(english) <= _LONGEST * 2
        and len(korean) <= _LONGEST
        and 0.3 <= len(english) / len(korean) <= 8
    )


def _is_head(pair: Aligned) -> bool:
    if pair.korean.endswith("?"):
        return 6 <= len(pair.korean) <= 120
    return 6 <= len(pair.korean) <= 40 and pair.korean[-1].isalnum() and pair.korean[-1] != "다"


def _is_sentence(pair: Aligned) -> bool:
    return pair.korean.endswith(("다.", "요.", "오.")) and len(pair.korean) >= 25


def _join(rows: Sequence[Aligned]) -> Aligned:
    return Aligned(
        " ".join(row.english for row in rows), " ".join(row.korean for row in rows), rows[0].source
    )
