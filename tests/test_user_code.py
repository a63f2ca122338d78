"""A user's own handlers: how they are found, loaded and called."""

import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running_service import wait_until

from inference.engine import Engine
from inference.errors import DeadlineExceeded, InvalidInput, ModelUnavailable, UserCodeFailed
from inference.lifecycle import Failure, State
from inference.user_code import UserProgram, find_program, install, load_handlers, open_served
from inference.user_model import UserModel
from webapp.doctor import examine
from webapp.settings import Settings

DEFAULTS: dict[str, Any] = {
    "model_fn": lambda folder: "our model",
    "input_fn": lambda body, content_type: f"read {body}",
    "predict_fn": lambda data, model: f"{model}: {data}",
    "output_fn": lambda prediction, accept: (f"{prediction} as {accept}".encode(), accept),
}


def _write(folder: Path, code: str, name: str = "inference.py") -> Path:
    file = folder / "code" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code, encoding="utf-8")
    return folder


def _program(folder: Path, code: str) -> UserProgram:
    program = find_program(str(_write(folder, code)), "inference.py")
    assert program is not None
    return program


@contextmanager
def _started(program: UserProgram, **limits: float) -> Iterator[UserModel]:
    model = UserModel(program, DEFAULTS, **{"deadline_s": 30, "hang_timeout_s": 30, **limits})
    model.start()
    wait_until(lambda: model.state is not State.LOADING, timeout_s=10)
    yield model
    model.close()


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("", b"our model: read hello as a/b"),
        ("def model_fn(model_dir): return 'mine'", b"mine: read hello as a/b"),
        ("def input_fn(body, content_type): return content_type", b"our model: x/y as a/b"),
        ("def predict_fn(data, model): return 7", b"7 as a/b"),
        ("def output_fn(prediction, accept): return prediction", b"our model: read hello"),
        ("def transform_fn(model, body, content_type, accept): return body + accept", b"helloa/b"),
        ("from sibling import predict_fn", b"5 as a/b"),
    ],
)
def test_defaults_stand_in_for_missing_handlers(tmp_path: Path, code: str, answer: bytes) -> None:
    _write(tmp_path, "def predict_fn(data, model): return 5", "sibling.py")
    with _started(_program(tmp_path, code)) as model:
        assert model.transform("hello", "x/y", "a/b") == (answer, "a/b")


@pytest.mark.parametrize("context", ["context", "context=None"])
def test_handlers_may_take_a_context(tmp_path: Path, context: str) -> None:
    code = f"""
def model_fn(model_dir, {context}):
    assert context.system_properties["model_dir"] == model_dir
    return model_dir

def transform_fn(model, body, content_type, accept, {context}):
    return context.system_properties["model_dir"], "text/plain"
"""
    with _started(_program(tmp_path, code)) as model:
        assert model.transform("", "", "a/b") == (str(tmp_path).encode(), "text/plain")


def test_all_calls_are_made_by_one_thread(tmp_path: Path) -> None:
    code = """
import threading
def model_fn(model_dir): return threading.get_ident()
def transform_fn(model, body, content_type, accept):
    return str(model == threading.get_ident())
"""
    with _started(_program(tmp_path, code)) as model:
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(model.transform("", "", "")[0]))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [b"True"] * 8


def test_error_of_a_handler_is_told_by_its_first_line(tmp_path: Path) -> None:
    code = r"def predict_fn(data, model): raise ValueError('no such city\nmore of it')"
    with _started(_program(tmp_path, code)) as model:
        for _ in range(2):
            with pytest.raises(UserCodeFailed) as caught:
                model.transform("", "", "")
            assert caught.value.message == "predict_fn failed: no such city"
        assert model.state is State.READY


def test_answer_of_another_kind_is_refused(tmp_path: Path) -> None:
    with (
        _started(_program(tmp_path, "def output_fn(prediction, accept): return {}")) as model,
        pytest.raises(UserCodeFailed, match="is a dict: output_fn"),
    ):
        model.transform("", "", "")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def model_fn(model_dir): raise OSError('weights are gone')", "weights are gone"),
        ("import no_such_package", "No module named 'no_such_package'"),
        ("raise SystemExit('leave')", "leave"),
        ("model_fn = predict_fn = transform_fn = lambda *all: 1", "transform_fn and predict_fn"),
    ],
)
def test_code_that_does_not_load_says_why(tmp_path: Path, code: str, message: str) -> None:
    with _started(_program(tmp_path, code)) as model:
        assert model.state is State.FAILED
        with pytest.raises(ModelUnavailable, match=message):
            model.transform("", "", "")
        failures: list[Failure] = []
        model.on_failure(failures.append)
        assert failures[0].while_loading


def _is_late(model: UserModel) -> bool:
    """Whether a quick call still does not get its turn in time."""
    try:
        model.transform("0", "", "")
    except DeadlineExceeded:
        return True
    return False


def test_calls_wait_no_longer_than_the_deadline_and_hung_ones_end_it(tmp_path: Path) -> None:
    code = "import time\ndef input_fn(body, content_type): time.sleep(float(body))"
    failures: list[Failure] = []
    with _started(_program(tmp_path, code), deadline_s=0.3, hang_timeout_s=0.5) as model:
        model.on_failure(failures.append)
        hung: list[BaseException] = []

        def hang() -> None:
            with pytest.raises(ModelUnavailable, match=r"not answered for 0\.8 seconds") as caught:
                model.transform("3", "", "")
            hung.append(caught.value)

        first = threading.Thread(target=hang)
        first.start()
        wait_until(lambda: _is_late(model), timeout_s=10)
        first.join()
        assert hung
        assert failures == [Failure(str(hung[0]), while_loading=False)]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def transform_fn(): ...\ndef predict_fn(): ...", "has transform_fn and predict_fn"),
        ("def predict_fn(:", "code/inference.py is not Python"),
    ],
)
def test_unfit_code_is_refused_before_it_is_run(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        find_program(str(_write(tmp_path, code)), "inference.py")


def test_another_file_may_hold_the_handlers(tmp_path: Path) -> None:
    _write(tmp_path, "def predict_fn(data, model): return 1", "mine.py")
    program = find_program(str(tmp_path), "mine.py")
    assert program is not None
    assert set(load_handlers(program)) == {"predict_fn"}
    assert find_program(str(tmp_path), "inference.py") is None


def test_code_of_an_archive_is_found_and_that_of_embedded_models_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _write(tmp_path / "ko-mini", "")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "ko-mini" / "code", "code")
    served = open_served(
        str(tmp_path / "model.tar.gz"), query="", document="", program="inference.py"
    )
    assert served.model is None
    assert served.program is not None
    monkeypatch.chdir(tmp_path)
    assert find_program("ko-mini", "inference.py") is None


def test_requirements_that_pip_cannot_install_are_named(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("./no-such-folder\n")
    with pytest.raises(InvalidInput, match=r"requirements\.txt could not be installed: .*no-such"):
        install(file)
    file.write_text("# nothing\n")
    install(file)


def test_doctor_reports_the_code_and_what_it_asks_for(tmp_path: Path) -> None:
    _write(tmp_path, "numpy", "requirements.txt")
    _write(tmp_path, "def model_fn(model_dir): raise AssertionError")

    def load(settings: Settings) -> Engine:
        raise AssertionError("there is no encoder to load")

    found = {
        finding.subject: finding for finding in examine(Settings(model=str(tmp_path), port=0), load)
    }
    assert found["user code"].level == "ok"
    assert found["requirements"].level == "warning"
    assert "only /invocations" in found["model files"].message
