"""``ssang info``."""

import json
from dataclasses import asdict

import click

from webapp.commands.model import loaded_engine, model_flags
from webapp.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@model_flags
def info(settings: Settings, as_json: bool) -> None:
    """Load the model and say what would be served."""
    with loaded_engine(settings) as engine:
        described = asdict(engine.info())
    if as_json:
        click.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    warnings = described.pop("warnings")
    width = max(len(name) for name in described)
    for name, value in described.items():
        click.echo(f"{name:{width}}  {_plain(value)}")
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner or '-'}" for key, inner in value.items())
    return str(value)
