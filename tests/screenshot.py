"""Takes the README's screenshots of a running service.

Usage: python tests/screenshot.py http://127.0.0.1:8000 static/screenshots
"""

import sys
from pathlib import Path
from typing import Literal, NamedTuple

from chromium import ARGS, find_chromium
from playwright.sync_api import Browser, sync_playwright

HEIGHT = 960

# What a click waits for at most: the sample may have to be stored first.
LONGEST_MS = 60_000


class Shot(NamedTuple):
    """A page, which of its examples to click, or that it is sent as it is, and what to wait for.

    ``height`` is that of the window where the page's answer begins far down. ``steps`` come after
    the example: what to click, or text to put into the field that has the focus. ``part`` is what a
    phone shows.
    """

    path: str
    example: int | None
    answer: str = "#output[aria-busy=false] #answer:not([hidden])"
    height: int = HEIGHT
    steps: tuple[str, ...] = ()
    part: str = "body"


class View(NamedTuple):
    """A browser window, of a height of its own on a phone, and its reader."""

    width: int
    height: int | None = None
    scheme: Literal["light", "dark"] = "light"
    locale: str = "ko-KR"


# The chat page offers its sample to a conversation without a collection too.
PANEL_SAMPLE = 1

# Where the chat page goes once the sample is stored.
LOADED = "#question:focus"

# Begins a step that is typed and sent.
TYPED = "> "

SHOTS = {
    "compare": Shot("/", 0),
    "rank": Shot("/rank", 0),
    "heat-map": Shot("/rank", 1),
    "file": Shot("/file", 0),
    "chat": Shot(
        "/chat",
        PANEL_SAMPLE,
        ".vote__button[aria-pressed=true]",
        height=1120,
        steps=(
            *(LOADED, "[data-ask] >> nth=1", ".turn:nth-child(1) .vote", "#question"),
            *(f"{TYPED}그럼 확정일자는요?", ".turn:nth-child(2) .cite", ".vote__button >> nth=2"),
        ),
    ),
    "search": Shot(
        "/chat",
        PANEL_SAMPLE,
        height=1280,
        steps=(LOADED, "[data-ask] >> nth=0", ".turn .cite", "[data-question] >> nth=0"),
        part="#collection-panel",
    ),
    "answer": Shot("/answer", 1, height=1480),
    "invoke": Shot("/invoke", None, ".call--succeeded"),
}

VIEWS = {
    "desktop": View(1280),
    "dark": View(1280, scheme="dark"),
    "english": View(1280, locale="en-US"),
    "phone": View(375, 812),
}


# The panel beside a conversation scrolls by itself.
TO_TOP = """
for (const part of [window, ...document.querySelectorAll(".collection")]) part.scrollTo(0, 0);
"""


# A phone's picture shows more than its screen does, as if somebody had scrolled.
PHONE_HEIGHT = 2000


def take(browser: Browser, url: str, folder: Path) -> None:
    """One PNG a page and view."""
    for name, shot in SHOTS.items():
        for label, view in VIEWS.items():
            page = browser.new_page(
                viewport={"width": view.width, "height": view.height or shot.height},
                color_scheme=view.scheme,
                locale=view.locale,
                reduced_motion="reduce",
            )
            page.goto(url + shot.path)
            if shot.example is None:
                page.locator("#send").click()
            else:
                page.locator("[data-example]").nth(shot.example).click()
            for step in shot.steps:
                if step.startswith(TYPED):
                    page.keyboard.type(step.removeprefix(TYPED))
                    page.keyboard.press("Enter")
                else:
                    page.locator(step).click(timeout=LONGEST_MS)
            page.locator(shot.answer).wait_for()
            page.locator("#send[aria-busy=false]").wait_for()
            page.mouse.move(0, 0)
            path = folder / f"{name}-{label}.png"
            if label == "phone":
                page.set_viewport_size({"width": view.width, "height": PHONE_HEIGHT})
            if label == "phone" or shot.height > HEIGHT:
                page.evaluate(TO_TOP)
            if label == "phone":
                page.locator(shot.part).evaluate("element => element.scrollIntoView()")
            page.screenshot(path=path)
            page.close()


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=ARGS)
        take(chromium, sys.argv[1], Path(sys.argv[2]))
