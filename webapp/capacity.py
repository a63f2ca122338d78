"""How many processes and threads suit this machine; nothing here wakes CUDA before the fork."""

import os
from dataclasses import dataclass

from inference import device as machine
from webapp.settings import Settings

# A short request costs a small encoder about as much in Python, where a process runs one thread at
# a time, as in the model: a worker keeps two cores busy, and would leave some of more idle. With
# fewer, a large request, which one worker computes, would have a single core. The smaller batches
# of more workers cost little on CPUs: each of eight short texts is as cheap as each of thirty.
_CORES_PER_WORKER = 2

# Turns of GNU OpenMP's waiting loop; with 5,000 a busy neighbour made short texts twice as slow.
_SPINS = "1000"


@dataclass(frozen=True)
class Capacity:
    """Processes, and CPU threads each of them computes with."""

    workers: int
    compute_threads: int


def choose_capacity(settings: Settings, *, cores: int, gpu: bool) -> Capacity:
    """What the settings leave open, from the cores and whether the model goes to a GPU.

    One worker on a GPU: each would hold a model of its own there.

    >>> choose_capacity(Settings(), cores=16, gpu=False)
    Capacity(workers=8, compute_threads=2)
    """
    workers = settings.workers or (1 if gpu else max(1, cores // _CORES_PER_WORKER))
    return Capacity(workers, settings.compute_threads or max(1, cores // workers))


def let_idle_threads_sleep() -> None:
    """Tells OpenMP, before torch is loaded, that a thread without work soon sleeps.

    By default it spins for milliseconds, and where another process wants the same core, each of the
    hundred or so parallel steps of a forward pass waits for a thread that was put off it. A few
    microseconds of it bridge the gap to the next step, and do no such harm.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ["GOMP_SPINCOUNT"] = _SPINS


def has_gpu(device: str) -> bool:
    """Whether ``device`` means a GPU: one that is here, and that CUDA_VISIBLE_DEVICES leaves."""
    is_hidden = device == "auto" and os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return machine.has_gpu(device) and not is_hidden
