"""The page that invokes the endpoint."""

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

NewPage = Callable[..., Page]

LINE_BREAKER = "한국어 \"따옴표\" \\ $HOME `pwd` 'JSON'\nJSON\n👍"


def _send(page: Page) -> None:
    page.get_by_role("button", name="보내기").click()


def _newest(page: Page) -> str:
    return page.locator(".call").first.locator("pre").first.inner_text()


@pytest.mark.parametrize("streaming", [False, True])
def test_answer_stands_in_a_card(page: Page, streaming: bool) -> None:
    page.goto("/invoke")
    page.get_by_label("스트리밍으로 받기").set_checked(streaming)
    _send(page)
    card = page.locator(".call").first
    expect(card).to_contain_text("성공")
    expect(card).to_contain_text(re.compile(r"실행 시간\s*[\d,]+ms"))
    expect(card.locator("pre").first).to_contain_text(re.compile(r"\[\s*-?0\.\d"))


def test_newest_card_stands_first(page: Page) -> None:
    page.goto("/invoke")
    _send(page)
    expect(page.locator(".call--succeeded")).to_have_count(1)
    page.get_by_label("예시").select_option(label="문장 유사도")
    _send(page)
    expect(page.locator(".call--succeeded")).to_have_count(2)
    assert len(json.loads(_newest(page))) == 2
    page.get_by_role("button", name="기록 지우기").click()
    expect(page.get_by_text("아직 보낸 요청이 없습니다.")).to_be_visible()


@pytest.mark.parametrize("streaming", [False, True])
def test_failure_says_why(page: Page, expected_errors: list[str], streaming: bool) -> None:
    expected_errors.append("424")
    page.goto("/invoke")
    page.get_by_label("스트리밍으로 받기").set_checked(streaming)
    page.get_by_label("요청 본문").fill('{"inputs": [""]}')
    _send(page)
    card = page.locator(".call--failed")
    expect(card).to_contain_text("실패")
    expect(card).to_contain_text("ModelError: Received client error (400)")


def test_pending_card_waits(page: Page) -> None:
    held: list[Route] = []
    page.route("**/endpoints/ssang/invocations", lambda route: held.append(route))
    page.goto("/invoke")
    with page.expect_request("**/endpoints/ssang/invocations"):
        _send(page)
    expect(page.locator(".call--pending")).to_contain_text("대기 중")
    held[0].continue_()
    expect(page.locator(".call--succeeded")).to_be_visible()


def test_other_text_than_json_is_not_sent(page: Page) -> None:
    page.goto("/invoke")
    page.get_by_label("요청 본문").fill("{")
    _send(page)
    expect(page.get_by_text("JSON 형식이 아닙니다.")).to_be_visible()
    expect(page.locator(".call")).to_have_count(0)


def test_card_says_how_long_ago_it_was_sent(page: Page) -> None:
    page.clock.install()
    page.goto("/invoke")
    _send(page)
    expect(page.locator(".call--succeeded")).to_be_visible()
    page.clock.run_for(65_000)
    expect(page.locator(".call")).to_contain_text("1분 전")


@pytest.mark.parametrize("streaming", [False, True])
def test_code_gives_the_same_answer(page: Page, streaming: bool) -> None:
    page.goto("/invoke")
    body = {"inputs": [LINE_BREAKER], "parameters": None}
    page.get_by_label("요청 본문").fill(json.dumps(body))
    page.get_by_label("스트리밍으로 받기").set_checked(streaming)
    _send(page)
    expect(page.locator(".call--succeeded")).to_be_visible()
    shown = re.findall(r"-?\d+\.\d+", _newest(page))[:5]
    assert shown
    for name, command in {
        "boto3": [sys.executable, "-c"],
        "requests": [sys.executable, "-c"],
        "curl": ["sh", "-c"],
    }.items():
        code = page.locator(f"#code-{name}").text_content() or ""
        done = subprocess.run([*command, code], capture_output=True, encoding="utf-8", check=True)
        found = re.findall(r"-?\d+\.\d+", done.stdout)[:5]
        assert [round(float(number), 3) for number in found] == [
            round(float(number), 3) for number in shown
        ], name


@pytest.mark.parametrize("width", [320, 375])
@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
def test_phones_do_not_scroll_sideways(new_page: NewPage, width: int, locale: str) -> None:
    page = new_page(viewport={"width": width, "height": 740}, locale=locale)
    page.goto("/invoke")
    page.locator("#send").click()
    expect(page.locator(".call--succeeded")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(
    new_page: NewPage,
    contrasts: Callable[[Page, str], list[tuple[str, float]]],
    scheme: str,
    expected_errors: list[str],
) -> None:
    expected_errors.append("424")
    page = new_page(color_scheme=scheme)
    page.goto("/invoke")
    page.locator("#send").click()
    expect(page.locator(".call--succeeded")).to_be_visible()
    page.get_by_label("요청 본문").fill("{}")
    page.locator("#send").click()
    expect(page.locator(".call--failed")).to_be_visible()
    measured = contrasts(page, "p, h1, h2, label, summary, a, button, span, dt, dd, code, pre")
    assert len(measured) > 20
    assert [pair for pair in measured if pair[0] and pair[1] < 4.5] == []
