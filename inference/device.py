"""What this machine can compute with, told without loading torch or touching CUDA."""

import os
import platform
from functools import cache
from pathlib import Path

# Instructions that add up products of 8-bit integers; without them int8 is little faster than
# float32, and on x86 its sums may overflow. ARM's names are those of Linux.
_INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}


def available_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its control group (v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _quota_cores() or cores or 1))


def has_gpu(device: str) -> bool:
    """Whether ``device`` (auto, cpu, cuda, cuda:N) may mean a GPU."""
    return device.startswith("cuda") or (device == "auto" and Path("/dev/nvidiactl").exists())


def has_fast_int8() -> bool:
    """Whether the processor multiplies 8-bit integers faster than floats, and exactly."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return bool(_INT8_INSTRUCTIONS & _instructions())


@cache
def processor() -> str:
    """The processor's name and instructions, as far as the system tells them."""
    return f"{platform.machine()} {_field('model name')} {' '.join(sorted(_instructions()))}"


@cache
def _instructions() -> frozenset[str]:
    return frozenset((_field("flags") or _field("Features")).split())


def _field(name: str) -> str:
    """A field of the first processor in Linux's table."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    parts = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in parts if key.strip() == name), "")


def _quota_cores() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None
