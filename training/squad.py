"""Exact match and F1 of answers, by the metric of KorQuAD 1.0."""

import re
import string
from collections import Counter

_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "‘’“”《》〈〉「」『』", " "))


def normalize(answer: str) -> str:
    """Lower case, no punctuation, one space between words.

    >>> normalize(' 《1984》,  George Orwell')
    '1984 george orwell'
    """
    return re.sub(r"\s+", " ", answer.lower().translate(_PUNCTUATION)).strip()


def exact_match(answer: str, right: str) -> float:
    """One for the same words, else nothing."""
    return float(normalize(answer) == normalize(right))


def f1(answer: str, right: str) -> float:
    """The harmonic mean of precision and recall over characters without spaces.

    KorQuAD counts characters, since particles stand at the end of Korean words
    (S. Lim et al., KorQuAD1.0: Korean QA dataset for machine reading comprehension, 2019).

    >>> round(f1("세종대왕이", "세종대왕"), 3)
    0.889
    """
    found, wanted = (Counter(normalize(text).replace(" ", "")) for text in (answer, right))
    common = sum((found & wanted).values())
    if not common:
        return float(found == wanted)
    precision, recall = common / found.total(), common / wanted.total()
    return 2 * precision * recall / (precision + recall)
