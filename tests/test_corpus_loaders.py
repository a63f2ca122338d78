"""Documents of tables, Markdown, text files and PDFs, whole and damaged."""

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader, PdfWriter

from inference.corpus.base import Document
from inference.corpus.loaders import (
    DocumentSource,
    Fault,
    find_files,
    is_document_file,
    open_documents,
)
from inference.errors import InvalidInput

ROOT = Path(__file__).resolve().parents[1]

FAQ = """no,Category,Information,type,Source
1,인증서는 어떻게 발급받나요?,"인터넷뱅킹에서 발급받습니다.
신분증이 필요합니다.",인증서,은행
2,이체 한도를 늘리고 싶습니다.,"창구에서, 신분증을 들고 오시면 됩니다.",이체,은행
"""

ENCODINGS = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-16", "cp949": "cp949"}


def _open(content: str | bytes, name: str = "a.csv", **options: Any) -> DocumentSource:
    data = content.encode() if isinstance(content, str) else content
    return open_documents(io.BytesIO(data), name=name, **options)


def _documents(source: DocumentSource) -> list[Document]:
    read = list(source)
    assert not [one for one in read if isinstance(one, Fault)]
    return [one for one in read if isinstance(one, Document)]


def _faults(source: DocumentSource) -> dict[int, str]:
    return {one.row: one.message for one in source if isinstance(one, Fault)}


# Tables


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_faq_layout_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_bytes(FAQ.encode(encoding))
    with path.open("rb") as file:
        source = open_documents(file, name="faq.csv")
        assert (source.format, source.encoding) == ("csv", ENCODINGS[encoding])
        assert source.columns == ["no", "Category", "Information", "type", "Source"]
        assert (source.title_column, source.text_column) == ("Category", "Information")
        first, second = _documents(source)
        assert first.title == "인증서는 어떻게 발급받나요?"
        assert first.text == "인터넷뱅킹에서 발급받습니다.\n신분증이 필요합니다."
        assert first.metadata == {"no": "1", "type": "인증서", "Source": "은행"}
        assert list(first.metadata) == ["no", "type", "Source"]
        assert second.text == "창구에서, 신분증을 들고 오시면 됩니다."
        # The same file is the same documents.
        assert _documents(source) == [first, second]
        assert first.id != second.id


def test_the_same_rows_in_another_file_are_the_same_documents() -> None:
    row = {"no": "1", "Category": "가", "Information": "나", "type": "다", "Source": "라"}
    by_csv = _documents(_open(f"{','.join(row)}\r\n1,가,나, 다 ,라\r\n"))
    by_lines = _documents(_open(json.dumps(row), "b.jsonl"))
    assert by_csv == by_lines


@pytest.mark.parametrize(
    ("header", "title", "text"),
    [
        ("question,answer,category", "question", "answer"),
        ("제목,내용,분류", "제목", "내용"),
        ("category,text,query", "query", "text"),
        # Elsewhere a category is one, and no question.
        ("category,text,date", None, "text"),
        ("Title, Body ,x", "Title", "Body"),
        ("Information,Category,title", "title", "Information"),
    ],
)
def test_columns_are_found_by_their_names(header: str, title: str | None, text: str) -> None:
    source = _open(f"{header}\n가,나,다\n")
    assert (source.title_column, source.text_column) == (title, text)
    columns = [column.strip() for column in header.split(",")]
    values = dict(zip(columns, "가나다", strict=True))
    (document,) = _documents(source)
    assert document.text == values.pop(text)
    assert document.title == (values.pop(title) if title else "")
    assert document.metadata == values


def test_columns_that_are_named_win() -> None:
    content = "id,title,text,code,요약\n1,가,나,q-7,라\n"
    source = _open(content, title_column="요약", text_column="title", id_column="code")
    assert (source.title_column, source.text_column) == ("요약", "title")
    (document,) = _documents(source)
    assert document == Document("q-7", "가", "라", {"id": "1", "text": "나"})
    assert _documents(_open(content))[0].id == "1"


@pytest.mark.parametrize("option", ["title_column", "text_column", "id_column"])
def test_a_column_that_is_not_there_is_named(option: str) -> None:
    with pytest.raises(InvalidInput, match="no column '요약'; it has 'text', 'b'"):
        _open("text,b\n가,나\n", **{option: "요약"})


def test_a_table_without_text_says_how_to_name_it() -> None:
    with pytest.raises(InvalidInput, match="it has 'a', 'b': name the text's with text_column"):
        _open("a,b\n가,나\n")


def test_a_bad_row_is_told_and_the_rest_goes_in() -> None:
    lines = ["id,text,type", "1,가,x", "2,,x", "3,나,x,더,많이", "4,다,x", '5,"라"마,x', "6,바,x"]
    source = _open("\n".join(lines))
    assert [one.id for one in source if isinstance(one, Document)] == ["1", "4", "6"]
    faults = _faults(source)
    assert "'text' is empty" in faults[2]
    assert "5 columns where the header has 3" in faults[3]
    assert "quotes are not in order" in faults[5]
    assert len(faults) == 3


@pytest.mark.parametrize("column", [0, 1, 2, 3])
def test_bytes_that_are_no_text_are_told_whatever_column_they_are_in(column: int) -> None:
    bad = ["가", "나", "다", "라"]
    bad[column] += "깨"
    content = f"id,title,text,type\n{','.join(bad)}\n{'가나다라' * 30},나,다,라\n"
    source = _open(content.encode().replace("깨".encode(), b"\xff"))
    assert "bytes that are not in the file's encoding" in _faults(source)[1]
    assert len(list(source)) == 2


def test_json_rows_keep_their_kinds() -> None:
    row = {
        "id": 7,
        "text": "가",
        "pages": [1, 2],
        "done": True,
        "score": 0.5,
        "none": None,
        "no": [],
        "metadata": {"type": "인증서", "tags": ["a", "b"], "empty": "", "gone": None},
    }
    (document,) = _documents(_open(json.dumps([row]), "a.json"))
    assert document.id == "7"
    assert document.metadata == {
        "pages": [1, 2],
        "done": True,
        "score": 0.5,
        "type": "인증서",
        "tags": ["a", "b"],
        "empty": "",
    }


def test_what_documents_hold_comes_back_the_same() -> None:
    documents = [
        Document("a", "글 ", " 제목", {"type": " 인증서 ", "n": 3, "empty": "", "list": [1, "2"]}),
        Document("b", "글", "", {}),
    ]
    lines = "\n".join(json.dumps(vars(document), ensure_ascii=False) for document in documents)
    assert _documents(_open(lines, "export.jsonl")) == documents
    answer = json.dumps({"documents": [vars(document) for document in documents], "total": 2})
    assert _documents(_open(answer, "answer.json")) == documents


def test_rows_of_json_may_lack_columns_that_others_have() -> None:
    lines = ['{"a": 1}', "no JSON", '{"text": "가"}', '{"title": "제목", "text": "나", "id": "x"}']
    source = _open("\n".join(lines), "a.jsonl")
    first, second = (one for one in source if isinstance(one, Document))
    assert (first.text, second.title, second.id) == ("가", "제목", "x")
    faults = _faults(source)
    assert "no column 'text'" in faults[1]
    assert "not JSON" in faults[2]


@pytest.mark.parametrize(
    "value",
    [
        '{"text": 3}',
        '{"text": "가", "title": ["나"]}',
        '{"text": "가", "id": true}',
        '{"text": "가", "id": "가\\n나"}',
        '{"text": "가", "x": {"y": 1}}',
        '{"text": "가", "x": [{"y": 1}]}',
        '{"text": "가", "x": 36893488147419103232}',
        '{"text": "가", "x": NaN}',
        '{"text": "가", "metadata": {"x": -Infinity}}',
        '{"text": "가", "metadata": {"": 1}}',
        '{"text": "가", "metadata": {"x": "' + "가" * 20_000 + '"}}',
        "[1]",
    ],
)
def test_a_row_that_cannot_be_kept_is_a_fault(value: str) -> None:
    source = _open(f'{{"text": "앞"}}\n{value}\n{{"text": "뒤"}}', "a.jsonl")
    before, fault, after = source
    assert isinstance(fault, Fault)
    assert fault.row == 2
    assert "가가" not in fault.message
    assert [one.text for one in (before, after) if isinstance(one, Document)] == ["앞", "뒤"]


def test_halves_of_utf_16_pairs_are_mended_everywhere() -> None:
    row = r'{"id": "a\ud800", "title": "b\ud800", "text": "c\ud800", "d\ud800": ["e\ud800"]}'
    (document,) = _documents(_open(row, "a.jsonl"))
    assert document == Document("a�", "c�", "b�", {"d�": ["e�"]})


def test_rows_are_read_one_at_a_time() -> None:
    rows = "".join(f"제목 {number},{'가나다라 ' * 40},종류\n" for number in range(4000))
    source = _open(f"title,text,type\n{rows}")
    tracemalloc.start()
    count = sum(1 for _ in source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 4000
    assert peak < len(rows.encode()) / 10


# Markdown and text


def test_sections_of_markdown_stand_under_their_headings() -> None:
    content = "\r\n".join(
        [
            "\ufeff머리말입니다.",
            "",
            "# 여권 #",
            "## 발급",
            "신분증을 가져오세요.",
            "",
            "- 사진 1장",
            "---",
            "## 분실",
            "```sh",
            "# 주석이지 제목이 아닙니다",
            "```",
            "세금",
            "====",
            "#해시태그는 제목이 아닙니다.",
            "",
            "환급",
            "---",
            "홈페이지에서 신청합니다.",
            "### 비어 있는 절",
        ]
    )
    documents = _documents(_open(content, "안내/민원.md"))
    assert [(document.title, document.text) for document in documents] == [
        ("", "머리말입니다."),
        ("여권 > 발급", "신분증을 가져오세요.\n\n- 사진 1장\n---"),
        ("여권 > 분실", "```sh\n# 주석이지 제목이 아닙니다\n```"),
        ("세금", "#해시태그는 제목이 아닙니다."),
        ("세금 > 환급", "홈페이지에서 신청합니다."),
    ]
    assert {str(document.metadata) for document in documents} == {"{'source': '안내/민원.md'}"}


def test_front_matter_is_metadata() -> None:
    content = '---\ntitle: "여권 안내"\ntype: 여권\ntags:\n  - a\n---\n처음\n# 분실\n신고하세요.\n'
    first, second = _documents(_open(content, "a.md"))
    assert (first.title, first.text) == ("여권 안내", "처음")
    assert second.title == "여권 안내 > 분실"
    assert second.metadata == {"title": "여권 안내", "type": "여권", "source": "a.md"}


@pytest.mark.parametrize("content", ["# 제목만\n## 있는 글\n", " \n\n", "---\na: b\n---\n"])
def test_markdown_that_says_nothing_is_a_fault(content: str) -> None:
    assert _faults(_open(content, "a.md")) == {1: "The file holds no text."}


def test_a_damaged_section_spoils_no_other() -> None:
    content = f"# 하나\n{'가나다 ' * 50}\n# 둘\n깨\n# 셋\n끝"
    source = _open(content.encode().replace("깨".encode(), b"\xff"), "a.md")
    assert "bytes that are not" in _faults(source)[2]
    assert [one.title for one in source if isinstance(one, Document)] == ["하나", "셋"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_file_is_one_document(encoding: str) -> None:
    source = _open("첫 줄입니다.\r\n\r\n둘째 줄입니다.\r\n".encode(encoding), "메모.TXT")
    assert (source.format, source.encoding, source.columns) == ("text", ENCODINGS[encoding], None)
    (document,) = _documents(source)
    assert document.text == "첫 줄입니다.\n\n둘째 줄입니다.\n"
    assert (document.title, document.metadata) == ("", {"source": "메모.TXT"})


def test_the_format_that_is_asked_for_wins() -> None:
    (document,) = _documents(_open("a,b\n가,나\n", "a.csv", file_format="text"))
    assert document.text == "a,b\n가,나\n"
    cp949 = "가,나".encode("cp949")
    assert "bytes that are not" in _faults(_open(cp949, "a.txt", encoding="utf-8"))[1]
    (row,) = _documents(_open("text;b\n가;나\n", "upload"))
    assert (row.text, row.metadata) == ("가", {"b": "나"})


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"", "a.md", "The file is empty"),
        (b"", "a.csv", "The file is empty"),
        (b"", "a.pdf", "The PDF cannot be read"),
        (b"%PDF-1.7 and no more", "a.pdf", "The PDF cannot be read"),
        (b"PK\x03\x04...", "a.xlsx", "Excel workbook"),
        (b"text\n", "a.csv", "no rows"),
    ],
)
def test_files_that_hold_no_documents_are_refused(content: bytes, name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        _open(content, name)


def test_a_text_that_is_none_is_a_fault() -> None:
    assert "no text" in _faults(_open("가나".encode("utf-16-le") + b"a\0b\0", "a.txt"))[1]


# PDF


def korean_pdf(pages: list[str]) -> bytes:
    """A PDF with a page a text, whose characters are told by their Unicode numbers."""
    mapping = (
        "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <ffff> "
        "endcodespacerange 1 beginbfrange <0000> <ffff> <0000> endbfrange endcmap"
    )
    kids = " ".join(f"{6 + 2 * page} 0 R" for page in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H "
        "/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /A /DW 1000 "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        _stream(mapping),
    ]
    for number, text in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {7 + 2 * number} 0 R "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        )
        shown = f"BT /F 12 Tf 50 700 Td <{text.encode('utf-16-be').hex()}> Tj ET" if text else ""
        objects.append(_stream(shown))
    body = b"%PDF-1.7\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


def _stream(content: str) -> str:
    return f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"


def test_a_pdf_is_a_document_a_page() -> None:
    source = _open(korean_pdf(["여권을 신청하세요.", "", "사진이 필요합니다."]), "안내.pdf")
    assert (source.format, source.encoding) == ("pdf", None)
    first, blank, last = source
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert (first.text, first.metadata) == ("여권을 신청하세요.", {"source": "안내.pdf", "page": 1})
    assert (last.text, last.metadata) == ("사진이 필요합니다.", {"source": "안내.pdf", "page": 3})
    assert isinstance(blank, Fault)
    assert blank.row == 2
    assert "OCR" in blank.message
    assert _open(korean_pdf(["가"]), "upload").format == "pdf"


def test_an_encrypted_pdf_is_read_if_it_has_no_password() -> None:
    for password in ("", "secret"):
        writer = PdfWriter(PdfReader(io.BytesIO(korean_pdf(["여권"]))))
        writer.encrypt(password, "owner", algorithm="RC4-128")
        written = io.BytesIO()
        writer.write(written)
        if password:
            with pytest.raises(InvalidInput, match="needs a password"):
                _open(written.getvalue(), "a.pdf")
        else:
            assert _documents(_open(written.getvalue(), "a.pdf"))[0].text == "여권"


def test_a_damaged_page_spoils_no_other() -> None:
    content = korean_pdf(["앞", "가운데", "뒤"])
    # The second page's content is no stream any more.
    broken = content.replace(b"/Contents 9 0 R", b"/Contents 1 0 R")
    assert broken != content
    source = _open(broken, "a.pdf")
    assert [one.text for one in source if isinstance(one, Document)] == ["앞", "뒤"]
    assert list(_faults(source)) == [2]


def test_pdf_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    with pytest.raises(InvalidInput, match=r"pip install 'ssang\[pdf\]'"):
        _open(korean_pdf(["가"]), "a.pdf")


# Folders


def test_folders_are_read_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    names = ["b.md", "a/2.TXT", "a/1.csv", "a/.hidden.md", ".git/x.md", "c.png", "a/b/d.pdf"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("가")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)]
    assert found == ["b.md", "c.png", "a/1.csv", "a/2.TXT", "a/b/d.pdf"]
    assert [name for name in found if not is_document_file(Path(name))] == ["c.png"]


# The sample


def test_the_sample_faq_goes_in_whole_and_each_entry_has_a_held_out_question() -> None:
    with (ROOT / "static/sample/faq.csv").open("rb") as file:
        source = open_documents(file, name="faq.csv")
        assert (source.title_column, source.text_column) == ("Category", "Information")
        entries = _documents(source)
    assert [entry.metadata["no"] for entry in entries] == [str(no) for no in range(1, 61)]
    assert len({entry.title for entry in entries}) == 60
    assert [entry.metadata["Source"] for entry in entries] == ["은행"] * 30 + ["민원실"] * 30
    with (ROOT / "benchmarks/faq-questions.csv").open(encoding="utf-8", newline="") as questions:
        rows = list(csv.DictReader(questions))
    assert [row["no"] for row in rows] == [str(no) for no in range(1, 61)] + [""] * 30
    # None is a copy of what it shall find.
    assert not {row["question"] for row in rows} & {entry.title for entry in entries}
