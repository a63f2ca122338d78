"""The page's words: one TOML catalogue a language, `templates/messages/<language>.toml`.

Templates read it as `t.compare.title`; scripts get the same catalogue as a JSON block in the page.
A further language is a further file with the same keys.
"""

import tomllib
from functools import cache
from typing import Any

from inference.resource import locate

DEFAULT_LANGUAGE = "ko"


class MissingMessage(Exception):
    """A page asked for a text that the catalogue does not have."""


class Section(dict[str, Any]):
    """A table of the catalogue: texts, lists of texts or tables, and further tables.

    Jinja turns a LookupError into an empty string, and a misspelt key would leave a hole that
    nobody notices. So a missing text raises another kind of error.
    """

    def __missing__(self, key: str) -> Any:
        raise MissingMessage(f"the catalogue has no text {key!r}; it has {', '.join(sorted(self))}")


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
