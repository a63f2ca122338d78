"""``make bench``: ssang and its peers under the same loads, one server at a time.

Each round starts every server once, in an order that rotates from round to round, so that what else
the machine does hits all of them alike; ratios are taken within a round.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from benchmarks import shape, texts
from benchmarks.bare import SAMPLE_TEXTS
from benchmarks.environment import ENVIRONMENTS, HERE, CannotInstall
from benchmarks.load import Load, loads_for, measure, warm_up
from benchmarks.plot import draw
from benchmarks.report import bar_line, write_report
from benchmarks.result import BASE, Bare, Result, Row, bars
from benchmarks.servers import OUR_BIN, PEERS, ROOT, CannotStart, Peer, Vectors, running

_BARE_TEXTS = 100

# What shells report of a program that Ctrl+C ended.
_INTERRUPTED = 130

# Least cosine between a server's vectors and those of the bare model, all of them fp32.
_SAME = 0.9999


@dataclass(frozen=True)
class Model:
    """A model to serve, and how much is asked of it.

    Attributes:
        bulk_texts: of the one large request.
        pace: windows are so many times as long.
    """

    name: str
    folder: Path
    bulk_texts: int
    pace: float = 1.0


MODELS = {
    model.name: model
    for model in (
        Model("ko-mini", ROOT / "models" / "ko-mini", 4096),
        Model("roberta-12x768", ENVIRONMENTS / "models" / "roberta-12x768", 1024, pace=1.5),
    )
}


@dataclass(frozen=True)
class Plan:
    """What a run does; seconds are those of one load on one server in one round."""

    servers: list[Peer]
    models: list[Model]
    rounds: int
    seconds: float
    bulk_share: float
    folder: Path

    def loads(self, model: Model) -> list[Load]:
        return loads_for(self.bulk_texts(model))

    def bulk_texts(self, model: Model) -> int:
        return round(self.bulk_share * model.bulk_texts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what the arguments say, and writes the report of what was done even if interrupted."""
    plan = _read_plan(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    if not (OUR_BIN / "ssang").exists():
        sys.exit("benchmarks: ssang is not installed in .venv: run `make bench`.")
    plan.folder.mkdir(parents=True, exist_ok=True)
    result = Result(_about(plan))
    try:
        _run(plan, result)
    except KeyboardInterrupt:
        result.notes.append("**the run was interrupted**; what it had measured is here")
        sys.exit(_INTERRUPTED)
    finally:
        if result.rows:
            _finish(result, plan.folder)


def _run(plan: Plan, result: Result) -> None:
    servers = _installed(plan, result)
    for model in plan.models:
        _make(model)
        result.bulk_texts[model.name] = plan.bulk_texts(model)
        for round_ in range(plan.rounds):
            bare, reference = _bare_forward(model, round_)
            result.bare.append(bare)
            turn = round_ % max(1, len(servers))
            for peer in servers[turn:] + servers[:turn]:
                try:
                    _run_server(plan, result, peer, model, round_, reference)
                except CannotStart as error:
                    # It would fail in every round.
                    servers.remove(peer)
                    _leave_out(result, peer, f"on {model.name}: {error}")


def _installed(plan: Plan, result: Result) -> list[Peer]:
    """The servers whose environments there are; all are made before anything is measured."""
    installed = []
    for peer in plan.servers:
        try:
            peer.python()
        except CannotInstall as error:
            _leave_out(result, peer, f"it cannot be installed: {error}")
            continue
        installed.append(peer)
        if peer.client_batch:
            result.notes.append(
                f"`{peer.name}` takes {peer.client_batch:,} texts a request at most: a larger "
                "request reaches it in parts, one after the other"
            )
    return installed


def _leave_out(result: Result, peer: Peer, reason: str) -> None:
    result.notes.append(f"**`{peer.name}` is left out**: {reason}")
    print(result.notes[-1], flush=True)


def _run_server(
    plan: Plan, result: Result, peer: Peer, model: Model, round_: int, reference: Vectors
) -> None:
    log = plan.folder / f"{peer.name}.log"
    with running(peer, model.folder, _sample(), log) as server:
        result.start_s.setdefault((model.name, peer.name), []).append(server.start_s)
        likeness = min(
            _cosine(own, bare) for own, bare in zip(server.sample, reference, strict=True)
        )
        if likeness < _SAME:
            raise CannotStart(f"its vectors are others: cosine {likeness:.5f} to the bare model's")
        warm_up(server, round_)
        for number, load in enumerate(plan.loads(model)):
            seconds = plan.seconds * model.pace
            measured = measure(
                server,
                load,
                place=(round_ * 10 + number),
                seconds=seconds,
                warm_s=min(2.0, seconds / 4),
            )
            row = Row.of(model.name, peer.name, load, round_, measured)
            result.rows.append(row)
            print(_progress(row), flush=True)


def _make(model: Model) -> None:
    if model.folder.is_relative_to(ENVIRONMENTS) and not (model.folder / "modules.json").exists():
        print(f"making {model.name}", flush=True)
        model.folder.mkdir(parents=True, exist_ok=True)
        tokenizer = MODELS["ko-mini"].folder
        _python(shape.__name__, str(model.folder), str(tokenizer))


def _bare_forward(model: Model, round_: int) -> tuple[Bare, Vectors]:
    some = _sample() + [texts.sentence(-1 - number) for number in range(_BARE_TEXTS)]
    found = json.loads(_python("benchmarks.bare", str(model.folder), given=json.dumps(some)))
    bare = Bare(model.name, round_, found["median_ms"], found["threads"])
    print(f"{model.name} round {round_}: bare forward {bare.median_ms:.2f} ms", flush=True)
    return bare, found["vectors"]


def _python(module: str, *arguments: str, given: str = "") -> str:
    """What a module prints in the environment of ours, which has torch."""
    command = [str(OUR_BIN / "python"), "-m", module, *arguments]
    done = subprocess.run(  # noqa: S603
        command,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        check=True,
        cwd=ROOT,
    )
    return done.stdout


def _sample() -> list[str]:
    return [texts.sentence(-1 - number) for number in range(SAMPLE_TEXTS)]


def _cosine(one: list[float], other: list[float]) -> float:
    """Of unit vectors."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def _progress(row: Row) -> str:
    errors = f"  {row.errors}" if row.errors else ""
    return (
        f"  {row.server:10}{row.load:22}{row.requests_per_s:9.1f} requests/s"
        f"{row.texts_per_s:9.1f} texts/s  p50 {row.p50_ms:8.1f}  p99 {row.p99_ms:8.1f} ms"
        f"  {row.server_cpu_ms:7.2f} CPU ms/text{errors}"
    )


def _finish(result: Result, folder: Path) -> None:
    result.about["load average, end"] = _load_average()
    markdown = write_report(result, folder)
    if BASE in result.servers and len(result.servers) > 1:
        draw(result, folder / "ratios.png")
    for model in result.models:
        print(model, *(bar_line(bar) for bar in bars(result, model)), sep="\n")
    print(f"the report is in {os.path.relpath(markdown)}")


def _about(plan: Plan) -> dict[str, str]:
    pins = [
        f"{line} ({peer.name})"
        for peer in plan.servers
        if peer.name != "ours"
        for line in (HERE / "peers" / f"{peer.name}.txt").read_text(encoding="utf-8").split("\n")
        if line.partition("==")[0].lower()
        in {"infinity_emb", "litserve", "sentence-transformers", "torch", "transformers"}
    ]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "commit": _commit(),
        "versions": ", ".join(pins),
        "rounds": str(plan.rounds),
        "seconds a load": ", ".join(
            f"{plan.seconds * model.pace:g} ({model.name})" for model in plan.models
        ),
        "precision": "fp32 everywhere; vectors checked against the bare model's "
        f"(cosine at least {_SAME})",
        "load average, begin": _load_average(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(  # noqa: S603
            command, capture_output=True, encoding="utf-8", check=False
        ).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (
        ", with changes" if git("status", "--porcelain") else ""
    )


def _load_average() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _read_plan(arguments: Sequence[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 seconds a load")
    parser.add_argument("--servers", type=_names(PEERS), default=",".join(PEERS))
    parser.add_argument("--models", type=_names(MODELS), default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--seconds", type=float, help="of a load in a round; default: 10")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    given = parser.parse_args(arguments)
    return Plan(
        servers=[PEERS[name] for name in given.servers],
        models=[MODELS[name] for name in given.models],
        rounds=given.rounds or (2 if given.quick else 5),
        seconds=given.seconds or (2.0 if given.quick else 10.0),
        bulk_share=0.25 if given.quick else 1.0,
        folder=given.results,
    )


class _names:  # noqa: N801 - used like a function
    """Names separated by commas, each one of those known."""

    def __init__(self, known: dict[str, Peer] | dict[str, Model]) -> None:
        self._known = known

    def __call__(self, value: str) -> list[str]:
        names = value.split(",")
        for name in names:
            if name not in self._known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(self._known)}")
        return names


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
