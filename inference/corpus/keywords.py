"""Words of texts and queries, as SQLite's full-text index takes them.

Korean words are found by the pairs of syllables in them: 대출 is in 전세자금대출, and in 대출은
with its particle. A search for whole words finds neither, and one for three letters at a time does
not even find 대출.
"""

import re
import unicodedata

# What is written without spaces between words: Hangul, Han and kana.
_SYLLABLES = "가-힣㐀-䶿一-鿿぀-ヿ"
_RUN = re.compile(rf"(?P<syllables>[{_SYLLABLES}]+)|(?P<word>[^\W_{_SYLLABLES}]+)")

# A page pasted as a query is searched by its beginning: each further token costs time and says
# less.
_MAX_QUERY_TOKENS = 256


def tokens(text: str) -> list[str]:
    """Pairs of syllables, lone syllables, and whole words of other letters and digits, in order.

    >>> tokens("전세자금대출, ATM 2대")
    ['전세', '세자', '자금', '금대', '대출', 'atm', '2', '대']
    """
    found: list[str] = []
    for run in _RUN.finditer(_fold(text)):
        part = run.group()
        if run["word"] or len(part) == 1:
            found.append(part)
        else:
            found.extend(part[at : at + 2] for at in range(len(part) - 1))
    return found


def match_expression(query: str) -> str:
    """An FTS5 expression for what holds any token of a query; empty if there is none.

    A lone syllable stands for every pair that begins with it. Tokens are letters and digits in
    quotes, so that nothing in a query is an operator.
    https://www.sqlite.org/fts5.html#full_text_query_syntax

    >>> match_expression("집 대출은?")
    '"집"* OR "대출" OR "출은"'
    """
    return " OR ".join(
        f'"{token}"*' if begins else f'"{token}"' for token, begins in query_tokens(query)
    )


def query_tokens(query: str) -> list[tuple[str, bool]]:
    """What a query looks for, each once, and whether tokens that only begin with it match too."""
    distinct = list(dict.fromkeys(tokens(query)))[:_MAX_QUERY_TOKENS]
    return [(token, _is_syllable(token)) for token in distinct]


def _is_syllable(token: str) -> bool:
    return re.fullmatch(f"[{_SYLLABLES}]", token) is not None


def _fold(text: str) -> str:
    """Hangul in whole syllables, letters of one width and case.

    Case folding can undo the normal form, so that it is made once more.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)
