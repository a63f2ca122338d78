"""``ssang encode``."""

import hashlib
import sys
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from inference.checkpoint import Kind
from inference.encoding_run import PART_TEXTS, EncodingRun
from inference.errors import InvalidInput
from inference.pipeline import ReadOptions
from inference.text_source import TextSource, open_texts
from inference.vector_file import check_vector_file, write_vector_file
from webapp.commands.model import loaded_engine, model_flags
from webapp.commands.progress import progress_bar
from webapp.commands.source import open_source
from webapp.settings import Settings

if TYPE_CHECKING:
    from inference.engine import Engine

_INTERRUPTED = 130


@click.command()
@click.argument(
    "source", metavar="IN", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to: .npy, .jsonl or .parquet.",
)
@click.option("--column", default="", help="Column with the texts.  [default of tables: text]")
@click.option(
    "--kind",
    type=click.Choice(["query", "document"]),
    default="document",
    show_default=True,
    help="Side the texts are on, for models that treat them differently.",
)
@click.option("--max-length", type=int, help="Most tokens read of a text.  [default: the model's]")
@click.option("--skip-empty", is_flag=True, help="Pass over empty texts instead of refusing them.")
@click.option("--restart", is_flag=True, help="Forget a run that was not finished.")
@model_flags
def encode(
    settings: Settings,
    source: str,
    output: Path,
    column: str,
    kind: Kind,
    max_length: int | None,
    skip_empty: bool,
    restart: bool,
) -> None:
    """Turn the texts of a file into unit vectors.

    IN is a text file with one text a line (- for standard input), or CSV, TSV, JSON or JSON Lines
    with a --column. Vectors keep the order of the texts; .jsonl and .parquet hold the texts and
    their line numbers too.

    A run that was interrupted or killed goes on where it was when the same command is given again.
    Until it is finished its work lies in OUT.parts.
    """
    check_vector_file(output)
    options = ReadOptions(max_length=max_length)
    with open_source(source) as file:
        texts = open_texts(file, name=source, column=column, skip_empty=skip_empty)
        # Also refuses what cannot be read before any time is spent.
        count = sum(1 for _ in texts)
        if not count:
            raise InvalidInput(f"{source} holds no texts.")
        with loaded_engine(settings, slices_ahead=1) as engine:
            engine.check_options(options)
            identity = {**_input_identity(file, texts), **_vector_identity(engine, kind, options)}
            run = EncodingRun(output.with_name(f"{output.name}.parts"), identity)
            with run.locked():
                run.restart() if restart else run.resume()
                _make_parts(engine, run, texts, count, kind, options)
                _finish(run, texts, output, (count, engine.info().dimension))
    click.echo(_report(output, count, run), err=True)


def _input_identity(file: IO[bytes], texts: TextSource) -> dict[str, object]:
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return {"input": digest, "column": texts.column, "skip-empty": texts.skip_empty}


def _vector_identity(engine: "Engine", kind: Kind, options: ReadOptions) -> dict[str, object]:
    info = engine.info()
    return {
        "model": info.hash,
        "precision": info.precision,
        "dimensions": info.dimension,
        "kind": kind,
        "max-length": options.max_length or info.max_length,
        "part size": PART_TEXTS,
    }


def _make_parts(
    engine: "Engine",
    run: EncodingRun,
    texts: TextSource,
    count: int,
    kind: Kind,
    options: ReadOptions,
) -> None:
    done = min(run.parts * PART_TEXTS, count)
    rest = islice(texts, done, None)
    try:
        with progress_bar(count, done=done, unit="texts") as bar:
            while part := [text for _, text in islice(rest, PART_TEXTS)]:
                embeddings = engine.embed(part, kind=kind, options=options)
                run.add(embeddings.vectors, truncated=int(embeddings.truncated.sum()))
                bar.update(len(part))
    except KeyboardInterrupt:
        done = min(run.parts * PART_TEXTS, count)
        click.echo(
            f"\nStopped after {done:,} of {count:,} texts: give the same command to go on.",
            err=True,
        )
        sys.exit(_INTERRUPTED)


def _finish(run: EncodingRun, texts: TextSource, output: Path, shape: tuple[int, int]) -> None:
    result = run.folder / f"result{output.suffix}"
    write_vector_file(result, run.vectors(), texts, suffix=output.suffix, shape=shape)
    result.replace(output)
    run.remove()


def _report(output: Path, count: int, run: EncodingRun) -> str:
    cut = f" {run.truncated:,} of them were too long and were cut." if run.truncated else ""
    return f"{count:,} texts are in {output}.{cut}"
