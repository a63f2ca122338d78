"""``ssang package``."""

from pathlib import Path

import click

from inference.model import open_model
from inference.package import write_package


@click.command()
@click.argument("model")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="model.tar.gz",
    show_default=True,
    help="Archive to write.",
)
def package(model: str, output: Path) -> None:
    """Pack a model for SageMaker's containers, with inference code that needs no ssang.

    MODEL is what --model of the other commands takes. The archive holds config.json, weights and
    tokenizer at its root, and code/inference.py with the four functions that the containers call;
    `ssang serve --model model.tar.gz` serves it too.
    """
    write_package(open_model(model), output)
    click.echo(f"{output}: {output.stat().st_size:,} bytes.", err=True)
