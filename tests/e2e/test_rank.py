"""The page that ranks documents: a list for one query, a heat map for several."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

Answered = Callable[[Page], AbstractContextManager[None]]
Ask = Callable[..., Any]
Contrasts = Callable[[Page, str], list[tuple[str, float]]]

QUERIES = ["내일 비가 올까?", "매운 음식 추천"]
DOCUMENTS = [
    "내일은 전국에 비가 내립니다.",
    "떡볶이는 매콤한 간식입니다.",
    '<img src=x onerror="window.attacked = true">',
]
READABLE = 4.5


def fill(page: Page, queries: str, documents: str) -> None:
    page.get_by_label("질의", exact=True).fill(queries)
    page.get_by_label("문서", exact=True).fill(documents)


def send(page: Page) -> None:
    page.get_by_role("button", name="순위 보기").click()


def rounded(score: float, decimals: int) -> str:
    """A score as the page shows it: without the minus of a rounded zero."""
    text = f"{score:.{decimals}f}"
    return text.replace("-", "") if float(text) == 0 else text


def lines(page: Page, field: str) -> list[str]:
    return page.locator(field).input_value().splitlines()


def test_one_query_gives_the_api_s_ranking(page: Page, answered: Answered, ask: Ask) -> None:
    page.goto("/rank")
    with answered(page):
        page.get_by_role("button", name="은행 상담").click()
    (query,), documents = lines(page, "#queries"), lines(page, "#documents")
    results = ask("/api/rank", {"query": query, "documents": documents})["results"]
    rows = page.locator(".ranking__row")
    expect(rows).to_have_count(len(documents))
    expect(page.locator(".ranking__rank")).to_have_text(
        [str(rank + 1) for rank in range(len(results))]
    )
    expect(page.locator(".ranking__number")).to_have_text(
        [rounded(result["score"], 4) for result in results]
    )
    expect(page.locator(".ranking__text p:first-child")).to_have_text(
        [documents[result["index"]] for result in results]
    )


def test_blank_lines_do_not_shift_the_texts(page: Page, answered: Answered, ask: Ask) -> None:
    page.goto("/rank")
    fill(page, f"\n\n{QUERIES[0]}\n", "\n\n".join(["", *DOCUMENTS, " "]))
    expect(page.locator("#queries-count")).to_have_text("질의 1개")
    expect(page.locator("#documents-count")).to_have_text("문서 3개")
    with answered(page):
        page.locator("#documents").press("Control+Enter")
    results = ask("/api/rank", {"query": QUERIES[0], "documents": DOCUMENTS})["results"]
    expect(page.locator(".ranking__text p:first-child")).to_have_text(
        [DOCUMENTS[result["index"]] for result in results]
    )
    assert page.evaluate("window.attacked") is None


def test_several_queries_give_the_api_s_matrix(page: Page, answered: Answered, ask: Ask) -> None:
    page.goto("/rank")
    fill(page, "\n".join(QUERIES), "\n".join(DOCUMENTS))
    with answered(page):
        page.locator("#queries").press("Control+Enter")
    scores = ask("/api/matrix", {"queries": QUERIES, "documents": DOCUMENTS})["scores"]
    expect(page.locator(".map__cell")).to_have_text(
        [rounded(score, 3) for row in scores for score in row]
    )
    expect(page.locator("tbody tr")).to_have_count(len(QUERIES))
    expect(page.locator("thead th[scope=col] .map__text")).to_have_text(DOCUMENTS)
    expect(page.locator("tbody th[scope=row] .map__text")).to_have_text(QUERIES)

    best = [row.index(max(row)) for row in scores]
    expect(page.locator(".map__cell--best")).to_have_text(
        [rounded(row[column], 3) for row, column in zip(scores, best, strict=True)]
    )
    expect(page.locator(".best__document")).to_have_text([DOCUMENTS[column] for column in best])
    assert page.locator("#output img").count() == 0
    assert page.evaluate("window.attacked") is None


def test_example_with_several_queries(page: Page, answered: Answered) -> None:
    page.goto("/rank")
    with answered(page):
        page.get_by_role("button", name="날씨·음식·여행").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator("thead th")).to_have_count(1 + len(lines(page, "#documents")))


def test_headers_and_cells_are_read_out_in_full(page: Page, answered: Answered, ask: Ask) -> None:
    long = "아주 긴 문서입니다. " * 20
    page.goto("/rank")
    fill(page, "\n".join(QUERIES), "\n".join([*DOCUMENTS, long]))
    with answered(page):
        send(page)
    reader = page.locator(".map__reader")
    label = page.locator("thead .map__label").nth(3)
    assert label.get_attribute("title") == long.strip()
    label.focus()
    expect(reader).to_contain_text(long.strip())
    page.locator(".map__cell").nth(1).hover()
    expect(reader).to_contain_text(QUERIES[0])
    expect(reader).to_contain_text(DOCUMENTS[1])
    score = ask("/api/matrix", {"queries": QUERIES, "documents": DOCUMENTS})["scores"][0][1]
    expect(reader).to_contain_text(rounded(score, 4))


def test_headers_stay_in_sight_while_the_map_scrolls(
    new_page: Callable[..., Page], answered: Answered
) -> None:
    page = new_page(viewport={"width": 360, "height": 740})
    page.goto("/rank")
    fill(page, "\n".join(QUERIES * 20), "\n".join(DOCUMENTS * 5))
    with answered(page):
        send(page)
    page.locator(".map").evaluate("box => box.scrollTo(400, 300)")
    offsets = page.locator(".map").evaluate(
        """box => {
          const at = selector => box.querySelector(selector).getBoundingClientRect();
          const frame = box.getBoundingClientRect();
          const offsets = [at("tbody th").left - frame.left, at("thead th").top - frame.top];
          return [box.scrollLeft, box.scrollTop, ...offsets];
        }"""
    )
    assert offsets == [400, 300, pytest.approx(1, abs=1), pytest.approx(1, abs=1)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_are_readable_on_every_colour(
    new_page: Callable[..., Page], answered: Answered, contrasts: Contrasts, scheme: str
) -> None:
    scores = [[step / 10 for step in range(-10, 11)], [step / 20 for step in range(21)]]

    def spread(route: Route) -> None:
        counts = {"query_tokens": [1] * 2, "document_tokens": [1] * 21}
        cut = {"query_truncated": [False] * 2, "document_truncated": [False] * 21}
        route.fulfill(
            json={
                "model": "",
                "scores": scores,
                **counts,
                **cut,
                "usage": {},
                "timing_ms": {"total": 1},
            }
        )

    page = new_page(color_scheme=scheme)
    page.route("**/api/matrix", spread)
    page.goto("/rank")
    fill(page, "하나\n둘", "\n".join(map(str, range(21))))
    with answered(page):
        send(page)
    measured = contrasts(page, ".map__cell")
    assert len(measured) == 42
    assert [pair for pair in measured if pair[1] < READABLE] == []
    assert measured[10][0] == "0.000"
    assert measured[20][1] != pytest.approx(measured[10][1])


def test_python_snippets_run(page: Page, answered: Answered, tmp_path: Path) -> None:
    page.goto("/rank")
    program = tmp_path / "snippet.py"

    def printed() -> str:
        program.write_text(page.locator("#code-python").text_content() or "", encoding="utf-8")
        return subprocess.run(
            [sys.executable, program], capture_output=True, text=True, check=True
        ).stdout

    fill(page, QUERIES[0], "\n".join(DOCUMENTS))
    with answered(page):
        send(page)
    indexes = [int(line.split()[0]) for line in printed().splitlines()]
    expect(page.locator(".ranking__text p:first-child")).to_have_text(
        [DOCUMENTS[index] for index in indexes]
    )

    fill(page, "\n".join(QUERIES), "\n".join(DOCUMENTS))
    with answered(page):
        send(page)
    scores = [score for line in printed().splitlines() for score in json.loads(line)]
    expect(page.locator(".map__cell")).to_have_text([rounded(score, 3) for score in scores])


def test_long_rankings_are_shown_a_page_at_a_time(page: Page, answered: Answered) -> None:
    page.goto("/rank")
    fill(page, QUERIES[0], "\n".join(f"문서 {number}" for number in range(120)))
    with answered(page):
        send(page)
    rows = page.locator(".ranking__row")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="더 보기 (남은 70개)").click()
    expect(rows).to_have_count(100)
    expect(rows.nth(50)).to_be_focused()
    page.get_by_role("button", name="더 보기 (남은 20개)").click()
    expect(rows).to_have_count(120)
    expect(page.locator(".more")).to_be_hidden()


def test_cut_texts_are_named_by_their_number(page: Page, answered: Answered) -> None:
    page.goto("/rank")
    long = "김치찌개는 한국 사람이 즐겨 먹는 음식입니다. " * 1000
    fill(page, "\n".join(QUERIES), "\n".join([DOCUMENTS[0], long]))
    with answered(page):
        send(page)
    expect(page.locator("#result .notice")).to_have_count(1)
    expect(page.locator("#result .notice")).to_contain_text("2번 문서가 길어 앞부분만 읽었습니다.")
    fill(page, QUERIES[0], "\n".join([DOCUMENTS[0], long]))
    with answered(page):
        send(page)
    expect(page.locator(".ranking .tag")).to_have_text(["앞부분만 읽음"])


def test_large_tables_are_cut_and_downloaded_whole(page: Page, answered: Answered) -> None:
    queries = [f"질의 {number}" for number in range(60)]
    documents = ["=1+1", *(f"문서 {number}" for number in range(1, 120))]
    page.goto("/rank")
    fill(page, "\n".join(queries), "\n".join(documents))
    with answered(page):
        send(page)
    expect(page.locator(".map__cell")).to_have_count(50 * 100)
    expect(page.locator("#result .notice")).to_contain_text(
        "질의 50개와 문서 100개까지만 보여 드립니다."
    )
    best = page.locator(".best__item")
    expect(best).to_have_count(50)
    page.get_by_role("button", name="더 보기 (남은 10개)").click()
    expect(best).to_have_count(60)
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV 내려받기").click()
    with Path(started.value.path()).open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["", "'=1+1", *documents[1:]]
    assert [row[0] for row in rows] == queries
    shown = page.locator("tbody tr").first.locator(".map__cell").all_inner_texts()
    assert [rounded(float(cell), 3) for cell in rows[0][1:101]] == shown
    assert {len(row) for row in rows} == {121}


def long_document(*, emoji: bool) -> str:
    """A text of several passages; the one about the lost card is neither first nor last."""
    filler = "오늘은 전국이 대체로 맑고 낮 기온은 평년보다 조금 높겠습니다. " * 60
    card = "카드를 잃어버리셨다면 고객센터에 전화해 분실 신고를 해 주세요. " * 30
    return ("😀" * 40 if emoji else "") + filler + card + filler


@pytest.mark.parametrize("emoji", [False, True])
def test_closest_passage_of_a_long_document_is_marked(
    page: Page, answered: Answered, ask: Ask, emoji: bool
) -> None:
    query, long = "카드를 잃어버렸어요", long_document(emoji=emoji).strip()
    page.goto("/rank")
    fill(page, query, f"{long}\n짧은 문서")
    with answered(page):
        send(page)
    expect(page.locator(".ranking .tag")).to_have_text(["앞부분만 읽음"])
    expect(page.locator("mark")).to_have_count(0)

    page.get_by_role("switch", name="긴 문서를 나누어 비교").check()
    expect(page.get_by_text("입력한 내용이 바뀌었습니다.")).to_be_visible()
    with answered(page):
        send(page)
    body = {"query": query, "documents": [long, "짧은 문서"], "long": "chunk"}
    result, short = ask("/api/rank", body)["results"]
    assert (result["index"], short["index"]) == (0, 1)
    span = result["passage"]
    passage = long[span["start"] : span["end"]]
    assert "카드를 잃어버리셨다면" in passage
    expect(page.locator(".ranking .tag")).to_have_count(0)
    assert page.locator("mark").all_text_contents() == [passage]
    expect(page.get_by_text("질의에 가장 가까운 대목을 표시했습니다.")).to_be_visible()

    shown = page.locator(".ranking__text p:first-child").first
    excerpt = shown.text_content() or ""
    assert excerpt.startswith("…")
    assert excerpt.endswith("…")
    assert excerpt.strip("…") in long
    assert len(excerpt) < len(passage) + 300
    page.get_by_role("button", name="전체 보기").click()
    expect(shown).to_be_focused()
    assert shown.text_content() == long
    assert page.locator("mark").all_text_contents() == [passage]
    expect(page.locator("#code-curl")).to_contain_text('"long": "chunk"')


def test_switch_waits_for_a_single_query(page: Page, answered: Answered) -> None:
    page.goto("/rank")
    switch = page.get_by_role("switch", name="긴 문서를 나누어 비교")
    switch.check()
    fill(page, "\n".join(QUERIES), "\n".join(DOCUMENTS))
    expect(switch).to_be_disabled()
    expect(switch).to_have_accessible_description("질의가 하나일 때만 쓸 수 있습니다.")
    with answered(page):
        send(page)
    expect(page.locator(".map__cell")).to_have_count(6)
    page.locator("#queries").fill(QUERIES[0])
    expect(switch).to_be_enabled()
    expect(switch).to_be_checked()


def test_empty_fields_are_pointed_at(page: Page) -> None:
    page.goto("/rank")
    fill(page, " \n ", "")
    send(page)
    expect(page.get_by_text("질의를 한 줄 이상 입력해 주세요.")).to_be_visible()
    expect(page.get_by_text("문서를 한 줄 이상 입력해 주세요.")).to_be_visible()
    expect(page.locator("#queries")).to_be_focused()
