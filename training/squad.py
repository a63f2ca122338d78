"""Exact match and F1 of answers, by the metric of KorQuAD 1.0.

S. Lim et al., KorQuAD1.0: Korean QA dataset for machine reading comprehension, 2019, whose script
normalises as SQuAD's does, but for quotes and brackets, and has no articles to leave out.
"""

import string
from collections import Counter

# What parts words becomes a space; other punctuation stands within them, as in 1,000, and goes.
_QUOTES = "'\"‘’()<>〈〉《》"
_NORMAL = str.maketrans({**dict.fromkeys(string.punctuation, ""), **dict.fromkeys(_QUOTES, " ")})


def normalize(answer: str) -> str:
    """Lower case, no punctuation, one space between words.

    >>> normalize(' 《1984》,  George Orwell (1,000원)')
    '1984 george orwell 1000원'
    """
    return " ".join(answer.lower().translate(_NORMAL).split())


def exact_match(answer: str, right: str) -> float:
    """One for the same words, else nothing."""
    return float(normalize(answer) == normalize(right))


def f1(answer: str, right: str) -> float:
    """The harmonic mean of precision and recall over characters without spaces.

    KorQuAD counts characters, since particles stand at the end of Korean words.

    >>> round(f1("세종대왕이", "세종대왕"), 3)
    0.889
    """
    found, wanted = (Counter(normalize(text).replace(" ", "")) for text in (answer, right))
    common = (found & wanted).total()
    if not common:
        return 0.0
    precision, recall = common / found.total(), common / wanted.total()
    return 2 * precision * recall / (precision + recall)
