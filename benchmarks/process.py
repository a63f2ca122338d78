"""What a server's processes cost, as Linux counts it in /proc.

A server is started in a session of its own, so its processes are those of that session, however
they fork.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/PID/stat behind the name, which may hold spaces; see proc_pid_stat(5).
_STATE, _SESSION, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM, _RSS = 0, 3, 11, 12, 13, 14, 21


def cpu_seconds(session: int) -> float:
    """CPU seconds of the session's processes so far, and of their children that have ended."""
    fields = (_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM)
    ticks = sum(int(stat[field]) for _, stat in _stats(session) for field in fields)
    return ticks / _TICKS_A_SECOND


def resident_mib(session: int) -> float:
    """Resident memory of the session's processes; pages they share count once for each."""
    return sum(int(stat[_RSS]) for _, stat in _stats(session)) * _PAGE_BYTES / 2**20


def end_session(session: int, *, grace_s: float) -> None:
    """Asks the leader to end, and after ``grace_s`` seconds kills whatever of the session lives."""
    deadline = time.monotonic() + grace_s
    sent = signal.SIGTERM
    victims = [session]
    while any(True for _ in _stats(session)):
        for pid in victims:
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                continue
        victims = []
        if time.monotonic() > deadline:
            sent, victims = signal.SIGKILL, [pid for pid, _ in _stats(session)]
        time.sleep(0.1)


def _stats(session: int) -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[_SESSION]) == session and stat[_STATE] != "Z":
            yield int(entry.name), stat
