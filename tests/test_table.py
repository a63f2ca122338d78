"""Tables in every format and encoding, whole and damaged."""

import csv
import io
import json
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.charset import UNDECODABLE
from inference.errors import InvalidInput
from inference.table import Table, open_table

ROWS = [
    {"query": "맛있는 김치찌개", "document": "김치찌개, 된장찌개"},
    {"query": "줄이\n바뀐 글", "document": '그는 "네"라고; 했다'},
    {"query": "똠방각하 펲시콜라", "document": "가\t나"},
]

ENCODINGS = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-16", "cp949": "cp949"}


def _csv(rows: list[dict[str, str]], delimiter: str = ",", line_end: str = "\r\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


WRITTEN = {
    "comma.csv": _csv(ROWS),
    "semicolon.csv": _csv(ROWS, ";"),
    "tab.csv": _csv(ROWS, "\t", "\n"),
    "array.json": json.dumps(ROWS, ensure_ascii=False, indent=1),
    "escaped.json": json.dumps(ROWS),
    "pairs.json": json.dumps({"model": "m", "pairs": ROWS, "usage": {}}, ensure_ascii=False),
    "results.json": json.dumps({"results": ROWS}),
    "lines.jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
    "lines.json": "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n",
}


def _open(content: str | bytes, name: str = "", encoding: str = "utf-8", **options: Any) -> Table:
    data = content.encode(encoding) if isinstance(content, str) else content
    return open_table(io.BytesIO(data), name=name, **options)


def _values(table: Table) -> list[dict[str, object]]:
    return [dict(row.values) for row in table if row.fault is None]


def _faults(table: Table) -> dict[int, str]:
    return {row.number: row.fault for row in table if row.fault}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_in_every_encoding(name: str, encoding: str) -> None:
    table = _open(WRITTEN[name], name, encoding)
    ascii_only = WRITTEN[name].isascii() and encoding == "cp949"
    assert table.encoding == ("utf-8" if ascii_only else ENCODINGS[encoding])
    assert _values(table) == ROWS
    assert [row.number for row in table] == [1, 2, 3]
    assert table.first_columns == ["query", "document"]
    assert (table.columns is None) == (table.format in {"json", "jsonl"})


@pytest.mark.parametrize("name", WRITTEN)
def test_without_a_name_the_content_tells(name: str) -> None:
    if name != "tab.csv":  # which is read as TSV then, without quoting
        assert _values(_open(WRITTEN[name], "upload")) == ROWS


def test_real_file_on_disk(tmp_path: Any) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(WRITTEN["comma.csv"].encode("cp949"))
    with path.open("rb") as file:
        table = open_table(file, name=str(path))
        assert _values(table) == _values(table) == ROWS
        assert not file.closed


def test_tsv_keeps_quotes_that_nothing_closes() -> None:
    lines = [
        "score\tsentence1\tsentence2",
        '1\t"안녕\t그는 "네"',
        '2\t"그는 ""네"""\t"가" 또는 "나"',
    ]
    rows = _values(_open("\n".join(lines), "korsts.tsv"))
    assert rows == [
        {"score": "1", "sentence1": '"안녕', "sentence2": '그는 "네"'},
        {"score": "2", "sentence1": '그는 "네"', "sentence2": '"가" 또는 "나"'},
    ]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufdd0\ufeff"), max_size=20)


@given(st.lists(st.tuples(cells, cells), min_size=1), st.sampled_from(",;\t"))
def test_csv_round_trip(rows: list[tuple[str, str]], delimiter: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(
        [("query", "document"), *rows]
    )
    table = _open(text.getvalue(), "a.csv")
    assert [tuple(row.values.values())[::-1] for row in table] == rows


@given(st.binary(max_size=200), st.sampled_from([*ENCODINGS]))
def test_any_bytes_are_rows_or_faults(data: bytes, encoding: str) -> None:
    head = "query,document\n가,나\n".encode(encoding)
    rows = list(open_table(io.BytesIO(head + data), name="a.csv"))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))


@given(st.lists(cells, max_size=4), st.binary(max_size=60))
def test_any_json_ends(texts: list[str], tail: bytes) -> None:
    start = json.dumps([{"query": "가"}, *texts])[:-1].encode()
    assert next(iter(open_table(io.BytesIO(start + tail), name="a.json"))).values["query"] == "가"


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
def test_an_undecodable_byte_spoils_its_row_alone(name: str, encoding: str) -> None:
    rows = [{"query": f"{number}번 고객님", "document": "조회"} for number in range(9)]
    if name.endswith("json"):
        content = json.dumps(rows, ensure_ascii=False).replace("}, ", "},\n")
    elif name.endswith("jsonl"):
        content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    else:
        content = _csv(rows, "," if name.endswith("csv") else "\t")
    lines = content.encode(encoding).split(b"\n")
    at = next(index for index, line in enumerate(lines) if b"4" in line)
    lines[at] = lines[at].replace(b"4", b"\xff")
    table = _open(b"\n".join(lines), name)
    assert table.encoding == encoding
    damaged = [row for row in table if row.fault or UNDECODABLE in str(row.values["query"])]
    assert [row.number for row in damaged] == [5]
    with pytest.raises(InvalidInput, match="bytes that are not in the file's encoding"):
        damaged[0].text("query")


def test_a_quote_out_of_order_spoils_its_line_alone() -> None:
    table = _open('query,document\n가,나\n"다,라\n마,바\n사,아\n', "a.csv")
    assert list(_faults(table)) == [2]
    assert [row["query"] for row in _values(table)] == ["가", "마", "사"]


def test_a_quote_that_swallows_much_is_noticed() -> None:
    many = "".join(f"{number},나\n" for number in range(50_000))
    table = _open(f'query,document\n"가,나\n{many}', "a.csv")
    assert list(_faults(table)) == [1]
    assert len(_values(table)) == 50_000


def test_an_unquoted_separator_is_told() -> None:
    table = _open("query,document\n네, 알겠습니다,가\n나,다,,\n", "a.csv")
    assert "3 columns where the header has 2" in _faults(table)[1]
    assert _values(table) == [{"query": "나", "document": "다"}]


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        ("a.jsonl", '{"query": "가"}\n{"query"\n["가"]\n3\n{"query": "나"}', [2, 3, 4]),
        ("a.json", '[{"query": "가"}, 3, null, {"query": "나"}, {"que', [2, 3, 5]),
        ("a.jsonl", '{"query": "가"}\n' + "[" * 100_000, [2]),
    ],
)
def test_broken_json_spoils_its_row(name: str, content: str, bad: list[int]) -> None:
    assert list(_faults(_open(content, name))) == bad


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("escape", [r"\udc80", r"\ud800", r"\ud800\ud800", r"\uDBFF끝"])
def test_half_a_pair_becomes_a_replacement(name: str, escape: str) -> None:
    row = f'{{"query": "가{escape}"}}'
    table = _open(f"[{row}]" if name == "a.json" else row, name)
    (text,) = [row.text("query") for row in table]
    assert text.startswith("가\ufffd")


@pytest.mark.parametrize("shift", range(16))
@pytest.mark.parametrize(
    ("escape", "character"),
    [(r"\ud83d\ude00", "😀"), (r"\ud800", "\ufffd"), (r"\\ud800", r"\ud800"), (r"\\\"", '\\"')],
)
def test_escapes_across_pieces_stay_whole(shift: int, escape: str, character: str) -> None:
    lone = r'{"query": "\ud800"}, '
    start = f'[{lone}{{"query": "'
    filling = "x" * (65_536 - len(start) - shift)
    table = _open(f'{start}{filling}{escape}끝"}}]', "a.json")
    assert [row.text("query") for row in table] == ["\ufffd", f"{filling}{character}끝"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [(3, "not a text"), (None, "not a text"), (" ", "is empty"), (["가"], "not a text")],
)
def test_what_is_no_text_is_told(value: object, problem: str) -> None:
    (row,) = _open(json.dumps([{"query": value}]), "a.json")
    with pytest.raises(InvalidInput, match=problem):
        row.text("query")


def test_a_missing_column_is_told() -> None:
    rows = list(_open("query,document\n가\n", "a.csv"))
    with pytest.raises(InvalidInput, match="no column 'document'"):
        rows[0].text("document")


def test_columns_are_found_whatever_their_case() -> None:
    table = _open(" Query ,DOCUMENT,query\n가,나,다\n", "a.csv")
    assert table.require_column("query") == "Query"
    assert table.find_column("sentence1") is None
    with pytest.raises(InvalidInput, match="'sentence1'; it has 'Query', 'DOCUMENT', 'query'"):
        table.require_column("sentence1")


def test_of_columns_with_one_name_the_first_counts() -> None:
    assert _values(_open("query,query\n가,나\n", "a.csv")) == [{"query": "가"}]


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"", "a.csv", "is empty"),
        (b"\xef\xbb\xbf", "a.csv", "no header"),
        (b"\n \n", "", "is empty"),
        (b"query,document\n", "a.csv", "no rows"),
        (b"query\tdocument\n\n", "a.tsv", "no rows"),
        (b"[]", "a.json", "no rows"),
        (b'{"data":\n []}', "a.json", "array of objects"),
        (b'"query"', "a.json", "array of objects"),
        (b"[3]", "a.json", "No row of the file can be read"),
        (b"{", "a.jsonl", "No row of the file can be read"),
        (b"PK\x03\x04...", "a.xlsx", "Excel"),
        (b"\0\1\2\3", "a.bin", "no text"),
    ],
)
def test_a_file_that_cannot_be_read(content: bytes, name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        _open(content, name)


def test_reading_holds_no_more_than_it_needs() -> None:
    class Counted(io.BytesIO):
        position = 0

        def read1(self, size: int | None = -1, /) -> bytes:
            data = super().read1(size)
            self.position += len(data)
            return data

    file: IO[bytes] = Counted("query,document\n가,나\n".encode() + "다,라\n".encode() * 100_000)
    table = open_table(file, name="a.csv", encoding="utf-8")
    before = file.position  # type: ignore[attr-defined]
    next(iter(table))
    assert file.position - before < 100_000  # type: ignore[attr-defined]
