"""The command line as users run it."""

import os
import subprocess
import sys
from pathlib import Path

SSANG = [sys.executable, "-m", "webapp.cli"]

Completed = subprocess.CompletedProcess[str]


def environment(model: Path | None = None) -> dict[str, str]:
    """The environment of a command, with this model for its default."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("SSANG_")}
    return {**given, "SSANG_MODEL": str(model)} if model else given


def ssang(*arguments: object, model: Path | None = None, stdin: str | None = None) -> Completed:
    """Runs a command to its end."""
    return subprocess.run(
        [*SSANG, *map(str, arguments)],
        env=environment(model),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def refusal(*arguments: object, model: Path | None = None, stdin: str | None = None) -> str:
    """The one sentence with which a command ends that cannot be done."""
    done = ssang(*arguments, model=model, stdin=stdin)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")
