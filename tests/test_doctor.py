"""``ssang doctor``: every line, and what it finds wrong."""

import dataclasses
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from running_service import free_port
from ssang_command import ssang
from tiny_model import edit_json, save_bert

from inference import parity
from inference.engine import Engine
from inference.errors import ModelUnavailable
from webapp import doctor
from webapp.doctor import Finding, examine
from webapp.settings import Settings


def _find(findings: list[Finding], subject: str) -> Finding:
    return next(finding for finding in findings if finding.subject == subject)


def _unloadable(_: Settings) -> Engine:
    raise ModelUnavailable("It does not load.")


def _serving(engine: Engine) -> Callable[[Settings], Engine]:
    return lambda _: engine


def test_the_embedded_model_is_well(engine: Engine) -> None:
    findings = list(examine(Settings(port=free_port()), _serving(engine)))
    assert doctor.worst(findings) == "ok"
    assert _find(findings, "pooling").message == "mean"
    assert _find(findings, "padding id").message == "0"
    assert _find(findings, "max length").message == "512 tokens"
    assert "1.00000" in _find(findings, "parity (document)").message
    assert {"python", "torch", "transformers", "gunicorn", "cores", "device"} <= {
        finding.subject for finding in findings
    }


def test_a_taken_port_and_a_missing_model_are_problems() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = ssang("doctor", "--json", "--port", port, "--model", "no-such-model")
    assert done.returncode == 1, done.stderr
    findings = [Finding(**finding) for finding in json.loads(done.stdout)]
    assert _find(findings, "port").level == "problem"
    assert "no-such-model" in _find(findings, "model files").message
    assert all(finding.mend for finding in findings if finding.level == "problem")


def test_lines_are_for_people_and_the_status_for_scripts(tmp_path: Path) -> None:
    model = save_bert(tmp_path / "tiny")
    done = ssang("doctor", "--port", free_port(), model=model)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok       python: 3." in done.stdout
    assert "warning  model files: Model 'tiny' does not say how it pools" in done.stdout
    assert "ok       parity (document): lowest cosine" in done.stdout


@pytest.mark.parametrize("damage", ["model.safetensors", "config.json"])
def test_damaged_files_are_a_problem(tmp_path: Path, damage: str) -> None:
    model = save_bert(tmp_path / "tiny")
    (model / damage).unlink()
    findings = list(examine(Settings(model=str(model), port=0), _unloadable))
    assert _find(findings, "model files").level == "problem"


def test_a_model_that_does_not_load_is_a_problem(tmp_path: Path) -> None:
    model = save_bert(tmp_path / "tiny")
    findings = list(examine(Settings(model=str(model), port=0), _unloadable))
    assert findings[-1] == Finding("model", "problem", "It does not load.", findings[-1].mend)


def test_other_vectors_than_the_librarys_are_a_problem(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "lowest_cosine", lambda *_: 0.99)
    (finding,) = doctor._parity(engine, "document")
    assert finding.level == "problem"
    assert "0.99" in finding.message

    def fail(*_: object) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(doctor, "lowest_cosine", fail)
    (finding,) = doctor._parity(engine, "document")
    assert finding.level == "warning"


def test_parity_sees_another_pooling(engine: Engine, tmp_path: Path) -> None:
    assert parity.lowest_cosine(engine, "document") > 0.9999
    copy = shutil.copytree(engine.model.document.path, tmp_path / "cls")
    edit_json(copy / "1_Pooling/config.json", pooling_mode="cls")
    other = dataclasses.replace(engine.model.document, path=copy)
    pretended = Engine(dataclasses.replace(engine.model, query=other, document=other))
    pretended._batcher = engine._batcher
    pretended._pipeline = engine._pipeline
    assert parity.lowest_cosine(pretended, "document") < 0.9999


def test_a_folder_that_cannot_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("webapp.doctor.tempfile.TemporaryFile", refuse)
    (finding,) = doctor._folders()
    assert (finding.level, finding.message) == ("problem", "No usable temporary directory found")


def test_more_threads_than_cores_are_a_warning() -> None:
    findings = list(doctor._machine(Settings(workers=64, compute_threads=64, device="cpu")))
    assert _find(findings, "threads").level == "warning"
