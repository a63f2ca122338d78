"""The Colab notebook: its cells, run in their order, with a stand-in for ngrok's agent."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import ngrok
import pytest
import requests
from running_service import free_port

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "colab.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[str]:
    """Sources of the code cells."""
    notebook = nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def _run(source: str, names: dict[str, Any]) -> None:
    """Runs a cell as IPython would: a line behind ``!`` is the shell's, with names in braces."""
    lines = source.splitlines()
    shell = [line[1:] for line in lines if line.startswith("!")]
    exec("\n".join(line for line in lines if not line.startswith("!")), names)
    for line in shell:
        subprocess.run(line.format(**names), shell=True, check=True)


def test_cells_lead_to_a_public_address(
    cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    port = free_port()
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(ngrok.install(tmp_path)))
    monkeypatch.setenv("NGROK_AUTHTOKEN", "token-of-the-tests")
    monkeypatch.setenv("SSANG_PORT", str(port))
    # The tests' own environment keeps what it has.
    for name in ("DRY_RUN", "NO_DEPS", "NO_INDEX"):
        monkeypatch.setenv(f"PIP_{name}", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")
    install, choose, serve, stop = cells
    names: dict[str, Any] = {}
    _run(install.replace('source = ""', f'source = "{ROOT}"'), names)
    _run(choose, names)
    _run(serve, names)
    try:
        link = capsys.readouterr().out.split()[-1]
        address, key = link.split("#key=")
        info = requests.get(f"{address}api/info", headers={"X-API-Key": key}, timeout=10)
        assert info.json()["model"] == "ko-mini"
    finally:
        _run(stop, names)
    assert names["service"].returncode == 0


def test_missing_source_and_token_are_asked_for(
    cells: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NGROK_AUTHTOKEN", raising=False)
    install, _, serve, _ = cells
    with pytest.raises(SystemExit, match="적어 주세요"):
        _run(install, {})
    with pytest.raises(SystemExit, match="NGROK_AUTHTOKEN을 넣고"):
        _run(serve, {"model": "ko-mini"})
