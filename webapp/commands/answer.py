"""``ssang answer``."""

import json
from typing import TYPE_CHECKING

import click

from inference.charset import UNDECODABLE, detect_encoding, open_text
from inference.errors import InvalidInput
from webapp.commands.model import READER_SETTINGS, loaded_reader, settings_flags
from webapp.commands.source import open_source
from webapp.reader import answer_body
from webapp.settings import Settings

if TYPE_CHECKING:
    from inference.reader import Answer

_INDENT = " " * 8

# Characters of the text that are shown on either side of an answer.
_AROUND = 40


@click.command()
@click.argument("question")
@click.argument(
    "source",
    metavar="[FILE]",
    required=False,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@click.option("--context", default="", help="The text, in place of a file.")
@click.option("-n", "--n-best", default=1, show_default=True, help="Most parts to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API answers.")
@settings_flags(*READER_SETTINGS, "device", "precision", "compute_threads")
def answer(
    settings: Settings, question: str, source: str | None, context: str, n_best: int, as_json: bool
) -> None:
    """Find the part of a text that answers QUESTION.

    The text is that of FILE, or of standard input for "-": UTF-8, UTF-16 or CP949, of any length.
    """
    if bool(source) == bool(context):
        raise click.UsageError("Give the text as a file, as - for standard input, or by --context.")
    text = _read(source) if source else context
    with loaded_reader(settings) as reader:
        found = reader.answer(question, [text], n_best=n_best)
    body = {"model": reader.model.name, **answer_body(found)}
    if as_json:
        click.echo(json.dumps(body, ensure_ascii=False, indent=2))
        return
    if not found.found:
        click.echo("The text does not seem to answer that; --json shows what came near.", err=True)
        return
    for part in found.answers:
        click.echo(f"{part.score:.4f}  {part.text}\n{_INDENT}{_surroundings(text, part)}")


def _read(source: str) -> str:
    with open_source(source) as file, open_text(file, detect_encoding(file)) as lines:
        text = lines.read()
    if UNDECODABLE in text:
        raise InvalidInput("The file holds bytes that are not text: save it as UTF-8.", item="file")
    return text


def _surroundings(text: str, part: "Answer") -> str:
    """The answer in brackets, with some of the text around it, on one line."""
    start, end = max(0, part.start - _AROUND), part.end + _AROUND
    before, after = text[start : part.start], text[part.end : end]
    shown = f"{'…' if start else ''}{before}[{part.text}]{after}{'…' if end < len(text) else ''}"
    return " ".join(shown.split())
