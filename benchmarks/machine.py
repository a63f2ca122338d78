"""The machine and the code that a figure is of."""

import os
import platform
import subprocess

from benchmarks.servers import ROOT
from inference.device import cpu_fields


def processor() -> str:
    """Name, family and model, as Linux tells them; virtual machines often shorten the name."""
    told = cpu_fields()
    if "model name" not in told:
        return platform.machine()
    return f"{told['model name']} (family {told['cpu family']}, model {told['model']})"


def commit() -> str:
    """The checked-out commit, and whether files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(  # noqa: S603
            command, capture_output=True, encoding="utf-8", check=False
        ).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (
        ", with changes" if git("status", "--porcelain") else ""
    )


def load_average() -> str:
    """Of the last minute, five and fifteen."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())
