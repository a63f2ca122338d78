"""A real Chromium on the real service.

A test fails on any console error, which a violation of the content security policy is too, and on
any uncaught error in a page.
"""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from chromium import ARGS, NO_CHROMIUM, find_chromium
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

# The contrast (WCAG 2) of each element's text with the nearest background that is painted. A canvas
# turns whatever notation a colour is computed to into sRGB.
CONTRASTS = """
elements => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = color => {
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgba(color).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (rgba(color)[3] === 255) return color;
    }
    return "white";
  };
  return elements.map(element => {
    const colors = [getComputedStyle(element).color, background(element)];
    const [low, high] = colors.map(luminance).sort((a, b) => a - b);
    return [element.textContent.trim(), (high + 0.05) / (low + 0.05)];
  });
}
"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if any(NO_CHROMIUM in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(NO_CHROMIUM, yellow=True)


# A module's and not the session's: while Playwright's event loop runs, no other test could run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(NO_CHROMIUM)
        pytest.skip(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def expected_errors() -> list[str]:
    """Parts of console errors that a test provokes and thus does not fail on."""
    return []


@pytest.fixture
def new_page(
    browser: Browser, live_server: str, expected_errors: list[str]
) -> Iterator[Callable[..., Page]]:
    """Makes a page in a context of its own: `new_page(color_scheme="dark")`.

    Addresses are relative to the service.
    """
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in expected_errors):
            complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def make(**options: Any) -> Page:
        options = {"locale": "ko-KR", "viewport": {"width": 1280, "height": 800}} | options
        context = browser.new_context(base_url=live_server, reduced_motion="reduce", **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        return page

    contexts: list[Any] = []
    yield make
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # A request may still be on its way.
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


@pytest.fixture
def answered() -> Callable[[Page], AbstractContextManager[None]]:
    """`with answered(page): ...` sends a form in its body and waits until the reply is shown."""

    @contextmanager
    def wait(page: Page) -> Iterator[None]:
        with page.expect_response(lambda response: response.request.method == "POST"):
            yield
        expect(page.locator("#output")).to_have_attribute("aria-busy", "false")

    return wait


@pytest.fixture
def ask(live_server: str) -> Callable[..., Any]:
    """The API's reply without the page: `ask("/api/rank", {...})`, or a GET with no body."""

    def send(path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            live_server + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    return send


@pytest.fixture
def send(live_server: str) -> Callable[[str, str], None]:
    """A request without a body: `send("DELETE", "/api/collections/x")`."""

    def send(method: str, path: str) -> None:
        request = urllib.request.Request(live_server + quote(path), method=method)
        urllib.request.urlopen(request, timeout=60).close()

    return send


@pytest.fixture
def no_collections(send: Callable[[str, str], None], ask: Callable[..., Any]) -> None:
    """The service holds no collection."""
    for info in ask("/api/collections")["collections"]:
        send("DELETE", f"/api/collections/{info['name']}")


@pytest.fixture
def fill(send: Callable[[str, str], None], ask: Callable[..., Any]) -> Callable[..., str]:
    """Makes a collection of documents: `fill("faq", [{"id": "1", "title": ..., "text": ...}])`."""

    def fill(name: str, documents: list[dict[str, Any]]) -> str:
        send("PUT", f"/api/collections/{name}")
        ask(f"/api/collections/{quote(name)}/documents", {"documents": documents})
        return name

    return fill


@pytest.fixture
def contrasts() -> Callable[[Page, str], list[tuple[str, float]]]:
    """Text and contrast of each visible element that a selector finds."""

    def measure(page: Page, selector: str) -> list[tuple[str, float]]:
        visible = page.locator(selector).filter(visible=True)
        return [(text, ratio) for text, ratio in visible.evaluate_all(CONTRASTS)]

    return measure
