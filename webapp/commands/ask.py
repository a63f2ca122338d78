"""``ssang ask``."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from inference.answering.asker import DEFAULT_TOP_K, MAX_TOP_K
from inference.answering.base import Turn
from inference.errors import SsangError
from webapp.commands.corpus import CORPUS_SETTINGS, loaded_corpus
from webapp.commands.model import MODEL_SETTINGS, READER_SETTINGS, optional_reader, settings_flags
from webapp.settings import Settings

if TYPE_CHECKING:
    from webapp.answering import Answer

Ask = Callable[[str, Sequence[Turn]], "Answer"]

_PROMPT = "> "

_GENERATOR_SETTINGS = (
    *("generator", "generator_model", "generator_url", "generator_key"),
    *("generator_tokens", "prompt_tokens"),
)


@click.command()
@click.argument("name")
@click.argument("question", required=False)
@click.option(
    "-k",
    "--top-k",
    type=click.IntRange(1, MAX_TOP_K),
    default=DEFAULT_TOP_K,
    show_default=True,
    help="Most sources.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API answers.")
@settings_flags(*CORPUS_SETTINGS, *MODEL_SETTINGS, *READER_SETTINGS, *_GENERATOR_SETTINGS)
def ask(settings: Settings, name: str, question: str | None, top_k: int, as_json: bool) -> None:
    """Answer QUESTION from the collection NAME; without one, talk about it.

    The answer cites its sources, which are listed below it.
    """
    if question is None and (as_json or not sys.stdin.isatty()):
        raise click.UsageError("Give a question; without one, this needs a terminal.")
    with _asking(settings, name, top_k) as ask_one:
        if question is None:
            _talk(ask_one)
        elif as_json:
            answer = ask_one(question, ())
            click.echo(json.dumps(answer.whole(), ensure_ascii=False, indent=2))
        else:
            _tell(ask_one(question, ()))


@contextmanager
def _asking(settings: Settings, name: str, top_k: int) -> Iterator[Ask]:
    """Asks the collection, while its model is loaded."""
    # These load what a help text does not need.
    from inference.answering.asker import Asker
    from webapp.answering import Answer
    from webapp.generator import create_generator

    with loaded_corpus(settings) as (corpus, engine), optional_reader(settings) as reader:
        collection = corpus.open(name)
        asker = Asker(create_generator(settings, reader), engine.model.nearness)

        def ask_one(question: str, history: Sequence[Turn]) -> Answer:
            began = time.perf_counter()
            asking = asker.ask(collection, question, history=history, top_k=top_k)
            return Answer(asking, asker.generator.name, engine.model.thresholds, {}, began)

        try:
            yield ask_one
        finally:
            asker.generator.close()


def _talk(ask_one: Ask) -> None:
    """Questions and answers, until the input ends."""
    history: list[Turn] = []
    for question in iter(partial(_read_line, _PROMPT), None):
        if not question.strip():
            continue
        try:
            text = _tell(ask_one(question, history))
        except SsangError as error:
            click.echo(f"Error: {error.message}", err=True)
            continue
        history += [Turn("user", question), Turn("assistant", text)]


def _read_line(prompt: str) -> str | None:
    """A line of the terminal; None at the end of the input."""
    try:
        return input(prompt)
    except EOFError:
        click.echo()
        return None


def _tell(answer: "Answer") -> str:
    """Prints the text as it is written, then its sources, and returns it."""
    written = []
    for text in answer.texts():
        click.echo(text, nl=False)
        written.append(text)
    click.echo()
    for source in answer.asking.sources:
        title = source.document.title or source.document.id
        click.echo(f"[{source.number}] {title}  (cosine {source.similarity:.4f})")
    return "".join(written)
