"""``make bench``: ssang and its peers under the same loads, one server at a time.

Each round starts every server once, in an order that rotates from round to round, so that what else
the machine does hits all of them alike; ratios are taken within a round.
"""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from benchmarks import bar, offline, shape, texts
from benchmarks.bare import SAMPLE_TEXTS
from benchmarks.environment import ENVIRONMENTS, HERE, CannotInstall
from benchmarks.likeness import Vectors, compare
from benchmarks.load import measure, warm_up
from benchmarks.machine import commit, load_average, processor
from benchmarks.offline import Encoded
from benchmarks.plan import MODELS, Model, Plan, read_plan
from benchmarks.plot import draw
from benchmarks.report import bar_line, write_report
from benchmarks.result import BASE, Bare, Result, Row
from benchmarks.running import CannotMeasure, running
from benchmarks.servers import OUR_BIN, ROOT, Peer

_BARE_TEXTS = 100

# Packages whose versions the report names.
_NAMED = {
    *("infinity_emb", "litserve", "optimum", "onnxruntime"),
    *("sentence-transformers", "torch", "transformers"),
}

# What shells report of a program that Ctrl+C ended.
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what the arguments say, and writes the report of what was done even if interrupted."""
    plan = read_plan(arguments)
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
        if result.rows or result.encoded:
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
                except (CannotInstall, CannotMeasure) as error:
                    # It would fail in every round.
                    servers.remove(peer)
                    _leave_out(result, peer, f"on {model.name}: {error}")
            _encode_files(plan, result, model, round_)


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
    sample = _sample()
    with running(peer, model.folder, sample[0], log) as server:
        key = (model.name, peer.name)
        result.start_s.setdefault(key, []).append(server.start_s)
        result.precision[key] = server.precision()
        likeness = compare(server.embed(sample), reference)
        result.likeness.setdefault(key, []).append(likeness)
        if not likeness.reaches(peer.bound):
            raise CannotMeasure(f"its vectors are others: cosines {likeness} to the bare model's")
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


def _encode_files(plan: Plan, result: Result, model: Model, round_: int) -> None:
    count, folder = plan.file_texts(model), plan.folder / "encode"
    # What another round left must neither be compared nor gone on with.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for tool in plan.tools():
        try:
            start_up, whole, likeness = offline.measure(tool, model.folder, count, folder)
        except (CannotInstall, CannotMeasure) as error:
            result.notes.append(f"**{tool.title} is left out** on {model.name}: {error}")
            print(result.notes[-1], flush=True)
            continue
        if likeness:
            result.likeness.setdefault((model.name, tool.title), []).append(likeness)
        encoded = Encoded(model.name, tool.name, round_, count, start_up, whole)
        result.encoded.append(encoded)
        print(
            f"  {tool.title:40}{encoded.texts_per_s:9.1f} texts/s"
            f"  {encoded.cpu_ms:7.2f} CPU ms/text  start-up {start_up.wall_s:5.1f} s",
            flush=True,
        )


def _make(model: Model) -> None:
    if model.folder.is_relative_to(ENVIRONMENTS) and not (model.folder / "modules.json").exists():
        print(f"making {model.name}", flush=True)
        model.folder.mkdir(parents=True, exist_ok=True)
        tokenizer = MODELS["ko-mini"].folder
        _python(shape.__name__, str(model.folder), str(tokenizer))


def _bare_forward(model: Model, round_: int) -> tuple[Bare, Vectors]:
    some = _sample() + [texts.sentence(-1000 - number) for number in range(_BARE_TEXTS)]
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
    """Texts whose vectors are compared: every other one of mixed length."""
    kinds = (texts.sentence, texts.passage)
    return [kinds[number % 2](-1 - number) for number in range(SAMPLE_TEXTS)]


def _progress(row: Row) -> str:
    errors = f"  {row.errors}" if row.errors else ""
    return (
        f"  {row.server:15}{row.load:22}{row.requests_per_s:9.1f} requests/s"
        f"{row.texts_per_s:9.1f} texts/s  p50 {row.p50_ms:8.1f}  p99 {row.p99_ms:8.1f} ms"
        f"  {row.server_cpu_ms:7.2f} CPU ms/text{errors}"
    )


def _finish(result: Result, folder: Path) -> None:
    result.about["load average, end"] = load_average()
    markdown = write_report(result, folder)
    if BASE in result.servers and len(result.servers) > 1:
        draw(result, folder / "ratios.png")
    for model in result.models:
        print(model, *map(bar_line, bar.bars(result, model)), sep="\n")
    print(f"the report is in {os.path.relpath(markdown)}")


def _about(plan: Plan) -> dict[str, str]:
    pins = [
        f"{line} ({peer.name})"
        for peer in plan.servers
        if not peer.ours
        for line in (HERE / "peers" / f"{peer.name}.txt").read_text(encoding="utf-8").split("\n")
        if line.partition("==")[0].lower() in _NAMED
    ]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "commit": commit(),
        "versions": ", ".join(pins),
        "rounds": str(plan.rounds),
        "seconds a load": ", ".join(
            f"{plan.seconds * model.pace:g} ({model.name})" for model in plan.models
        ),
        "precision": "what `ours` chooses by itself, fp32 elsewhere; vectors checked against those "
        "of plain fp32",
        "load average, begin": load_average(),
    }


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
