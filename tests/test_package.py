"""The built wheel, unpacked where the checkout is not, serves with all it needs inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import requests
from running_service import StartService, free_port

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = folder.glob("ssang-*.whl")
    return built


def test_wheel_holds_pages_and_model_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "webapp/templates/compare.html",
        "webapp/templates/messages/en.toml",
        "webapp/templates/messages/ko.toml",
        "webapp/static/sample/pairs.csv",
        "webapp/static/js/compare.js",
        "inference/models/ko-mini/model.safetensors",
        "inference/models/ko-mini/README.md",
    ):
        assert name in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"inference", "webapp"}
    assert not [name for name in names if "screenshots" in name]


def test_installed_wheel_serves_page_and_model(
    wheel: Path, tmp_path: Path, start_service: StartService
) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(tmp_path / "site"), str(wheel)], check=True)
    port = free_port()
    environment = f"PYTHONPATH={tmp_path / 'site'} SSANG_PORT={port}"
    command = f"cd {tmp_path} && {environment} exec {sys.executable} -m webapp.cli serve"
    service = start_service(["bash", "-c", command], wait=False)
    service.url = f"http://127.0.0.1:{port}"
    service.wait_until_ready()
    loaded_from = Path(f"/proc/{service.process.pid}/environ").read_bytes()
    assert os.fsencode(tmp_path / "site") in loaded_from
    assert "비교하기" in requests.get(service.url, timeout=10).text
    assert requests.get(f"{service.url}/static/js/compare.js", timeout=10).status_code == 200
    info = requests.get(f"{service.url}/api/info", timeout=10).json()
    assert (info["model"], info["dimension"]) == ("ko-mini", 384)
