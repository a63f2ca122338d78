"""``ssang score``."""

from pathlib import Path

import click

from inference.charset import ENCODINGS, Encoding
from inference.pair_table import PairTable, Summary, score_rows
from inference.pipeline import ReadOptions
from inference.row_format import FORMATS, Format
from inference.score_file import open_score_file
from inference.table import open_table
from webapp.commands.model import loaded_engine, model_flags
from webapp.commands.progress import progress_bar
from webapp.commands.source import open_path
from webapp.settings import Settings


@click.command()
@click.argument("source", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to: .csv, which opens right in Excel, or .jsonl.",
)
@click.option("--query-column", default="", help="Default: query, else sentence1.")
@click.option("--document-column", default="", help="Default: document, else sentence2.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), help="Default: found out.")
@click.option("--encoding", type=click.Choice(ENCODINGS), help="Default: found out.")
@click.option("--max-length", type=int, help="Most tokens read of a text.  [default: the model's]")
@click.option("--no-truncate", is_flag=True, help="Make rows with longer texts errors.")
@model_flags
def score(
    settings: Settings,
    source: str,
    output: Path,
    query_column: str,
    document_column: str,
    file_format: Format | None,
    encoding: Encoding | None,
    max_length: int | None,
    no_truncate: bool,
) -> None:
    """Score the pair of texts in each row of a file.

    FILE is CSV, TSV, JSON or JSON Lines, in UTF-8, UTF-16 or CP949. A row that cannot be scored
    says why in the column "error" and stops no other.
    """
    options = ReadOptions(max_length=max_length, truncate=not no_truncate)
    summary = Summary()
    with open_path(Path(source)) as file, open_score_file(output) as write:
        table = open_table(file, name=source, file_format=file_format, encoding=encoding)
        pairs = PairTable.of(table, query_column=query_column, document_column=document_column)
        with loaded_engine(settings) as engine, progress_bar(None, unit="rows") as bar:
            engine.check_options(options)
            for window in score_rows(engine, pairs, options=options):
                write(row.as_record(engine.model.thresholds) for row in window.rows)
                summary.add(window)
                bar.update(len(window.rows))
    click.echo(_report(output, summary), err=True)


def _report(output: Path, summary: Summary) -> str:
    failed = f", {summary.failed:,} could not be and say why" if summary.failed else ""
    cut = f"; {summary.truncated:,} have texts that were cut" if summary.truncated else ""
    return f"{summary.scored:,} of {summary.rows:,} rows are scored in {output}{failed}{cut}."
