"""Virtual environments of the peers, made on first use from their pinned requirements."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".env"

_LOG_LINES = 3


class CannotInstall(Exception):
    """A peer could not be prepared; the message is the end of what the failed program said."""


def python_of(name: str) -> Path:
    """The interpreter of the environment for ``peers/<name>.txt``.

    Raises:
        CannotInstall: it could not be made.
    """
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    wanted = (HERE / "peers" / f"{name}.txt").read_text(encoding="utf-8")
    made_from = folder / "requirements.txt"
    if made_from.exists() and made_from.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making the environment of {name}", flush=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([sys.executable, "-m", "venv", "--clear", str(folder)])
    run([*install, "-r", str(HERE / "peers" / f"{name}.txt")])
    # Written last, so that an installation that broke off is begun again.
    made_from.write_text(wanted, encoding="utf-8")
    return python


def run(command: list[str]) -> None:
    """Runs a command that prepares a peer.

    Raises:
        CannotInstall: it failed.
    """
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in said if line.startswith("ERROR")] or said
        raise CannotInstall(" ".join(errors[-_LOG_LINES:]))
