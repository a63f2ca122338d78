"""Takes the README's screenshots of a running service.

Usage: python tests/screenshot.py http://127.0.0.1:8000 static/screenshots
"""

import sys
from pathlib import Path
from typing import NamedTuple

from chromium import ARGS, find_chromium
from playwright.sync_api import Browser, sync_playwright


class Shot(NamedTuple):
    """A page, and which of its examples to click."""

    path: str
    example: int


SHOTS = {"compare": Shot("/", 0), "rank": Shot("/rank", 0), "heat-map": Shot("/rank", 1)}

VIEWS = {"desktop": (1280, 900), "phone": (375, 812)}


def take(browser: Browser, url: str, folder: Path) -> None:
    """One PNG a page and view, and one of the desktop in dark."""
    for name, shot in SHOTS.items():
        for view, (width, height) in VIEWS.items():
            for scheme in ("light", "dark") if view == "desktop" else ("light",):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                    locale="ko-KR",
                    reduced_motion="reduce",
                )
                page.goto(url + shot.path)
                page.locator("[data-example]").nth(shot.example).click()
                page.locator("#output[aria-busy=false] #answer:not([hidden])").wait_for()
                page.mouse.move(0, 0)
                label = "dark" if scheme == "dark" else view
                page.screenshot(path=folder / f"{name}-{label}.png", full_page=view == "phone")
                page.close()


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=ARGS)
        take(chromium, sys.argv[1], Path(sys.argv[2]))
