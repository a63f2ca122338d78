"""``ssang doctor``."""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from webapp.commands.model import MODEL_SETTINGS, loaded_engine, settings_flags
from webapp.settings import Settings

if TYPE_CHECKING:
    from inference.engine import Engine
    from webapp.doctor import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings_flags(*MODEL_SETTINGS, "program", "install_requirements", "host", "port", "workers")
def doctor(settings: Settings, as_json: bool) -> None:
    """Find out whether the service would work here, and what to mend.

    The exit status is 1 if there is a problem, else 0.
    """
    from webapp.doctor import examine, worst

    findings = []
    with ExitStack() as stack:

        def load(settings: Settings) -> "Engine":
            return stack.enter_context(loaded_engine(settings))

        for finding in examine(settings, load):
            findings.append(finding)
            if not as_json:
                _print(finding)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2))
    sys.exit(worst(findings) == "problem")


def _print(finding: "Finding") -> None:
    level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
    click.echo(f"{level} {finding.subject}: {finding.message}")
    if finding.mend and finding.level != "ok":
        click.echo(f"{'':8} -> {finding.mend}")
