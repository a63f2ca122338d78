"""The page that answers a question from a text."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from running_service import StartService

Answered = Callable[[Page], AbstractContextManager[None]]
Ask = Callable[..., Any]

# Loading the reader for the first question takes a while, and so do long texts on a busy machine.
PATIENCE_MS = 120_000

QUESTION = "훈민정음은 언제 창제되었나요?"
# The first character is two units of a JavaScript string.
CONTEXT = (
    "👑 세종은 조선의 제4대 국왕이다. 1443년에 훈민정음을 창제하였다.\n<b>집현전</b>도 두었다."
)
TWO_YEARS = "훈민정음은 1443년에 창제되었다. 훈민정음은 1446년에 반포되었다."
FILLING = "상점은 고객이 주문한 상품을 정성껏 포장하여 보냅니다. " * 25


@pytest.fixture(autouse=True)
def _loaded(ask: Ask, page: Page) -> None:
    ask("/api/answer", {"question": QUESTION, "context": CONTEXT})
    page.set_default_timeout(PATIENCE_MS)
    page.goto("/answer")


def fill(page: Page, question: str, context: str) -> None:
    page.get_by_label("질문", exact=True).fill(question)
    page.get_by_label("글", exact=True).fill(context)


def send(page: Page, answered: Answered) -> None:
    with answered(page):
        page.get_by_role("button", name="답 찾기").click()


def is_seen(page: Page) -> bool:
    """Whether the mark lies inside its box's visible part."""
    seen: bool = page.locator("#passage").evaluate(
        """box => {
          const outer = box.getBoundingClientRect();
          const inner = box.querySelector("mark").getBoundingClientRect();
          return inner.top >= outer.top && inner.bottom <= outer.bottom;
        }"""
    )
    return seen


def test_typed_korean_is_answered_and_marked(page: Page, answered: Answered, ask: Ask) -> None:
    page.get_by_label("질문", exact=True).press_sequentially(QUESTION)
    page.get_by_label("글", exact=True).press_sequentially(CONTEXT)
    expect(page.locator("#context-count")).to_have_text(f"{len(CONTEXT)}자")
    send(page, answered)
    reply = ask("/api/answer", {"question": QUESTION, "context": CONTEXT})
    assert reply["answer"] == "1443년"
    expect(page.locator("#found")).to_have_text(reply["answer"])
    expect(page.locator("#passage mark")).to_have_text(reply["answer"])
    # The text stands there as it was typed: nothing in it became markup.
    assert page.locator("#passage").evaluate("box => box.textContent") == CONTEXT
    expect(page.get_by_role("status").filter(has_text="1443년")).to_have_count(1)


def test_other_parts_are_marked_when_clicked(page: Page, answered: Answered, ask: Ask) -> None:
    # Either year would do.
    question = "훈민정음은 언제인가요?"
    fill(page, question, TWO_YEARS)
    send(page, answered)
    body = {"question": question, "context": TWO_YEARS, "n_best": 5}
    reply = ask("/api/answer", body)
    near = [part for part in reply["alternatives"] if part["score"] >= 0.001 * reply["score"]]
    shown = page.locator(".part__text").all_inner_texts()
    assert shown == [reply["answer"], *(part["answer"] for part in near)]
    first, second = page.locator(".part").nth(0), page.locator(".part").nth(1)
    expect(first).to_have_attribute("aria-pressed", "true")
    second.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#passage mark")).to_have_text(shown[1])


def test_a_long_text_scrolls_to_the_mark(page: Page, answered: Answered) -> None:
    fill(page, QUESTION, FILLING + CONTEXT + FILLING)
    send(page, answered)
    expect(page.locator("#passage mark")).to_have_text("1443년")
    assert page.locator("#passage").evaluate("box => box.scrollTop") > 0
    assert is_seen(page)


def test_examples_and_code(page: Page, answered: Answered) -> None:
    with answered(page):
        page.get_by_role("button", name="긴 글", exact=False).click()
    expect(page.locator("#found")).to_have_text(re.compile("천 원"))
    assert is_seen(page)
    page.get_by_role("tab", name="Python").click()
    expect(page.locator("#code-python")).to_contain_text("/api/answer")


def test_empty_fields_are_told_beside_them(page: Page) -> None:
    page.get_by_role("button", name="답 찾기").click()
    expect(page.locator("#question-problem")).to_have_text("질문을 입력해 주세요.")
    expect(page.locator("#context-problem")).to_be_visible()


def test_nothing_runs_out_of_a_phone(new_page: Callable[..., Page], answered: Answered) -> None:
    page = new_page(viewport={"width": 320, "height": 640})
    page.goto("/answer")
    fill(page, QUESTION, CONTEXT + "가" * 200)
    send(page, answered)
    expect(page.locator("#passage mark")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_every_text_can_be_read(
    new_page: Callable[..., Page],
    answered: Answered,
    contrasts: Callable[[Page, str], list[tuple[str, float]]],
) -> None:
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme)
        page.goto("/answer")
        fill(page, QUESTION, CONTEXT)
        send(page, answered)
        texts = ".reading p, .reading h3, .reading mark, .part__text, .part__score, .reading dt"
        measured = contrasts(page, texts)
        assert len(measured) > 5
        assert min(ratio for _, ratio in measured) >= 4.5


@pytest.fixture(scope="module")
def strict_service(start_service: StartService) -> str:
    """A service that holds hardly anything for an answer."""
    return start_service(no_answer_threshold=-100).url


def test_no_answer_is_said_plainly(browser: Browser, strict_service: str) -> None:
    page = browser.new_page(base_url=strict_service, locale="ko-KR")
    page.goto("/answer")
    fill(page, QUESTION, CONTEXT)
    page.get_by_role("button", name="답 찾기").click()
    found = page.locator("#found")
    expect(found).to_have_text("이 글에서는 답을 찾지 못했습니다", timeout=PATIENCE_MS)
    expect(page.locator("#passage mark")).to_have_count(0)
    nearest = page.locator(".part").first
    expect(nearest).to_have_attribute("aria-pressed", "false")
    nearest.click()
    expect(page.locator("#passage mark")).to_have_text("1443년")
    page.close()
