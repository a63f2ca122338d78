"""The page on which a key is entered, and what a reader who entered one sees."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, expect
from running_service import StartService

NewPage = Callable[..., Page]
Answered = Callable[[Page], AbstractContextManager[None]]
Contrasts = Callable[[Page, str], list[tuple[str, float]]]

KEY = "a-key-of-the-tests"
READABLE = 4.5


@pytest.fixture(scope="module")
def locked(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a service that asks for a key, and has no collections yet."""
    data_dir = tmp_path_factory.mktemp("data")
    return start_service(api_keys=KEY, workers=1, data_dir=data_dir).url


@pytest.fixture
def expected_errors() -> list[str]:
    # What the browser says of a page with this status.
    return ["status of 401"]


def sign_in(page: Page, key: str = KEY) -> None:
    page.get_by_label("API 키").fill(key)
    page.get_by_role("button", name="들어가기").click()


def test_key_is_asked_for_once(page: Page, locked: str, answered: Answered) -> None:
    page.goto(f"{locked}/rank?from=mail")
    expect(page).to_have_url(re.compile("/login"))
    expect(page.get_by_label("API 키")).to_be_focused()
    sign_in(page)
    expect(page).to_have_url(f"{locked}/rank?from=mail")
    expect(page.locator("#model")).to_contain_text("ko-mini")
    with answered(page):
        page.locator("[data-example]").first.click()
    expect(page.locator(".ranking__row").first).to_be_visible()
    page.goto(f"{locked}/docs")
    expect(page.locator(".opblock-summary-path", has_text="/api/pairs")).to_be_visible()
    assert page.evaluate("document.cookie") == ""


def test_a_link_with_the_key_signs_in_and_leaves_no_key_behind(page: Page, locked: str) -> None:
    page.goto(f"{locked}/#key={KEY}")
    expect(page.locator("#model")).to_contain_text("ko-mini")
    expect(page).to_have_url(f"{locked}/")
    page.goto(f"{locked}/rank#key={KEY}")
    expect(page.locator("#model")).to_contain_text("ko-mini")
    expect(page).to_have_url(f"{locked}/rank")


def test_wrong_key_gets_a_plain_sentence(page: Page, locked: str) -> None:
    page.goto(f"{locked}/file")
    sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("키가 맞지 않습니다. 다시 확인해 주세요.")
    expect(page.get_by_label("API 키")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("API 키")).to_have_value("")
    page.get_by_role("button", name="English").click()
    # Nothing was sent again: the form is as new, and leads to the page that was asked for.
    expect(page.get_by_role("heading", name="Enter an API key")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{locked}/file")


def test_signing_out_closes_the_pages(page: Page, locked: str) -> None:
    page.goto(locked)
    sign_in(page)
    expect(page.locator("#model")).to_contain_text("ko-mini")
    page.get_by_role("button", name="로그아웃").click()
    expect(page).to_have_url(f"{locked}/login")
    expect(page.get_by_role("button", name="로그아웃")).to_have_count(0)
    page.goto(f"{locked}/rank")
    expect(page).to_have_url(re.compile("/login"))


def test_page_whose_cookie_is_gone_says_so(page: Page, locked: str, answered: Answered) -> None:
    page.goto(locked)
    sign_in(page)
    expect(page.locator("#model")).to_contain_text("ko-mini")
    page.context.clear_cookies()
    with answered(page):
        page.locator("[data-example]").first.click()
    expect(page.locator("#alert")).to_contain_text("화면을 새로 고친 뒤 키를 다시 입력해 주세요")


def test_link_on_another_site_does_not_ask_again(page: Page, locked: str) -> None:
    page.goto(locked)
    sign_in(page)
    expect(page.locator("#model")).to_contain_text("ko-mini")
    # localhost is another site than 127.0.0.1, and thus sent no cookie of SameSite=Strict.
    elsewhere = "http://localhost:9/"
    link = f'<a href="{locked}/rank">link</a>'
    page.route(elsewhere, lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(elsewhere)
    with page.expect_request(re.compile("/login")):
        page.get_by_role("link").click()
    expect(page).to_have_url(f"{locked}/rank")
    expect(page.locator("#queries")).to_be_visible()


def test_pages_without_keys_have_no_way_out(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#model")).to_contain_text("ko-mini")
    expect(page.get_by_role("button", name="로그아웃")).to_have_count(0)


@pytest.mark.parametrize(("path", "example"), [("/", 0), ("/file", 0)])
def test_request_as_code_sends_the_key_too(
    page: Page, locked: str, answered: Answered, path: str, example: int
) -> None:
    page.goto(locked + path)
    sign_in(page)
    expect(page.locator("#model")).to_have_attribute("data-state", "ready")
    with answered(page):
        page.locator("[data-example]").nth(example).click()
    expect(page.locator("#code-curl")).to_contain_text("Authorization: Bearer $SSANG_API_KEY")
    python = page.locator("#code-python").text_content() or ""
    assert KEY not in page.content()
    compile(python, "snippet", "exec")
    if path == "/":
        done = subprocess.run(
            [sys.executable, "-c", python],
            env={**os.environ, "SSANG_API_KEY": KEY},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_form_is_readable_and_fits(
    new_page: NewPage, locked: str, contrasts: Contrasts, scheme: str, width: int
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 740})
    page.goto(locked)
    sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    measured = contrasts(page, "p, h1, label, a, button, span")
    assert len(measured) > 5
    assert [pair for pair in measured if pair[0] and pair[1] < READABLE] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sign_in(page)
    expect(page.locator("#model")).to_contain_text("ko-mini")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_signing_out_forgets_what_was_asked(page: Page, locked: str) -> None:
    page.goto(f"{locked}/chat")
    sign_in(page)
    expect(page.locator("#model")).to_contain_text("ko-mini")
    page.get_by_role("button", name="예시 FAQ로 시작하기").click()
    page.get_by_role("button", name="해외로 돈을 보내고 싶어요").click(timeout=60_000)
    expect(page.locator(".vote")).to_be_visible()
    assert "해외로" in page.evaluate("JSON.stringify(sessionStorage)")
    page.get_by_role("button", name="로그아웃").click()
    expect(page.get_by_label("API 키")).to_be_visible()
    page.wait_for_function("sessionStorage.length === 0")
