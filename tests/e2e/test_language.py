"""The pages in each language, and the switch between them."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, expect

NewPage = Callable[..., Page]
Answered = Callable[[Page], AbstractContextManager[None]]

# What a page shows or reads out, but for what is Korean on purpose: the switch to Korean, examples,
# and what was typed or came out of them.
WORDS = """
() => {
  const korean = "[lang=ko], textarea, code, td.rows__cell--text, .ranking__text > p:first-child,"
    + " .map__text, .best__query, .best__document, .entry__title, .entry > p:first-of-type,"
    + " .entry__tag, [data-condition], #collection";
  const texts = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest(`${korean}, script`)) texts.push(node.data);
  }
  for (const element of document.querySelectorAll("[aria-label]")) {
    if (!element.closest(korean)) texts.push(element.getAttribute("aria-label"));
  }
  const quoted = /“[^”]*”/g; // The name of something.
  return texts.map(text => text.replace(quoted, "").trim()).filter(text => text !== "");
}
"""
HANGUL = re.compile("[가-힣]")


def words(page: Page) -> list[str]:
    found: list[str] = page.evaluate(WORDS)
    return found


def stored_language(page: Page) -> str | None:
    values = {cookie.get("name"): cookie.get("value") for cookie in page.context.cookies()}
    return values.get("ssang_language")


@pytest.mark.usefixtures("no_collections")
@pytest.mark.parametrize(
    ("path", "example"),
    [("/", 0), ("/rank", 0), ("/rank", 1), ("/file", 0), ("/file", None), ("/chat", None)],
)
def test_english_pages_have_no_korean_words(
    new_page: NewPage, answered: Answered, path: str, example: int | None
) -> None:
    page = new_page(locale="en-US")
    page.goto(path)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    if example is not None:
        with answered(page):
            page.locator("[data-example]").nth(example).click()
        expect(page.locator("#send")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#answer")).to_be_visible()
    expect(page.locator("#model")).to_have_attribute("data-state", "ready")
    found = words(page)
    assert len(found) > 15
    assert [text for text in found if HANGUL.search(text) or "{" in text] == []


def test_english_conversations_and_searches_have_no_korean_words(
    new_page: NewPage, fill: Callable[..., str]
) -> None:
    card = {"id": "1", "title": "I lost my card.", "text": "Call us at any time to block it."}
    page = new_page(locale="en-US")
    page.goto(f"/chat?collection={fill('cards', [card])}&q=card")
    expect(page.locator("#answer")).to_be_visible()
    page.locator("#question").fill("I lost my card.")
    page.locator("#question").press("Enter")
    expect(page.locator(".vote")).to_be_visible()
    found = words(page)
    assert "Call us at any time to block it." in " ".join(found)
    assert [text for text in found if HANGUL.search(text) or "{" in text] == []


@pytest.mark.parametrize("path", ["/", "/rank", "/file"])
def test_problems_of_the_fields_are_english_too(new_page: NewPage, path: str) -> None:
    page = new_page(locale="en-US")
    page.goto(path)
    page.locator("#send").click()
    expect(page.locator(".field__problem").filter(visible=True).first).to_have_text(
        re.compile(r"^(Enter|Choose) .+\.$")
    )


def test_error_page_is_in_the_reader_s_language(
    new_page: NewPage, expected_errors: list[str]
) -> None:
    expected_errors.append("404")
    page = new_page(locale="en-GB")
    page.goto("/nowhere")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    assert [text for text in words(page) if HANGUL.search(text)] == []
    page.get_by_role("button", name="한국어").click()
    expect(page.get_by_role("heading", name="페이지를 찾을 수 없습니다")).to_be_visible()


def test_choice_is_remembered_on_every_page(page: Page) -> None:
    page.goto("/rank")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    switch = page.get_by_role("button", name="English")
    switch.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Rank")).to_be_visible()
    assert stored_language(page) == "en"
    page.get_by_role("link", name="File").click()
    expect(page).to_have_title("File · ssang")
    # The title is there before the scripts are.
    expect(page.locator("#model")).to_have_attribute("data-state", "ready")
    page.get_by_role("button", name="한국어").click()
    expect(page).to_have_title("파일 · ssang")
    assert stored_language(page) == "ko"


def test_cookie_lasts_a_year(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    (cookie,) = page.context.cookies()
    now = page.evaluate("Date.now() / 1000")
    assert cookie.get("expires", 0) - now == pytest.approx(365 * 24 * 60 * 60, abs=60)
    assert (cookie.get("path"), cookie.get("sameSite")) == ("/", "Lax")


def test_switch_keeps_what_was_typed_and_its_answer(page: Page, answered: Answered) -> None:
    page.goto("/rank")
    page.locator("#queries").fill("매운 음식")
    page.locator("#documents").fill("떡볶이는 맵습니다.\n오늘은 비가 옵니다.")
    page.get_by_role("switch").check()
    with answered(page):
        page.locator("#send").click()
    scores = page.locator(".ranking__number").all_inner_texts()
    with answered(page):
        page.get_by_role("button", name="English").click()
    assert page.locator("#queries").input_value() == "매운 음식"
    assert page.locator("#documents").input_value().count("\n") == 1
    expect(page.locator("#documents-count")).to_have_text("2 documents")
    expect(page.get_by_role("switch")).to_be_checked()
    expect(page.locator(".ranking__number")).to_have_text(scores)
    page.reload()
    expect(page.locator("#queries")).to_have_value("")


def test_numbers_take_the_form_their_language_gives_them(new_page: NewPage) -> None:
    page = new_page(locale="en-US")
    page.goto("/rank")
    count = page.locator("#documents-count")
    for text, shown in [
        ("", "0 documents"),
        ("하나", "1 document"),
        ("\n".join(map(str, range(1234))), "1,234 documents"),
    ]:
        page.locator("#documents").fill(text)
        expect(count).to_have_text(shown)
