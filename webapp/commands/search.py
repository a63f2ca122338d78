"""``ssang search``."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from inference.corpus.base import DEFAULT_MODE, MODES, Corpus, Filter, Mode, Query
from inference.errors import InvalidInput
from inference.similarity import Thresholds
from webapp.commands.corpus import loaded_corpus, opened_corpus, search_flags
from webapp.hit import hit_record
from webapp.settings import Settings

# Characters of a passage that are shown.
_SHOWN = 240

_INDENT = " " * 4


@click.command()
@click.argument("name")
@click.argument("query")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default=DEFAULT_MODE,
    show_default=True,
    help="By meaning, by words, or both; by words alone needs no model.",
)
@click.option("-k", "--top-k", default=10, show_default=True, help="Most documents to show.")
@click.option("--offset", default=0, show_default=True, help="Documents to pass over before.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    help='Metadata to keep to: type=대출, or JSON such as {"year": {"gte": 2020}}.',
)
@click.option("--min-score", type=float, help="Least cosine of what is shown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API answers.")
@search_flags
def search(
    settings: Settings,
    name: str,
    query: str,
    mode: Mode,
    top_k: int,
    offset: int,
    filters: tuple[str, ...],
    min_score: float | None,
    as_json: bool,
) -> None:
    """Find the documents of the collection NAME that answer QUERY."""
    asked = Query(query, top_k, offset, _read_filter(filters), min_score, mode)
    with _opened(settings, mode) as (corpus, model, thresholds):
        result = corpus.open(name).search(asked)
    hits = [hit_record(hit, thresholds) for hit in result.hits]
    if as_json:
        answer = {"model": model, "mode": mode, "hits": hits, "timing_ms": result.timing_ms}
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    if not hits:
        click.echo("Nothing was found.", err=True)
    for rank, hit in enumerate(hits, start=offset + 1):
        click.echo(_describe(rank, hit))


@contextmanager
def _opened(settings: Settings, mode: Mode) -> Iterator[tuple[Corpus, str | None, Thresholds]]:
    """The collections, with the name and the thresholds of the model if one is needed."""
    if mode == "keyword":
        with opened_corpus(settings) as corpus:
            yield corpus, None, Thresholds()
        return
    with loaded_corpus(settings) as (corpus, engine):
        yield corpus, engine.model.name, engine.model.thresholds


def _read_filter(filters: Sequence[str]) -> Filter:
    """One filter of several; a key that is given again may have any of its values.

    >>> _read_filter(["type=대출", "type=예금", '{"year": 2020}'])
    {'year': 2020, 'type': ['대출', '예금']}
    """
    read: dict[str, Any] = {}
    values: dict[str, list[str]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if text.lstrip().startswith("{"):
            read.update(_read_json(text))
        elif equals:
            values.setdefault(key, []).append(value)
        else:
            raise InvalidInput("--filter takes key=value, or a JSON object.", item="filter")
    return {**read, **values}


def _read_json(text: str) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("--filter is not JSON: check its quotes.", item="filter") from error
    return read


def _describe(rank: int, hit: dict[str, Any]) -> str:
    """A hit for people: what it is called, the passage, and what it was found by."""
    document, passage = hit["document"], hit["passage"]
    # A title that matched is on the first line already.
    text = document["text"] if passage["field"] == "title" else passage["text"]
    lines = [
        f"{rank:2}. {document['title'] or document['id']}",
        f"{_INDENT}{_shorten(text)}",
        f"{_INDENT}{_figures(hit)}",
    ]
    if document["metadata"]:
        lines.append(
            _INDENT + ", ".join(f"{key}: {value}" for key, value in document["metadata"].items())
        )
    return "\n".join([*lines, ""])


def _figures(hit: dict[str, Any]) -> str:
    score = f"score {hit['score']:.4f}"
    if hit["similarity"] is None:
        return score
    return f"{score}, cosine {hit['similarity']:.4f} ({hit['grade']})"


def _shorten(text: str) -> str:
    """A text in one line, of so many characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
