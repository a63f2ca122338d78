"""``ssang feedback``: what people think of answers, to calibrate thresholds with."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import click

from inference.score_file import Write, json_line, open_record_file
from webapp.commands.model import settings_flags
from webapp.settings import Settings


@click.group()
def feedback() -> None:
    """Export the votes that people gave on answers in the chat."""


@feedback.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to: .csv, which opens right in Excel, or .jsonl.  [default: JSON Lines on standard "
    "output]",
)
@click.option("--collection", help="Only votes on answers from this one.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Only votes from this day or time on, where this computer is.",
)
@settings_flags("data_dir")
def export(
    settings: Settings, output: Path | None, collection: str | None, since: datetime | None
) -> None:
    """Write the votes as labelled pairs, which `ssang calibrate` reads.

    Each source that a voted answer cites makes a row: the question as "query", the passage of the
    source as "document", and as "label" 1 for a thumb up or 0 for a thumb down. Votes on answers
    without sources make none.
    """
    # These load what a help text does not need.
    from inference.feedback import PAIR_COLUMNS
    from webapp.feedback import create_feedback

    moment = since.timestamp() if since else None
    ups = downs = 0
    with closing(create_feedback(settings)) as store, _writing(output, PAIR_COLUMNS) as write:
        for pair in store.pairs(collection=collection, since=moment):
            write([pair])
            ups, downs = ups + (pair["label"] == 1), downs + (pair["label"] == 0)
    click.echo(f"{ups:,} pairs with a thumb up and {downs:,} with one down are written.", err=True)


@contextmanager
def _writing(output: Path | None, columns: tuple[str, ...]) -> Iterator[Write]:
    if output is None:
        yield lambda records: sys.stdout.buffer.writelines(map(json_line, records))
        return
    with open_record_file(output, columns) as write:
        yield write
