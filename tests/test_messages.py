"""The catalogues of the pages' words, and which of them a reader gets."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from webapp.messages import DEFAULT_LANGUAGE, LANGUAGES, choose_language, load_catalogue

HANGUL = re.compile("[가-힣]")
OTHERS = [language for language in LANGUAGES if language != DEFAULT_LANGUAGE]
PAGES = ["/", "/rank", "/file", "/answer", "/chat"]


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a catalogue with where it stands: `rank.examples.0.label`."""
    if isinstance(value, str):
        yield path, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from texts(item, f"{path}.{key}".lstrip("."))


def holes(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", text))


def is_example(path: str) -> bool:
    return ".examples." in path and not path.endswith(".label")


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_same_texts_with_the_same_holes(language: str) -> None:
    ours = {path: holes(text) for path, text in texts(load_catalogue())}
    theirs = {path: holes(text) for path, text in texts(load_catalogue(language))}
    assert theirs == ours


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_hole_is_well_formed(language: str) -> None:
    for path, text in texts(load_catalogue(language)):
        if path.startswith("invoke.examples.") and path.endswith(".body"):
            json.loads(text)  # an example, shown as it stands
            continue
        rest = re.sub(r"\{\w+(\|[^|{}]*\|[^|{}]*)?\}", "", text)
        assert not re.search(r"[{}|]", rest), path


@pytest.mark.parametrize("language", OTHERS)
def test_examples_are_the_same_in_every_language(language: str) -> None:
    ours = {path: text for path, text in texts(load_catalogue()) if is_example(path)}
    theirs = {path: text for path, text in texts(load_catalogue(language)) if is_example(path)}
    assert ours
    assert theirs == ours


def test_english_has_no_hangul_but_in_examples() -> None:
    korean = {path for path, text in texts(load_catalogue("en")) if HANGUL.search(text)}
    assert {path for path in korean if not is_example(path)} == {
        "language.switch",
        "compare.query_placeholder",
        "compare.document_placeholder",
        "chat.query_placeholder",
    }


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "ko"),
        (None, "*", "ko"),
        (None, "ko-KR,ko;q=0.9,en-US;q=0.8", "ko"),
        (None, "en-US,en;q=0.9", "en"),
        (None, "en-GB,en;q=0.9,ko;q=0.8", "en"),
        (None, "en;q=0.8,ko;q=0.8", "ko"),
        (None, "fr-FR,fr;q=0.9,en;q=0.5", "en"),
        (None, "ja,zh;q=0.5", "ko"),
        ("en", "ko-KR", "en"),
        ("ko", "en-US", "ko"),
        ("tlh", "en-US", "en"),
        ("", "en-US", "en"),
    ],
)
@pytest.mark.parametrize("path", [*PAGES, "/nowhere"])
def test_page_is_in_the_reader_s_language(
    client: FlaskClient, chosen: str | None, accepted: str, language: str, path: str
) -> None:
    if chosen is not None:
        client.set_cookie("ssang_language", chosen)
    response = client.get(path, headers={"Accept": "text/html", "Accept-Language": accepted})
    assert f'<html lang="{language}"' in response.text
    assert {"Cookie", "Accept-Language"} <= set(response.vary)


def test_api_does_not_vary_by_language(client: FlaskClient) -> None:
    assert "Accept-Language" not in client.get("/live").vary


def test_a_language_without_a_catalogue_is_never_chosen() -> None:
    assert choose_language("../ko", [("fr", 1.0)]) == DEFAULT_LANGUAGE
