"""What the check of costs says of figures; how long anything takes is not looked at."""

from functools import partial
from pathlib import Path

import pytest

from benchmarks import check
from benchmarks.check import Computation, Figures
from benchmarks.machine import processor

WRITTEN = Figures("a processor", "int8", {"encode, 1 text": 2.0, "tokenise": 0.5})


def found(**ratios: float) -> Figures:
    return Figures("a processor", "int8", {"encode, 1 text": 2.0, "tokenise": 0.5} | ratios)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "figures.json"
    WRITTEN.write(path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, figures: Figures, *arguments: str) -> None:
    """The program, on a machine that always gives these figures."""
    monkeypatch.setattr(check, "measure", lambda _rounds: figures)
    check.main(arguments)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.574])
def test_figures_within_what_is_allowed_pass(
    file: Path, ratio: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, found(tokenise=ratio), "--figures", str(file))


def test_regression_fails_and_names_the_case(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, found(tokenise=0.576), "--figures", str(file))
    assert ended.value.code == 1
    [line] = [line for line in capsys.readouterr().out.splitlines() if "TOO MUCH" in line]
    assert line.split() == ["tokenise", "0.57600", "0.50000", "+15.2%", "TOO", "MUCH"]


def test_regression_that_does_not_come_again_passes(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = iter([found(tokenise=0.9), found(tokenise=0.51)])
    monkeypatch.setattr(check, "measure", lambda _rounds: next(measured))
    check.main(["--figures", str(file)])
    assert "0.51000" in capsys.readouterr().out


@pytest.mark.parametrize(
    "other", [Figures("another", "int8", {"tokenise": 9.0}), Figures("a processor", "fp32", {})]
)
def test_another_processor_or_precision_is_told_and_does_not_fail(
    file: Path,
    other: Figures,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(monkeypatch, other, "--figures", str(file))
    said = capsys.readouterr().out
    assert said.startswith("Nothing was compared")
    assert "int8 on a processor" in said
    assert str(other) in said


def test_case_that_is_new_is_told_and_does_not_fail(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, found(request=9.0), "--figures", str(file))
    assert "not written down" in capsys.readouterr().out


def test_figures_are_written_down_and_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, found(tokenise=0.9), "--figures", str(file), "--write")
    assert Figures.read(file) == found(tokenise=0.9)
    run(monkeypatch, found(tokenise=0.9), "--figures", str(file))


def test_median_of_ratios_is_taken_for_each_case() -> None:
    calls: list[str] = []
    cases = {name: Computation(partial(calls.append, name), texts=1) for name in ("a", "b")}
    ratios = check.compare_costs(cases, rounds=3)
    assert list(ratios) == ["a", "b"]
    # Once before anything counts, then in turn.
    assert calls == ["a", "b"] * 4


def test_processor_has_a_name() -> None:
    assert processor()


def test_committed_figures_can_be_read() -> None:
    assert set(Figures.read(check.WRITTEN).ratios) == set(check.CASES)
