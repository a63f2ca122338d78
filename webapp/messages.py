"""The page's words: one TOML catalogue a language, `templates/messages/<language>.toml`.

Templates read it as `t.compare.title`; scripts get the same catalogue as a JSON block in the page.
A further language is a further file with the same keys, and a name in `LANGUAGES`.
"""

import tomllib
from collections.abc import Iterable
from functools import cache
from typing import Any

from inference.resource import locate

DEFAULT_LANGUAGE = "ko"
LANGUAGES = (DEFAULT_LANGUAGE, "en")


class MissingMessage(Exception):
    """A page asked for a text that the catalogue does not have."""


class Section(dict[str, Any]):
    """A table of the catalogue: texts, lists of texts or tables, and further tables.

    Jinja turns a LookupError into an empty string, and a misspelt key would leave a hole that
    nobody notices. So a missing text raises another kind of error.
    """

    def __missing__(self, key: str) -> Any:
        raise MissingMessage(f"the catalogue has no text {key!r}; it has {', '.join(sorted(self))}")


def choose_language(chosen: str | None, accepted: Iterable[tuple[str, float]]) -> str:
    """The language of a reader's pages.

    Args:
        chosen: what the reader picked on a page, if anything.
        accepted: what the browser asks for: tags, such as ``en-GB``, with their weights.

    Another language has to outweigh the default one: who asks for neither gets the default.

    >>> choose_language("en", [("ko-KR", 1)])
    'en'
    >>> choose_language(None, [("fr", 1), ("en-GB", 0.8), ("ko", 0.5)])
    'en'
    >>> choose_language("xx", [("fr", 1), ("*", 0.1)])
    'ko'
    """
    if chosen in LANGUAGES:
        return chosen
    weights = dict.fromkeys(LANGUAGES, 0.0)
    for tag, weight in accepted:
        language = tag.partition("-")[0].lower()
        if language in weights:
            weights[language] = max(weights[language], weight)
    return max(LANGUAGES, key=lambda language: weights[language])  # The first of equals.


@cache
def load_catalogue(language: str = DEFAULT_LANGUAGE) -> Section:
    """The catalogue of one language, read once a process.

    Raises FileNotFoundError for a language without a file, and ValueError for a key that templates
    could not reach.
    """
    path = locate("webapp", "templates") / "messages" / f"{language}.toml"
    with path.open("rb") as file:
        return _section(tomllib.load(file))


def _section(table: dict[str, Any]) -> Section:
    shadowed = sorted(set(table) & set(dir(dict)))
    if shadowed:
        # `t.snippet.copy` in a template would be dict.copy, not the text.
        raise ValueError(
            f"these keys are names of dict methods, choose others: {', '.join(shadowed)}"
        )
    return Section({key: _value(value) for key, value in table.items()})


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return _section(value)
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value
