"""Words of texts and of queries; what they find is in tests/test_corpus_store.py."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.corpus.keywords import match_expression, tokens


@pytest.fixture(scope="module")
def fts() -> Iterator[sqlite3.Connection]:
    """A full-text table with one row, "대출 and or not near"."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            "CREATE VIRTUAL TABLE keywords USING fts5 (tokens, content='', tokenize='ascii')"
        )
        words = " ".join(tokens("대출 AND OR NOT NEAR"))
        database.execute("INSERT INTO keywords (rowid, tokens) VALUES (1, ?)", [words])
        yield database


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("전세자금대출", ["전세", "세자", "자금", "금대", "대출"]),
        ("대출은 집", ["대출", "출은", "집"]),
        ("ATM기에서 OTP-2를", ["atm", "기에", "에서", "otp", "2", "를"]),
        ("2금융권 3.5%", ["2", "금융", "융권", "3", "5"]),
        ("新用 漢 カード", ["新用", "漢", "カー", "ード"]),
        ("ＡＴＭ　２４", ["atm", "24"]),
        ("\u1103\u1162\u110e\u116e\u11af", ["대출"]),
        ("Straße CAFÉ cafe\u0301", ["strasse", "café", "café"]),
        ("user_name", ["user", "name"]),
        ("ㅋㅋㅋ", ["ᄏᄏᄏ"]),
        (" \"'()*:^-+{}~\n\0", []),
        ("", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("전세 대출", '"전세" OR "대출"'),
        ("집", '"집"*'),
        ("대출 대출", '"대출"'),
        ("a NOT b", '"a" OR "not" OR "b"'),
        ('text:"대출" AND (NEAR*', '"text" OR "대출" OR "and" OR "near"'),
        ('"', ""),
    ],
)
def test_match_expressions(query: str, expected: str) -> None:
    assert match_expression(query) == expected


def test_a_page_as_a_query_is_cut() -> None:
    assert match_expression(" ".join(f"w{n}" for n in range(5000))).count("OR") == 255


@settings(deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("대출\"'*()^:+-{}, ORANDT"))))
def test_no_query_is_an_error_of_syntax(fts: sqlite3.Connection, query: str) -> None:
    expression = match_expression(query)
    if expression:
        fts.execute("SELECT rowid FROM keywords WHERE keywords MATCH ?", [expression]).fetchall()


@settings(deadline=None)
@given(st.text())
def test_every_text_is_found_by_itself(fts: sqlite3.Connection, text: str) -> None:
    """A row holds its tokens only if the table splits them no further."""
    words = tokens(text)
    fts.execute("SAVEPOINT row")
    fts.execute("INSERT INTO keywords (rowid, tokens) VALUES (2, ?)", [" ".join(words)])
    for word in words:
        found = fts.execute("SELECT rowid FROM keywords WHERE keywords MATCH ?", [f'"{word}"'])
        assert (2,) in found.fetchall()
    fts.execute("ROLLBACK TO row")
    fts.execute("RELEASE row")
