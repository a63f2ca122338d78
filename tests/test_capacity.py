import os

import pytest

from inference import device
from inference.device import (
    available_cores,
    has_fast_bf16,
    has_fast_int8,
    int8_sums_overflow,
)
from webapp.capacity import (
    Capacity,
    choose_capacity,
    has_gpu,
    let_idle_threads_sleep,
)
from webapp.settings import Settings


@pytest.mark.parametrize(
    ("cores", "gpu", "expected"),
    [
        (1, False, Capacity(1, 1)),
        (2, False, Capacity(1, 2)),
        (3, False, Capacity(1, 3)),
        (4, False, Capacity(2, 2)),
        (5, False, Capacity(2, 2)),
        (16, False, Capacity(8, 2)),
        (64, False, Capacity(32, 2)),
        (16, True, Capacity(1, 16)),
    ],
)
def test_shares_the_cores_out(cores: int, gpu: bool, expected: Capacity) -> None:
    assert choose_capacity(Settings(), cores=cores, gpu=gpu) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
    ],
)
def test_idle_threads_sleep_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", given.copy())
    let_idle_threads_sleep()
    assert os.environ == expected


def test_settings_win() -> None:
    settings = Settings(workers=3, compute_threads=5)
    assert choose_capacity(settings, cores=16, gpu=True) == Capacity(3, 5)


def test_more_workers_than_cores_still_compute() -> None:
    assert choose_capacity(Settings(workers=8), cores=2, gpu=False) == Capacity(8, 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"flags": "fma avx2 avx512f avx512_bf16"}, True),
        ({"flags": "fma avx2 amx_bf16"}, True),
        ({"Features": "asimd asimddp bf16"}, True),
        ({"flags": "fma avx2 avx512f avx512_vnni"}, False),
        ({}, False),
    ],
)
def test_tells_processors_that_multiply_bfloat16(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], expected: bool
) -> None:
    monkeypatch.setattr(device, "cpu_fields", lambda: fields)
    assert has_fast_bf16() is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"flags": "sse4_2 fma avx2"}, True),
        ({"flags": "sse4_2 fma avx2 avx512_vnni"}, True),
        ({"Features": "asimd asimddp"}, True),
        ({"flags": "sse4_2 avx"}, False),
        ({"Features": "asimd"}, False),
    ],
)
def test_tells_processors_that_are_fast_with_8_bit_integers(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], expected: bool
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr(device, "cpu_fields", lambda: fields)
    assert has_fast_int8() is expected


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "sse4_2 fma avx2", True),
        ("x86_64", "avx2 avx512f avx512_vnni", False),
        ("x86_64", "avx2 avx_vnni", False),
        ("AMD64", "", True),
        ("aarch64", "", False),
    ],
)
def test_tells_processors_that_sum_8_bit_integers_in_16_bits(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: str, expected: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(device, "cpu_fields", lambda: {"flags": flags})
    assert int8_sums_overflow() is expected


def test_cores_are_at_least_one() -> None:
    assert available_cores() >= 1


def test_quota_of_the_control_group_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_quota_cores", lambda: 1)
    assert available_cores() == 1


@pytest.mark.parametrize(("device", "gpu"), [("cpu", False), ("cuda", True), ("cuda:1", True)])
def test_a_named_device_is_believed(device: str, gpu: bool) -> None:
    assert has_gpu(device) is gpu


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_do_not_count(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not has_gpu("auto")
