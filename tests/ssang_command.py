"""The command line as users run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

from click.testing import CliRunner

from webapp.cli import main

SSANG = [sys.executable, "-m", "webapp.cli"]

Completed = subprocess.CompletedProcess[str]


def environment(model: Path | None = None) -> dict[str, str]:
    """The environment of a command, with this model for its default."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("SSANG_")}
    # A model that is made for one test is not worth compiling.
    chosen = {"SSANG_MODEL": str(model), "SSANG_PRECISION": "fp32"} if model else {}
    return given | chosen


def start(*arguments: object, model: Path) -> subprocess.Popen[str]:
    """Starts a command that Ctrl-C stops, also where the tests themselves run in the background."""
    return subprocess.Popen(
        [*SSANG, *map(str, arguments)],
        env=environment(model),
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


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


def named_pipe(path: Path, content: bytes) -> Path:
    """A pipe that is read once, as a shell makes for ``<(command)``."""
    os.mkfifo(path)
    Thread(target=path.write_bytes, args=(content,), daemon=True).start()
    return path


def ssang_here(*arguments: object, stdin: str | None = None) -> Completed:
    """The same within this process, at once; for commands that load no model."""
    given = [*map(str, arguments)]
    result = CliRunner().invoke(main, given, input=stdin, catch_exceptions=False)
    return Completed(given, result.exit_code, result.stdout, result.stderr)


def refusal(*arguments: object, model: Path | None = None, stdin: str | None = None) -> str:
    """The one sentence with which a command ends that cannot be done."""
    return _sentence(ssang(*arguments, model=model, stdin=stdin))


def refusal_here(*arguments: object) -> str:
    """The same within this process."""
    return _sentence(ssang_here(*arguments))


def _sentence(done: Completed) -> str:
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")
