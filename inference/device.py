"""What this machine can compute with, told without loading torch or touching CUDA."""

import os
import platform
from functools import cache
from pathlib import Path

# Instructions with which products of 8-bit integers are faster than floats: AVX2 and what came
# after it on x86, the dot products of ARM as Linux calls them.
_INT8_INSTRUCTIONS = {"avx2", "asimddp", "i8mm"}

# Instructions of x86 that add up products of 8-bit integers in 32 bits.
_INT8_SUM_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "amx_int8"}

# Instructions that multiply bfloat16; where they are missing, it is converted at every product.
_BF16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}


def available_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its control group (v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _quota_cores() or cores or 1))


def has_gpu(device: str) -> bool:
    """Whether ``device`` (auto, cpu, cuda, cuda:N) may mean a GPU."""
    return device.startswith("cuda") or (device == "auto" and Path("/dev/nvidiactl").exists())


def has_fast_int8() -> bool:
    """Whether the processor multiplies 8-bit integers faster than floats."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return bool(_INT8_INSTRUCTIONS & _instructions())


def int8_sums_overflow() -> bool:
    """Whether the processor may add up products of 8-bit integers in 16 bits.

    So does x86 without instructions for such sums; where nothing tells its instructions, it may.
    """
    on_x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return on_x86 and not _INT8_SUM_INSTRUCTIONS & _instructions()


def has_fast_bf16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32, as far as Linux tells."""
    return bool(_BF16_INSTRUCTIONS & _instructions())


@cache
def cpu_fields() -> dict[str, str]:
    """What Linux's table says of the first processor, by name; nothing on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def processor() -> str:
    """The processor's name and instructions, as far as the system tells them."""
    name = cpu_fields().get("model name", "")
    return f"{platform.machine()} {name} {' '.join(sorted(_instructions()))}"


def _instructions() -> set[str]:
    fields = cpu_fields()
    # ARM calls them features.
    return set((fields.get("flags") or fields.get("Features", "")).split())


def _quota_cores() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None
