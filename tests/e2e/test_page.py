"""What every page has: theme, keyboard, phone width, navigation, the model's state; and errors."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

NewPage = Callable[..., Page]
Answered = Callable[[Page], AbstractContextManager[None]]
Contrasts = Callable[[Page, str], list[tuple[str, float]]]

LIGHT, DARK = "rgb(246, 247, 250)", "rgb(15, 18, 24)"
READABLE = 4.5
PAGES = [("/", 0), ("/rank", 0), ("/rank", 1), ("/file", 0)]


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


@pytest.mark.parametrize(("scheme", "colour"), [("light", LIGHT), ("dark", DARK)])
def test_theme_follows_the_system(new_page: NewPage, scheme: str, colour: str) -> None:
    page = new_page(color_scheme=scheme)
    page.goto("/")
    assert background(page) == colour


def test_chosen_theme_is_kept_on_every_page(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="어두운 화면으로 바꾸기").click()
    assert background(page) == DARK
    page.goto("/rank")
    assert background(page) == DARK
    page.get_by_role("button", name="밝은 화면으로 바꾸기").click()
    page.reload()
    assert background(page) == LIGHT


def test_chosen_theme_stands_before_the_first_paint(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="어두운 화면으로 바꾸기").click()
    page.add_init_script(
        """new MutationObserver((_, observer) => {
          if (!document.body) return;
          window.themeAtBody = document.documentElement.dataset.theme;
          observer.disconnect();
        }).observe(document, { childList: true, subtree: true })"""
    )
    page.reload()
    assert page.evaluate("window.themeAtBody") == "dark"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("path", "example"), PAGES)
def test_text_is_readable(
    new_page: NewPage,
    answered: Answered,
    contrasts: Contrasts,
    scheme: str,
    path: str,
    example: int,
) -> None:
    page = new_page(color_scheme=scheme)
    page.goto(path)
    with answered(page):
        page.locator("[data-example]").nth(example).click()
    expect(page.locator("#model")).to_have_attribute("data-state", "ready")
    expect(page.locator("#send")).to_have_attribute("aria-busy", "false")
    measured = contrasts(
        page, "p, h1, h2, h3, label, summary, a, button, span, dt, dd, b, code, .field__count"
    )
    assert len(measured) > 20
    assert [pair for pair in measured if pair[0] and pair[1] < READABLE] == []


def test_keyboard_alone_is_enough(page: Page, answered: Answered) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="본문으로 바로 가기")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    for _ in range(4):  # The three examples, then the query.
        page.keyboard.press("Tab")
    page.keyboard.type("떡볶이")
    page.keyboard.press("Tab")
    page.keyboard.type("매운 간식")
    page.keyboard.press("Tab")
    outline = page.locator("#send").evaluate("button => getComputedStyle(button).outlineStyle")
    assert outline == "solid"
    with answered(page):
        page.keyboard.press("Enter")
    expect(page.locator("#score")).to_be_visible()


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
@pytest.mark.parametrize("width", [320, 360, 375])
@pytest.mark.parametrize(("path", "example"), PAGES)
def test_phones_do_not_scroll_sideways(
    new_page: NewPage, answered: Answered, path: str, example: int, width: int, locale: str
) -> None:
    page = new_page(viewport={"width": width, "height": 740}, locale=locale)
    page.goto(path)
    expect(page.locator("#model")).to_have_attribute("data-state", "ready")
    with answered(page):
        page.locator("[data-example]").nth(example).click()
    page.get_by_role("tab", name="Python").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # One row of entries: a second one would push the page down.
    tops = page.locator(".nav a").evaluate_all("links => links.map(link => link.offsetTop)")
    assert len(tops) == 7
    assert len(set(tops)) == 1


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
def test_row_of_entries_slides_to_the_page_s_own(new_page: NewPage, locale: str) -> None:
    page = new_page(viewport={"width": 320, "height": 740}, locale=locale)
    for path in ("/", "/invoke"):
        page.goto(path)
        expect(page.locator(".nav [aria-current=page]")).to_be_in_viewport(ratio=1)
    page.locator(".nav a").last.focus()
    expect(page.locator(".nav a").last).to_be_in_viewport(ratio=1)


def test_unbroken_text_does_not_widen_the_page(new_page: NewPage, answered: Answered) -> None:
    page = new_page(viewport={"width": 360, "height": 740})
    page.goto("/rank")
    for queries in ("가" * 500, f"{'가' * 500}\n{'a' * 500}"):
        page.locator("#queries").fill(queries)
        page.locator("#documents").fill(f"{'a' * 500}\n{'나' * 500}")
        with answered(page):
            page.locator("#send").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_navigation(page: Page) -> None:
    page.goto("/")
    nav = page.get_by_role("navigation")
    expect(nav.locator("[aria-current=page]")).to_have_text("비교")
    nav.get_by_role("link", name="순위").click()
    expect(page).to_have_title("순위 · ssang")
    expect(nav.locator("[aria-current=page]")).to_have_text("순위")
    nav.get_by_role("link", name="파일").click()
    expect(page).to_have_title("파일 · ssang")
    expect(nav.locator("[aria-current=page]")).to_have_text("파일")
    expect(nav.get_by_role("link", name="API 문서")).to_have_attribute("href", "/docs")
    page.get_by_role("link", name="ssang 첫 화면").click()
    expect(page).to_have_title("비교 · ssang")


def test_wrong_address_leads_home(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append("404")
    response = page.goto("/nowhere")
    assert response is not None
    assert response.status == 404
    expect(page.get_by_role("heading", name="페이지를 찾을 수 없습니다")).to_be_visible()
    page.get_by_role("link", name="첫 화면으로 가기").click()
    expect(page).to_have_title("비교 · ssang")


def test_header_names_the_model(page: Page, ask: Callable[..., Any]) -> None:
    page.goto("/")
    info = ask("/api/info")
    expect(page.locator("#model")).to_have_text(f"{info['model']} · {info['device']}")


def test_model_is_watched_until_it_is_ready(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append("503")
    polls = 0

    def third_time_ready(route: Route) -> None:
        nonlocal polls
        polls += 1
        ready = polls == 3
        route.fulfill(
            status=200 if ready else 503, json={"status": "ready" if ready else "loading"}
        )

    page.clock.install()
    page.route("**/ready", third_time_ready)
    page.goto("/")
    model = page.locator("#model")
    expect(model).to_have_text("모델을 불러오는 중입니다")
    for _ in range(2):
        with page.expect_response("**/ready"):
            page.clock.run_for(1000)
    expect(model).to_have_attribute("data-state", "ready")
    page.clock.run_for(10_000)
    assert polls == 3


def test_failed_model_is_asked_about_ever_less_often(
    page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("503")
    polls = 0

    def failed(route: Route) -> None:
        nonlocal polls
        polls += 1
        route.fulfill(status=503, json={"status": "failed"})

    page.clock.install()
    page.route("**/ready", failed)
    page.goto("/")
    expect(page.locator("#model")).to_have_text("모델을 불러오지 못했습니다")
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        page.evaluate("fetch('/live').then(reply => reply.text())")  # The page has set its timer.
        before = polls
        page.clock.run_for((seconds - 1) * 1000)
        assert polls == before
        with page.expect_response("**/ready"):
            page.clock.run_for(1000)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize(
    ("medium", "high"), [(0.6, 0.65), (0.95, 0.97), (0.01, 0.02), (0.575, 0.77), (0.5, 0.5)]
)
def test_names_of_close_thresholds_stay_apart(
    new_page: NewPage, answered: Answered, width: int, medium: float, high: float
) -> None:
    page = new_page(viewport={"width": width, "height": 740}, locale="en-US")

    def close(route: Route) -> None:
        info = route.fetch().json()
        route.fulfill(json={**info, "thresholds": {"medium": medium, "high": high, "binary": high}})

    page.route("**/api/info", close)
    page.goto("/")
    with answered(page):
        page.locator("[data-example]").first.click()
    boxes = [page.locator(f".marks__name--{grade}").bounding_box() for grade in ("medium", "high")]
    scale = page.locator(".scale").bounding_box()
    left, right = (box for box in boxes if box)
    assert scale
    assert scale["x"] <= left["x"]
    assert left["x"] + left["width"] <= right["x"] + 0.5
    assert right["x"] + right["width"] <= scale["x"] + scale["width"]


def test_no_message_is_left_without_its_values(page: Page, answered: Answered) -> None:
    for path, example in PAGES:
        page.goto(path)
        with answered(page):
            page.locator("[data-example]").nth(example).click()
        text = page.locator("body").inner_text()
        code = page.locator("#code-curl").inner_text()
        shown = text.replace(code, "")
        assert "{" not in shown
        assert "undefined" not in shown
