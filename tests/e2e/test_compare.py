"""The page that compares a query with a document."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Page, Route, expect

Answered = Callable[[Page], AbstractContextManager[None]]
Ask = Callable[..., Any]

QUERY = "맛있는 한국 전통 음식 김치찌개"
DOCUMENT = "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다."
AWKWARD = """it's "quoted" \\ back\\nslash\\ $HOME `pwd` $(id) %s {0} 한국어 👍
JSON
'JSON'
\ttab \\u0041 !! \x7f 끝"""
MARKUP = '<img src=x onerror="window.attacked = true"><script>window.attacked = true</script>'


def fill(page: Page, query: str, document: str) -> None:
    page.get_by_label("질의", exact=True).fill(query)
    page.get_by_label("문서", exact=True).fill(document)


def send(page: Page) -> None:
    page.get_by_role("button", name="비교하기").click()


def shown_score(page: Page) -> str:
    return page.locator("#score").inner_text()


def pair_of(ask: Ask, query: str, document: str) -> Any:
    return ask("/api/pairs", {"pairs": [{"query": query, "document": document}]})["pairs"][0]


def test_examples_are_one_click_away_and_fall_in_order(
    page: Page, answered: Answered, ask: Ask
) -> None:
    page.goto("/")
    scores = []
    for name in (QUERY, "최신 기술 발전", "색깔"):
        with answered(page):
            page.get_by_role("button", name=name).click()
        query, document = (
            page.locator("#query").input_value(),
            page.locator("#document").input_value(),
        )
        assert query == name
        assert shown_score(page) == f"{pair_of(ask, query, document)['score']:.4f}"
        scores.append(float(shown_score(page)))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


def test_answer_shows_grade_tokens_and_time(page: Page, answered: Answered, ask: Ask) -> None:
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        send(page)
    pair = pair_of(ask, QUERY, DOCUMENT)
    grade = {"high": "상", "medium": "중", "low": "하"}[pair["grade"]]
    expect(page.locator("#result .grade")).to_have_text(grade)
    expect(page.locator("#result .facts")).to_contain_text(f"질의 길이{pair['query_tokens']}토큰")
    expect(page.locator("#result .facts")).to_contain_text(
        f"문서 길이{pair['document_tokens']}토큰"
    )
    expect(page.locator("#result .facts")).to_contain_text(re.compile(r"처리 시간[\d.]+ms"))
    expect(page.locator("#announcement")).to_contain_text(f"등급 {grade}")
    expect(page.locator("#result .notice")).to_have_count(0)


def test_bar_is_as_long_as_the_score(page: Page, answered: Answered) -> None:
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        send(page)
    share = page.locator(".scale .bar__fill").evaluate(
        "bar => bar.offsetWidth / bar.parentElement.offsetWidth"
    )
    assert share == pytest.approx(max(float(shown_score(page)), 0), abs=0.01)


@pytest.mark.parametrize("field", ["#query", "#document"])
@pytest.mark.parametrize("keys", ["Control+Enter", "Meta+Enter"])
def test_keys_send_from_either_field(page: Page, answered: Answered, field: str, keys: str) -> None:
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        page.locator(field).press(keys)
    expect(page.locator("#score")).to_be_visible()
    assert page.locator("#query").input_value() == QUERY


@pytest.mark.parametrize(
    ("query", "document", "field", "problem"),
    [
        ("", DOCUMENT, "#query", "질의를 입력해 주세요."),
        (QUERY, " \n ", "#document", "문서를 입력해 주세요."),
    ],
)
def test_empty_field_is_pointed_at(
    page: Page, query: str, document: str, field: str, problem: str
) -> None:
    page.goto("/")
    fill(page, query, document)
    send(page)
    expect(page.locator(field)).to_be_focused()
    expect(page.locator(field)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text(problem)).to_be_visible()
    page.locator(field).fill("글")
    expect(page.get_by_text(problem)).to_be_hidden()


def test_markup_stays_text(page: Page, answered: Answered) -> None:
    page.goto("/")
    fill(page, MARKUP, MARKUP)
    with answered(page):
        send(page)
    expect(page.locator("#code-curl")).to_contain_text("<img src=x onerror=")
    assert page.locator("#output img, #output script").count() == 0
    assert page.evaluate("window.attacked") is None


def test_long_text_is_reported_as_cut(page: Page, answered: Answered, ask: Ask) -> None:
    long = "김치찌개는 한국 사람이 즐겨 먹는 음식입니다. " * 2000
    page.goto("/")
    fill(page, QUERY, long)
    with answered(page):
        send(page)
    limit, count = ask("/api/info")["max_length"], pair_of(ask, QUERY, long)["document_tokens"]
    notices = page.locator("#result .notice")
    expect(notices).to_have_text(
        [f"문서가 길어 앞부분 {limit:,}토큰만 읽었습니다. 전체 길이는 {count:,}토큰입니다."]
    )
    fill(page, long, long)
    with answered(page):
        send(page)
    expect(notices).to_have_count(2)


@pytest.mark.parametrize(
    ("query", "document"), [(QUERY, DOCUMENT), (AWKWARD, AWKWARD[::-1]), ("'", '"""\\')]
)
def test_snippets_give_the_score_of_the_page(
    page: Page, answered: Answered, tmp_path: Path, query: str, document: str
) -> None:
    page.goto("/")
    fill(page, query, document)
    with answered(page):
        send(page)

    program = tmp_path / "snippet.py"
    program.write_text(page.locator("#code-python").text_content() or "", encoding="utf-8")
    printed = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True
    ).stdout
    assert f"{float(printed):.4f}" == shown_score(page)

    if shutil.which("curl"):
        command = page.locator("#code-curl").text_content() or ""
        replied = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, check=True
        ).stdout
        assert f"{json.loads(replied)['pairs'][0]['score']:.4f}" == shown_score(page)


@pytest.mark.parametrize("secure", [True, False], ids=["clipboard", "fallback"])
def test_copy_button_copies_the_code_on_show(
    page: Page, answered: Answered, live_server: str, secure: bool
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server)
    page.goto("/")
    fill(page, AWKWARD, DOCUMENT)
    with answered(page):
        send(page)
    page.get_by_role("tab", name="Python").click()
    copy = page.get_by_role("tabpanel", name="Python").get_by_role("button")
    if (
        not secure
    ):  # As on an origin without https, where the browser offers no clipboard for writing.
        page.evaluate("navigator.clipboard.writeText = undefined")
    copy.click()
    expect(copy).to_have_text("복사했습니다")
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == page.locator("#code-python").text_content()
    )


def test_tabs_answer_to_the_arrow_keys(page: Page, answered: Answered) -> None:
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        send(page)
    page.get_by_role("tab", name="curl").press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.locator("#code-python")).to_be_visible()
    expect(page.locator("#code-curl")).to_be_hidden()
    page.get_by_role("tab", name="Python").press("ArrowRight")
    expect(page.get_by_role("tab", name="curl")).to_be_focused()


def test_edited_fields_mark_the_answer_as_stale(page: Page, answered: Answered) -> None:
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        send(page)
    stale = page.get_by_text("입력한 내용이 바뀌었습니다.")
    expect(stale).to_be_hidden()
    page.locator("#query").fill("다른 질의")
    expect(stale).to_be_visible()
    page.locator("#query").fill(QUERY)
    expect(stale).to_be_hidden()


def test_late_answer_does_not_replace_a_newer_one(page: Page, answered: Answered, ask: Ask) -> None:
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/pairs", hold_first)
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with page.expect_request("**/api/pairs"):
        send(page)
    expect(page.locator("#send")).to_have_attribute("aria-busy", "true")
    fill(page, "색깔", DOCUMENT)
    with answered(page):
        page.locator("#query").press("Control+Enter")
    newer = shown_score(page)
    assert newer == f"{pair_of(ask, '색깔', DOCUMENT)['score']:.4f}"
    with suppress(
        Error
    ):  # The page gave the first request up; the browser may not take an answer to it any more.
        late = {"model": "", "pairs": [], "usage": {}, "timing_ms": {}}
        held[0].fulfill(json=late)
    assert held[0].request.failure == "net::ERR_ABORTED"
    assert shown_score(page) == newer
    expect(page.locator("#alert")).to_be_empty()


def refuse(
    page: Page, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> None:
    body = {"error": {"code": code, "message": message}}
    page.route(
        "**/api/pairs", lambda route: route.fulfill(status=status, headers=headers, json=body)
    )


def test_overload_says_when_to_try_again(
    page: Page, answered: Answered, expected_errors: list[str]
) -> None:
    expected_errors.append("429")
    refuse(page, 429, "overloaded", MARKUP, {"Retry-After": "7"})
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        send(page)
    expect(page.get_by_role("alert")).to_contain_text("7초 뒤에 다시 시도해 주세요.")
    expect(page.get_by_role("alert")).to_contain_text(MARKUP)
    assert page.evaluate("window.attacked") is None


def test_error_takes_the_older_answer_away_and_an_answer_the_error(
    page: Page, answered: Answered, expected_errors: list[str]
) -> None:
    expected_errors.append("503")
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        send(page)
    refuse(page, 503, "model_unavailable", "the model is loading")
    with answered(page):
        send(page)
    expect(page.get_by_role("alert")).to_contain_text("모델이 아직 준비되지 않았습니다.")
    expect(page.locator("#score")).to_be_hidden()
    page.unroute("**/api/pairs")
    with answered(page):
        send(page)
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#score")).to_be_visible()


def test_other_answer_than_the_api_s_is_an_error_too(
    page: Page, answered: Answered, expected_errors: list[str]
) -> None:
    expected_errors.append("502")
    page.route("**/api/pairs", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    with answered(page):
        send(page)
    expect(page.get_by_role("alert")).to_contain_text("요청을 처리하지 못했습니다.")
    expect(page.get_by_role("alert")).to_contain_text("HTTP 502")


def test_lost_connection_is_said(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append("net::ERR_CONNECTION_REFUSED")
    page.route("**/api/pairs", lambda route: route.abort("connectionrefused"))
    page.goto("/")
    fill(page, QUERY, DOCUMENT)
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("서버에 연결하지 못했습니다.")
    expect(page.locator("#send")).to_have_attribute("aria-busy", "false")
