"""A data folder of a few hundred made lines, in the formats that the recipe of the models reads."""

import csv
import gzip
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

_ANIMALS = {"dog": "강아지", "cat": "고양이", "bear": "곰", "tiger": "호랑이", "rabbit": "토끼"}
_PLACES = {"park": "공원", "school": "학교", "market": "시장", "station": "역", "river": "강"}
_DEEDS = {"runs": "달립니다", "sleeps": "잠을 잡니다", "eats": "밥을 먹습니다", "plays": "놉니다"}

_ALL = [
    (f"A {animal} {deed} at the {place}.", f"{_ANIMALS[animal]}가 {_PLACES[place]}에서 {done}.")
    for animal in _ANIMALS
    for place in _PLACES
    for deed, done in _DEEDS.items()
]


def write_data(folder: Path) -> Path:
    """Writes every file that the recipe reads."""
    folder.mkdir()
    draw = random.Random(0)
    _write_parallel(folder)
    with gzip.open(folder / "korean.txt.gz", "wt", encoding="utf-8") as file:
        file.writelines(f"{korean}\n" for _, korean in _ALL)
    words = [*_ANIMALS.items(), *_PLACES.items()]
    _write_rows(folder / "words.tsv", [(*word, "made", "CC0") for word in words])
    for part, count in (("train", 60), ("dev", 40)):
        _write_scored(folder, part, count, draw)
    labels = ("entailment", "neutral", "contradiction")
    for name in ("xnli-dev.ko.tsv", "xnli-test.ko.tsv"):
        rows = [(_ALL[i][1], _ALL[i + j + 1][1], labels[j]) for i in range(20) for j in range(3)]
        _write_rows(folder / name, [("sentence1", "sentence2", "gold_label"), *rows])
    entailed = [
        {"premise": _ALL[i + 40][1], "hypothesis": _ALL[i + j + 41][1], "gold_label": labels[j]}
        for i in range(20)
        for j in range(3)
    ]
    _write_json(folder / "klue-nli-dev.json", entailed)
    groups = [(0, 0, f"{_ALL[5 * group][1]} {way}") for group in range(20) for way in range(10)]
    _write_rows(folder / "parakqc.tsv", groups)
    _write_csv(
        folder / "question-pairs-train.csv",
        ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
        [(i, i, i, _ALL[i][1], _ALL[i + 1][1], i % 2) for i in range(60)],
    )
    _write_csv(folder / "chatbot.csv", ["Q", "A", "label"], [(*pair, 0) for pair in _ALL[:60]])
    _write_json(folder / "korquad-part.json", {"version": "made", "data": _articles()})
    return folder


def _write_parallel(folder: Path) -> None:
    rows: list[Sequence[object]] = [("en", "ko", "source", "licence")]
    for place, (english, korean) in enumerate(_ALL):
        if place % 5 == 0:
            rows.append(
                (f"What happens at {place}?", f"{place}번에는 무슨 일이 있나요?", "made", "CC0")
            )
        rows.append(
            (f"{english} That is so.", f"{korean[:-1]}. 정말로 그렇게 되었습니다.", "made", "CC0")
        )
    with gzip.open(folder / "parallel.tsv.gz", "wt", encoding="utf-8") as file:
        file.writelines("\t".join(map(str, row)) + "\n" for row in rows)


def _write_scored(folder: Path, part: str, count: int, draw: random.Random) -> None:
    pairs = [(left, right, _likeness(left[1], right[1])) for left, right in _couples(count, draw)]
    header = ("genre", "filename", "year", "id", "score", "sentence1", "sentence2")
    rows = [("made", "made", "2020", i, s, a[1], b[1]) for i, (a, b, s) in enumerate(pairs)]
    _write_rows(folder / f"korsts-{part}.tsv", [header, *rows])
    with (folder / f"stsb-en-{part}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows((a[0], b[0], s) for a, b, s in pairs)


def _couples(count: int, draw: random.Random) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Half of them near each other in the list, where sentences share most of their words."""
    places = [draw.randrange(len(_ALL) - 4) for _ in range(count)]
    offsets = [draw.choice((0, 1, 3, draw.randrange(len(_ALL)))) for _ in range(count)]
    return [
        (_ALL[place], _ALL[(place + offset) % len(_ALL)])
        for place, offset in zip(places, offsets, strict=True)
    ]


def _likeness(left: str, right: str) -> float:
    """From 0 to 5 by the words that both have."""
    return 5 * len(set(left.split()) & set(right.split())) / max(len(left.split()), 1)


def _articles() -> list[dict[str, object]]:
    articles: list[dict[str, object]] = []
    for animal in _ANIMALS.values():
        paragraphs: list[dict[str, object]] = []
        for place in _PLACES.values():
            year = f"{1900 + len(articles) * 10 + len(paragraphs)}년"
            context = f"{animal}는 {place}에서 자랐다. {year}에 {animal}는 {place}을 떠났다고 한다."
            answer = {"text": year, "answer_start": context.index(year)}
            question = f"{animal}가 {place}을 떠난 해는?"
            paragraphs.append(
                {
                    "context": context,
                    "qas": [{"id": f"{animal}-{place}", "question": question, "answers": [answer]}],
                }
            )
        articles.append({"title": animal, "paragraphs": paragraphs})
    return articles


def _write_rows(path: Path, rows: Iterable[Sequence[object]]) -> None:
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
