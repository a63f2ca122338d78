"""The page that scores a file."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

NewPage = Callable[..., Page]
Ask = Callable[..., Any]
Contrasts = Callable[[Page, str], list[tuple[str, float]]]

LINE_BREAK = ("색깔", '그가 "파랑, 그리고 빨강"이라고\n말했습니다.')
PAIRS = [
    ("맛있는 한국 전통 음식 김치찌개", "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다."),
    ("내일 비가 올까?", "내일은 전국에 비가 내립니다."),
    ("색깔", '그가 "파랑, 그리고 빨강"이라고 말했습니다.'),
]
READABLE = 4.5
START = {
    "start": {
        "model": "ko-mini",
        "format": "csv",
        "encoding": "utf-8",
        "columns": ["query", "document"],
        "query_column": "query",
        "document_column": "document",
        "thresholds": {"high": 0.77, "medium": 0.575, "binary": 0.68},
    }
}
ROW = {
    "row": 1,
    "query": "질의",
    "document": "문서",
    "score": 0.8,
    "grade": "high",
    "match": True,
    "query_tokens": 3,
    "document_tokens": 3,
    "truncated": False,
}


def table(
    pairs: list[tuple[str, str]],
    header: tuple[str, str] = ("query", "document"),
    delimiter: str = ",",
) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([header, *pairs])
    return text.getvalue()


def payload(name: str, content: str | bytes, encoding: str = "utf-8") -> FilePayload:
    data = content.encode(encoding) if isinstance(content, str) else content
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def choose(page: Page, file: FilePayload) -> None:
    page.locator("#file").set_input_files(file)


def send(page: Page) -> None:
    page.get_by_role("button", name="점수 매기기", exact=True).click()


def wait_for_end(page: Page) -> None:
    expect(page.locator("#send")).to_have_attribute("aria-busy", "false", timeout=180_000)
    expect(page.locator("#progress")).to_be_hidden()


def score(page: Page, file: FilePayload) -> None:
    page.goto("/file")
    choose(page, file)
    send(page)
    wait_for_end(page)


def totals(page: Page) -> dict[str, str]:
    """The summary's names and values."""
    names = page.locator(".totals dt").all_inner_texts()
    return dict(zip(names, page.locator(".totals dd").all_inner_texts(), strict=True))


def shown_scores(page: Page) -> list[str]:
    return page.locator(".rows__number").all_inner_texts()


def download(page: Page) -> list[dict[str, str]]:
    """The rows of the downloaded file, read as Python's csv reads them."""
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV 내려받기").click()
    data = Path(started.value.path()).read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.endswith(b"\r\n")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def expected_scores(ask: Ask, pairs: list[tuple[str, str]]) -> list[str]:
    body = {"pairs": [{"query": query, "document": document} for query, document in pairs]}
    return [f"{pair['score']:.4f}" for pair in ask("/api/pairs", body)["pairs"]]


def stream(*lines: object) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def answer_with(page: Page, body: str) -> None:
    page.route(
        "**/api/score-file",
        lambda route: route.fulfill(content_type="application/x-ndjson", body=body),
    )


@pytest.mark.parametrize(
    "file",
    [
        payload("pairs.csv", table(PAIRS)),
        payload("pairs.csv", table(PAIRS), "utf-8-sig"),
        payload("pairs.csv", table(PAIRS), "utf-16"),
        payload("엑셀, 옛 형식.csv", table(PAIRS), "cp949"),
        payload("pairs.tsv", table(PAIRS, delimiter="\t")),
        payload("pairs.csv", table(PAIRS, ("sentence1", "sentence2"))),
        payload(
            "pairs.jsonl",
            "".join(json.dumps({"query": q, "document": d}) + "\n" for q, d in PAIRS),
        ),
        payload("pairs.json", json.dumps([{"query": q, "document": d} for q, d in PAIRS])),
    ],
    ids=["utf-8", "byte order mark", "utf-16", "cp949", "tsv", "sentence1", "jsonl", "json"],
)
def test_file_gives_the_api_s_scores(page: Page, ask: Ask, file: FilePayload) -> None:
    score(page, file)
    assert shown_scores(page) == expected_scores(ask, PAIRS)
    texts = page.locator(".rows__cell--text p").all_text_contents()
    assert texts == [text for pair in PAIRS for text in pair]
    shown = totals(page)
    counts = [shown[name] for name in ("전체 행", "점수 매긴 행", "실패한 행", "잘린 행")]
    assert counts == ["3", "3", "0", "0"]
    scores = [float(text) for text in shown_scores(page)]
    assert float(shown["평균 점수"]) == pytest.approx(sum(scores) / 3, abs=1e-4)
    expect(page.locator("#announcement")).to_contain_text("3행 가운데 3행의 점수를 매겼습니다.")


def test_sample_is_one_click_away(page: Page) -> None:
    page.goto("/file")
    page.get_by_role("button", name="생활 문장 12쌍으로 해 보기").click()
    wait_for_end(page)
    assert totals(page)["전체 행"] == "12"
    assert totals(page)["실패한 행"] == "1"
    assert {"상", "중", "하"} == set(page.locator(".rows .grade").all_inner_texts())
    failed = page.locator(".rows__row--failed")
    expect(failed).to_have_count(1)
    expect(failed.locator(".tag")).to_have_text("실패")
    expect(failed.locator(".rows__message")).to_contain_text("서버의 설명:")
    with page.expect_download() as started:
        page.get_by_role("link", name="예시 파일 내려받기").click()
    sample = Path(started.value.path()).read_text(encoding="utf-8-sig")
    assert len(list(csv.reader(io.StringIO(sample, newline="")))) == 13


def test_dropped_file_is_taken_anywhere_on_the_page(page: Page) -> None:
    page.goto("/file")
    files = """(texts) => {
      const transfer = new DataTransfer();
      for (const [name, text] of texts) transfer.items.add(new File([text], name));
      return transfer;
    }"""
    two = page.evaluate_handle(files, [["a.csv", "x"], ["b.csv", "y"]])
    page.locator("h1").dispatch_event("drop", {"dataTransfer": two})
    expect(page.get_by_text("파일은 한 번에 하나만 보낼 수 있습니다.")).to_be_visible()

    one = page.evaluate_handle(files, [["끌어온 파일.csv", table(PAIRS)]])
    page.locator("#drop").dispatch_event("dragover", {"dataTransfer": one})
    expect(page.locator("#drop")).to_have_class("drop drop--over")
    page.locator("#drop").dispatch_event("drop", {"dataTransfer": one})
    expect(page.locator("#drop-name")).to_have_text("끌어온 파일.csv")
    expect(page.locator("#file-problem")).to_be_hidden()
    send(page)
    wait_for_end(page)
    assert totals(page)["전체 행"] == "3"


def test_file_is_chosen_and_sent_by_keyboard(page: Page) -> None:
    page.goto("/file")
    page.locator("#main").focus()
    for _ in range(3):  # The sample, its download, the file.
        page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    outline = page.locator("#drop").evaluate("zone => getComputedStyle(zone).outlineStyle")
    assert outline == "solid"
    with page.expect_file_chooser() as chooser:
        page.locator("#file").press("Space")
    chooser.value.set_files(payload("pairs.csv", table(PAIRS)))
    expect(page.locator("#drop-name")).to_have_text("pairs.csv")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#send")).to_be_focused()
    page.keyboard.press("Enter")
    wait_for_end(page)
    assert len(shown_scores(page)) == 3


def test_missing_file_is_pointed_at(page: Page) -> None:
    page.goto("/file")
    send(page)
    expect(page.get_by_text("파일을 골라 주세요.", exact=True)).to_be_visible()
    expect(page.locator("#file")).to_be_focused()
    expect(page.locator("#file")).to_have_attribute("aria-invalid", "true")
    choose(page, payload("pairs.csv", table(PAIRS)))
    expect(page.get_by_text("파일을 골라 주세요.", exact=True)).to_be_hidden()


def test_file_over_the_limit_is_not_sent(page: Page, ask: Ask) -> None:
    limit = ask("/api/info")["limits"]["max_body_bytes"]
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method))
    page.goto("/file")
    expect(page.locator("#drop-hint")).to_contain_text(f"최대 {limit // 2**20} MB")
    choose(page, payload("large.csv", b"x" * (limit + 1)))
    send(page)
    expect(page.locator("#file-problem")).to_contain_text("나누어 보내 주세요.")
    assert "POST" not in requests


def test_wrong_columns_are_mended_through_the_options(
    page: Page, ask: Ask, expected_errors: list[str]
) -> None:
    expected_errors.append("422")
    score(page, payload("pairs.csv", table(PAIRS, ("질문", "답변"))))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("질문")
    expect(alert).to_contain_text("답변")
    expect(page.locator("#answer")).to_be_hidden()
    page.get_by_label("질의 열 이름").fill("질문")
    page.get_by_label("문서 열 이름").fill(" 답변 ")
    send(page)
    wait_for_end(page)
    expect(alert).to_be_empty()
    assert shown_scores(page) == expected_scores(ask, PAIRS)
    expect(page.locator("#code-curl")).to_contain_text("--form-string 'document_column=답변'")


def test_wrong_guess_of_the_encoding_is_mended_through_the_options(page: Page, ask: Ask) -> None:
    page.goto("/file")
    choose(page, payload("pairs.txt", table(PAIRS), "cp949"))
    page.get_by_text("열 이름과 파일 형식 직접 지정").click()
    page.get_by_label("파일 형식").select_option("CSV")
    page.get_by_label("문자 인코딩").select_option("CP949 (EUC-KR)")
    send(page)
    wait_for_end(page)
    assert shown_scores(page) == expected_scores(ask, PAIRS)


def test_thousands_of_rows_are_shown_a_page_at_a_time(page: Page) -> None:
    pairs = [(f"질의 {number % 60}", f"문서 {number % 50}") for number in range(3000)]
    score(page, payload("many.csv", table(pairs)))
    assert totals(page)["전체 행"] == "3,000"
    rows = page.locator(".rows__row")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="더 보기 (남은 2,950개)").click()
    expect(rows).to_have_count(100)
    expect(rows.nth(50)).to_be_focused()
    counts = [
        int(text.split("행")[0].replace(",", ""))
        for text in page.locator(".grades__item span:last-child").all_inner_texts()
    ]
    assert sum(counts) == 3000
    described = page.locator(".histogram figcaption").text_content() or ""
    bins = [int(count.replace(",", "")) for count in re.findall(r": ([\d,]+)행", described)]
    assert sum(bins) == 3000
    downloaded = download(page)
    assert [row["row"] for row in downloaded] == [str(number + 1) for number in range(3000)]
    assert [row["query"] for row in downloaded] == [query for query, _ in pairs]


def test_download_holds_every_row_and_runs_nothing(page: Page, ask: Ask) -> None:
    dangerous = ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "a=1", '="a, b"\n둘째 줄']
    pairs = [(text, "문서") for text in dangerous] + [LINE_BREAK, ("질의", "")]
    score(page, payload("나의 파일.csv", table(pairs)))
    rows = download(page)
    assert len(rows) == len(pairs)
    for row, (query, _) in zip(rows, pairs, strict=True):
        apostrophe = "'" if query[0] in "=+-@" else ""
        assert row["query"] == apostrophe + query
    scored = rows[:-1]
    assert [f"{float(row['score']):.4f}" for row in scored] == expected_scores(ask, pairs[:-1])
    assert {row["grade"] for row in scored} <= {"high", "medium", "low"}
    assert rows[-1]["score"] == ""
    assert rows[-1]["error"] != ""


def test_texts_that_begin_with_a_tab_run_nothing_either(page: Page) -> None:
    rows = [{**ROW, "row": 1, "query": "\t=1+1"}, {**ROW, "row": 2, "query": "\r=1+1"}]
    answer_with(page, stream(START, *rows, {"summary": {"rows": 2, "seconds": 1}}))
    score(page, payload("pairs.csv", table(PAIRS)))
    assert [row["query"] for row in download(page)] == ["'\t=1+1", "'\r=1+1"]


def test_negative_scores_stay_numbers_in_the_download(page: Page) -> None:
    rows = [{**ROW, "row": 1, "score": -0.25, "grade": "low"}, {**ROW, "row": 2, "score": -1.0}]
    answer_with(page, stream(START, *rows, {"summary": {"rows": 2, "seconds": 75.4}}))
    score(page, payload("pairs.csv", table(PAIRS)))
    assert [float(row["score"]) for row in download(page)] == [-0.25, -1]
    assert totals(page)["걸린 시간"] == "1분 15초"
    described = page.locator(".histogram figcaption").text_content()
    assert described == "-1.00~-0.95: 1행, -0.25~-0.20: 1행"


def test_score_on_a_border_falls_into_the_bin_above(page: Page) -> None:
    scores = [0.6, 0.15, 1.0, 0.5999]
    rows = [{**ROW, "row": at + 1, "score": value} for at, value in enumerate(scores)]
    answer_with(page, stream(START, *rows, {"summary": {"rows": 4, "seconds": 1}}))
    score(page, payload("pairs.csv", table(PAIRS)))
    described = page.locator(".histogram figcaption").text_content()
    assert described == "0.15~0.20: 1행, 0.55~0.60: 1행, 0.60~0.65: 1행, 0.95~1.00: 1행"


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ([], "서버의 응답이 중간에 끊겼습니다."),
        (
            [{"error": {"code": "model_unavailable", "message": "it is gone"}}],
            "모델이 아직 준비되지 않았습니다.",
        ),
    ],
)
def test_unfinished_stream_says_so_and_keeps_its_rows(
    page: Page, ending: list[object], words: str
) -> None:
    answer_with(page, stream(START, ROW, {**ROW, "row": 2}, {"heartbeat": {"rows": 2}}, *ending))
    score(page, payload("pairs.csv", table(PAIRS)))
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.locator("#result .notice")).to_have_text(
        "파일을 끝까지 읽지 못해 2행의 결과만 있습니다."
    )
    assert [row["score"] for row in download(page)] == ["0.8", "0.8"]


def test_line_cut_in_the_middle_is_an_interruption(page: Page) -> None:
    answer_with(page, stream(START, ROW) + '{"row": 2, "que')
    score(page, payload("pairs.csv", table(PAIRS)))
    expect(page.get_by_role("alert")).to_contain_text("서버의 응답이 중간에 끊겼습니다.")
    assert len(shown_scores(page)) == 1


def test_stop_keeps_what_came(page: Page) -> None:
    long = "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다. " * 8
    pairs = [(f"질의 {number}", f"{long}{number}") for number in range(4000)]
    page.goto("/file")
    choose(page, payload("many.csv", table(pairs)))
    send(page)
    expect(page.locator("#progress-text")).to_have_text(
        re.compile(r"^[1-9][\d,]*행 완료 · 모두 약 4,000행$"), timeout=60_000
    )
    assert float(page.locator("#progress-bar").get_attribute("aria-valuenow") or -1) >= 0
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="중단").click()
    wait_for_end(page)
    rows = int(totals(page)["전체 행"].replace(",", ""))
    assert 0 < rows < 4000
    expect(page.locator("#result .notice")).to_contain_text(f"{rows:,}행의 결과만 있습니다.")
    expect(page.locator("#announcement")).to_have_text("중단했습니다.")
    expect(page.get_by_role("alert")).to_be_empty()
    assert len(download(page)) == rows


def test_stop_before_any_answer_leaves_the_page_ready(page: Page) -> None:
    held: list[Route] = []
    page.route("**/api/score-file", lambda route: held.append(route))
    page.goto("/file")
    choose(page, payload("pairs.csv", table(PAIRS)))
    with page.expect_request("**/api/score-file"):
        send(page)
    expect(page.locator("#progress-text")).to_have_text("파일을 보내는 중")
    page.get_by_role("button", name="중단").click()
    wait_for_end(page)
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#answer")).to_be_hidden()


def test_overload_says_when_to_try_again(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append("429")
    body = {"error": {"code": "overloaded", "message": "busy"}}
    page.route(
        "**/api/score-file",
        lambda route: route.fulfill(status=429, headers={"Retry-After": "7"}, json=body),
    )
    score(page, payload("pairs.csv", table(PAIRS)))
    expect(page.get_by_role("alert")).to_contain_text("7초 뒤에 다시 시도해 주세요.")


def test_other_file_marks_the_answer_as_stale(page: Page) -> None:
    score(page, payload("pairs.csv", table(PAIRS)))
    stale = page.get_by_text("입력한 내용이 바뀌었습니다.")
    expect(stale).to_be_hidden()
    choose(page, payload("other.csv", table(PAIRS)))
    expect(stale).to_be_visible()


def test_markup_stays_text(page: Page) -> None:
    markup = '<img src=x onerror="window.attacked = true">'
    score(page, payload("<b>pairs.csv", table([(markup, markup), (markup, "")])))
    expect(page.locator(".rows__cell--text p").first).to_have_text(markup)
    assert page.locator("#output img, #drop b").count() == 0
    assert page.evaluate("window.attacked") is None


@pytest.mark.parametrize("name", ["pairs.csv", 'it\'s "a, b; c" $HOME.csv', "문장 쌍.csv"])
def test_snippets_give_the_scores_of_the_page(page: Page, tmp_path: Path, name: str) -> None:
    content = table(PAIRS, ("it's", "답변"))
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    page.goto("/file")
    choose(page, payload(name, content))
    page.get_by_text("열 이름과 파일 형식 직접 지정").click()
    page.get_by_label("질의 열 이름").fill("it's")
    page.get_by_label("문서 열 이름").fill("답변")
    send(page)
    wait_for_end(page)
    assert len(shown_scores(page)) == 3

    program = page.locator("#code-python").text_content() or ""
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert [f"{float(line.split()[1]):.4f}" for line in printed.splitlines()] == shown_scores(page)

    if shutil.which("curl"):
        command = page.locator("#code-curl").text_content() or ""
        replied = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        rows = [row for row in map(json.loads, replied.splitlines()) if "score" in row]
        assert [f"{row['score']:.4f}" for row in rows] == shown_scores(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_of_a_failure_are_readable(
    new_page: NewPage, contrasts: Contrasts, scheme: str
) -> None:
    page = new_page(color_scheme=scheme)
    page.goto("/file")
    page.locator("#options summary").click()
    page.locator("[data-example]").click()
    wait_for_end(page)
    measured = contrasts(page, "td, td span, td p, th, summary, label, option, .grade, .tag")
    assert len(measured) > 60
    assert [pair for pair in measured if pair[0] and pair[1] < READABLE] == []
