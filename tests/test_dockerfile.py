"""What of the container's recipe can be checked without a container engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests
from running_service import StartService

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def _instructions() -> list[tuple[str, str]]:
    """Instructions in their order, with continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def _values(name: str) -> list[str]:
    return [value for instruction, value in _instructions() if instruction == name]


def test_copied_files_are_there_and_all_that_the_wheel_needs() -> None:
    copied = {source for value in _values("COPY") for source in shlex.split(value)[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]) <= copied
    assert {project["project"]["readme"], *project["project"]["license-files"]} <= copied


def test_nothing_runs_as_root_and_serve_is_an_argument() -> None:
    names = [name for name, _ in _instructions()]
    assert _values("USER") == ["ssang"]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "RUN" not in names[names.index("USER") :]
    assert json.loads(_values("ENTRYPOINT")[0]) == ["ssang"]
    assert json.loads(_values("CMD")[0]) == ["serve"]


def test_python_is_one_that_the_project_supports() -> None:
    (image,) = _values("FROM")
    minor = re.fullmatch(r"python:3\.(\d+)-slim", image)
    assert minor
    assert int(minor[1]) >= 11


def test_torch_is_the_pinned_one() -> None:
    """The command that the recipe finds its version with, run."""
    (run,) = [value for value in _values("RUN") if "TORCH_INDEX" in value]
    found = re.search(r"\$\((grep .*)\)", run)
    assert found
    done = subprocess.run(
        ["sh", "-c", found[1]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"torch==[\d.]+\n", done.stdout)


@pytest.mark.parametrize("variable", ["SAGEMAKER_BIND_TO_PORT", "SSANG_PORT", "PORT"])
def test_health_check_asks_the_port_that_is_served(variable: str, live_server: str) -> None:
    (check,) = _values("HEALTHCHECK")
    command = check.partition("CMD ")[2]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def status(port: str) -> int:
        return subprocess.run(
            ["sh", "-c", command], env={"PATH": path, variable: port}, stderr=subprocess.DEVNULL
        ).returncode

    assert status(live_server.rpartition(":")[2]) == 0
    assert status("1") != 0


def test_entry_point_serves_a_mounted_model(start_service: StartService, tmp_path: Path) -> None:
    """As in the container, but for the folder, which SM_MODEL_DIR names."""
    mounted = shutil.copytree(ROOT / "models" / "ko-mini", tmp_path / "mounted")
    command = ["env", f"SM_MODEL_DIR={mounted}", sys.executable, "-m", "webapp.cli", "serve"]
    service = start_service(command)
    assert requests.get(f"{service.url}/api/info", timeout=10).json()["model"] == "mounted"
