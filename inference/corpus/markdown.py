"""Markdown cut at its headings: https://spec.commonmark.org/0.31.2/#leaf-blocks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# `## Heading ##`, at most three spaces in.
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")

# The line under a heading that is underlined.
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")

# What cannot be a heading, so that the line under it is no underline: lists, quotes, tables, code.
_NO_HEADING = re.compile(r" {0,3}(?:[-*+>|]|\d{1,9}[.)](?:[ \t]|$)|`{3}|~{3})| {4}|\t")

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")

# YAML between two lines of dashes, at the start of the file.
_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_ENTRY = re.compile(r"([\w-]+):[ \t]+(.+?)[ \t]*$")

_PATH_SEPARATOR = " > "


@dataclass(frozen=True)
class Section:
    """What stands between two headings; ``title`` names all those that it stands under."""

    title: str
    text: str


def read_front_matter(text: str) -> tuple[dict[str, str], str]:
    """The plain ``key: value`` lines of a text's front matter, and the text after it.

    >>> read_front_matter("---\\ntitle: '여권'\\ntags:\\n- a\\n---\\n본문")
    ({'title': '여권'}, '본문')
    """
    block = _FRONT_MATTER.match(text)
    if block is None:
        return {}, text
    entries = (_ENTRY.match(line) for line in block[1].splitlines())
    return {entry[1]: _unquote(entry[2]) for entry in entries if entry}, text[block.end() :]


def split_sections(text: str, title: str = "") -> Iterator[Section]:
    """The sections of a text that say something; ``title`` stands before all headings.

    >>> list(split_sections("# 여권\\n## 분실\\n신고하세요."))
    [Section(title='여권 > 분실', text='신고하세요.')]
    """
    headings: dict[int, str] = {0: title}
    body: list[str] = []
    for level, line in _lines(text):
        if not level:
            body.append(line)
            continue
        yield from _section(headings, body)
        headings = {depth: name for depth, name in headings.items() if depth < level}
        headings[level] = line
        body = []
    yield from _section(headings, body)


def _section(headings: Mapping[int, str], body: list[str]) -> Iterator[Section]:
    text = "\n".join(body).strip("\n")
    if text.strip():
        yield Section(_PATH_SEPARATOR.join(name for name in headings.values() if name), text)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with 0, and headings with their level."""
    fence = ""
    held: str | None = None  # a line that the next one may make a heading
    for line in text.split("\n"):
        if held is not None:
            underline = _UNDERLINE.match(line)
            yield (1 if underline[1][0] == "=" else 2, held.strip()) if underline else (0, held)
            held = None
            if underline:
                continue
        fence, was_fence = _next_fence(fence, line), fence
        heading = None if fence or was_fence else _ATX.match(line)
        if heading:
            yield len(heading[1]), (heading[2] or "").strip()
        elif fence or was_fence or not line.strip() or _NO_HEADING.match(line):
            yield 0, line
        else:
            held = line
    if held is not None:
        yield 0, held


def _next_fence(fence: str, line: str) -> str:
    """The fence of the code block that goes on behind a line, if there is one."""
    mark = _FENCE.match(line)
    if mark is None:
        return fence
    if not fence:
        # Backticks behind backticks are code within a line.
        return "" if mark[1][0] == "`" and "`" in mark[2] else mark[1]
    closes = mark[1].startswith(fence) and not mark[2].strip()
    return "" if closes else fence


def _unquote(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value
