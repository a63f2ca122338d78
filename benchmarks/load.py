"""Closed-loop loads: so many clients, each of which sends its next request once it is answered."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from benchmarks import process, texts
from benchmarks.client import Connection
from benchmarks.running import Running

_RSS_INTERVAL_S = 0.25

# A slow server gets longer, so that its percentiles mean something.
_LEAST_REQUESTS_A_CLIENT = 2
_LONGEST_WINDOWS = 6

# What a polite client waits when it was refused without a Retry-After, and at most.
_RETRY_S, _LONGEST_RETRY_S = 0.05, 5.0

# Numbers of texts between the beginnings of two loads: more than any load draws.
_TEXTS_A_LOAD = 2**20


@dataclass(frozen=True)
class Load:
    """What is asked of a server.

    Attributes:
        name: as in the report.
        clients: requests in flight.
        texts: in a request.
        lengths: sentences of about 18 tokens, or 5 to 400 tokens.
        once: one request by one client instead of a window of time.
    """

    name: str
    clients: int
    texts: int
    lengths: Literal["sentences", "mixed"] = "sentences"
    once: bool = False


LOADS = [
    Load("1 client", 1, 1),
    Load("16 clients", 16, 1),
    Load("64 clients", 64, 1),
    Load("32 texts, 2 clients", 2, 32),
    Load("mixed, 8 clients", 8, 1, "mixed"),
]


def loads_for(bulk_texts: int) -> list[Load]:
    """All loads, with the size of the one large request that suits a model's speed."""
    return [*LOADS, Load("bulk", 1, bulk_texts, once=True)]


@dataclass
class Measured:
    """What a load took; times in seconds.

    Attributes:
        latencies_s: of answered requests, from their first try on.
        errors: how many answers of each other kind, a status or an exception's name.
    """

    seconds: float
    texts: int
    latencies_s: list[float]
    server_cpu_s: float
    client_cpu_s: float
    peak_rss_mib: float
    errors: Counter[str]


def warm_up(running: Running, round_: int) -> None:
    """One pass over every kind of request, so that nothing measured is the first of its kind."""
    for load in (LOADS[1], LOADS[3], LOADS[4]):
        measure(running, load, place=texts.SENTENCES // 2 + round_ * 100, seconds=0.5, warm_s=0)


def measure(running: Running, load: Load, *, place: int, seconds: float, warm_s: float) -> Measured:
    """Puts a load on a server.

    Args:
        running: the server.
        load: what to ask.
        place: number of this load in the run; equal places give equal texts.
        seconds: to measure.
        warm_s: under the same load before that.
    """
    run = _Run(running, load, place * _TEXTS_A_LOAD)
    return asyncio.run(run.once() if load.once else run.window(seconds, warm_s))


@dataclass
class _Snapshot:
    at: float
    server_cpu_s: float
    client_cpu_s: float

    @classmethod
    def of(cls, session: int) -> "_Snapshot":
        return cls(time.perf_counter(), process.cpu_seconds(session), time.process_time())


@dataclass
class _Run:
    running: Running
    load: Load
    first_text: int
    stopping: bool = False
    counting: bool = False
    latencies_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    peak_rss_mib: float = 0.0

    def __post_init__(self) -> None:
        write: Callable[[int], str] = (
            texts.passage if self.load.lengths == "mixed" else texts.sentence
        )
        self._texts: Iterator[str] = map(write, itertools.count(self.first_text))

    async def window(self, seconds: float, warm_s: float) -> Measured:
        """Counts what is answered within the window; the clients are at work before and after."""
        clients = [asyncio.create_task(self._client()) for _ in range(self.load.clients)]
        watch = asyncio.create_task(self._watch_memory())
        await asyncio.sleep(warm_s)
        before = _Snapshot.of(self.running.session)
        self.counting = True
        await self._measure_for(seconds)
        self.counting = False
        after = _Snapshot.of(self.running.session)
        self.stopping = True
        await asyncio.gather(*clients)
        await watch
        return self._measured(before, after)

    async def once(self) -> Measured:
        """One request; in parts, one after the other, where the server bounds a client's batch."""
        connection = Connection(self.running.port)
        watch = asyncio.create_task(self._watch_memory())
        parts = self._parts()
        before = _Snapshot.of(self.running.session)
        try:
            for body in parts:
                reply = await connection.post(self.running.peer.path, body)
                if reply.status != 200:
                    self.errors[str(reply.status)] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            self.errors[type(error).__name__] += 1
        finally:
            connection.close()
            self.stopping = True
        after = _Snapshot.of(self.running.session)
        if not self.errors:
            self.latencies_s.append(after.at - before.at)
        await watch
        return self._measured(before, after)

    def _parts(self) -> list[bytes]:
        whole = list(itertools.islice(self._texts, self.load.texts))
        size = self.running.peer.client_batch or len(whole)
        starts = range(0, len(whole), size)
        return [self.running.peer.body(whole[start : start + size]) for start in starts]

    async def _measure_for(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        started = time.perf_counter()
        wanted = _LEAST_REQUESTS_A_CLIENT * self.load.clients
        while len(self.latencies_s) < wanted:
            if time.perf_counter() - started > (_LONGEST_WINDOWS - 1) * seconds:
                return
            await asyncio.sleep(0.1)

    async def _client(self) -> None:
        connection = Connection(self.running.port)
        while not self.stopping:
            body = self.running.peer.body(list(itertools.islice(self._texts, self.load.texts)))
            began = time.perf_counter()
            # A refused request is sent again, and its latency is that of both.
            while not await self._try(connection, body, began) and not self.stopping:
                pass
        connection.close()

    async def _try(self, connection: Connection, body: bytes, began: float) -> bool:
        wait_s = _RETRY_S
        try:
            reply = await connection.post(self.running.peer.path, body)
            if reply.status == 200:
                if self.counting:
                    self.latencies_s.append(time.perf_counter() - began)
                return True
            fault = str(reply.status)
            if (asked := reply.headers.get("retry-after", "")).isdigit():
                wait_s = min(_LONGEST_RETRY_S, float(asked))
        except (OSError, asyncio.IncompleteReadError) as error:
            fault = type(error).__name__
        if self.counting:
            self.errors[fault] += 1
        await asyncio.sleep(wait_s)
        return False

    async def _watch_memory(self) -> None:
        while True:
            resident_mib = process.resident_mib(self.running.session)
            self.peak_rss_mib = max(self.peak_rss_mib, resident_mib)
            if self.stopping:
                return
            await asyncio.sleep(_RSS_INTERVAL_S)

    def _measured(self, before: _Snapshot, after: _Snapshot) -> Measured:
        return Measured(
            seconds=after.at - before.at,
            texts=len(self.latencies_s) * self.load.texts,
            latencies_s=self.latencies_s,
            server_cpu_s=after.server_cpu_s - before.server_cpu_s,
            client_cpu_s=after.client_cpu_s - before.client_cpu_s,
            peak_rss_mib=self.peak_rss_mib,
            errors=self.errors,
        )
