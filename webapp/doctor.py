"""What could keep the service from working here, found out before it does."""

import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from inference.device import available_cores
from inference.engine import Engine
from inference.errors import SsangError, first_line
from inference.model import Model
from inference.parity import LEAST_COSINE, lowest_cosine
from inference.user_code import UserProgram, open_served
from webapp.capacity import choose_capacity, has_gpu
from webapp.settings import Settings

if TYPE_CHECKING:
    from inference.checkpoint import Checkpoint, Kind

Level = Literal["ok", "warning", "problem"]

_NEEDED = ("torch", "transformers", "tokenizers", "onnxruntime", "flask", "gunicorn", "numpy")
_OPTIONAL = {
    "sentence-transformers": "compares vectors with its own",
    "pyarrow": "writes Parquet",
    "matplotlib": "draws calibrations",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is.
        level: ``ok``, ``warning`` (works, but look at it) or ``problem`` (will not work).
        message: what was found.
        mend: what to do about it.
    """

    subject: str
    level: Level
    message: str
    mend: str = ""


def examine(settings: Settings, load: Callable[[Settings], Engine]) -> Iterator[Finding]:
    """Looks at versions, machine, model, folders, port, and last at the vectors.

    Args:
        settings: those that the service would have.
        load: loads the engine; raises SsangError where it cannot.
    """
    yield from _versions()
    yield from _machine(settings)
    yield from _folders()
    yield _port(settings)
    try:
        served = open_served(
            settings.model,
            query=settings.query_model,
            document=settings.document_model,
            program=settings.program,
        )
    except SsangError as error:
        yield Finding("model files", "problem", error.message, "Name another with --model.")
        return
    if served.program is not None:
        yield from _user_code(served.program, installs=settings.install_requirements)
    if served.model is None:
        message = f"no sentence encoder, so only /invocations would answer: {served.fault}"
        yield Finding("model files", "warning", message, "Add one, or mind only /invocations.")
        return
    yield from _model(served.model)
    try:
        engine = load(settings)
    except SsangError as error:
        yield Finding("model", "problem", error.message, "Mend what it says and ask again.")
        return
    yield from _vectors(engine)


def _versions() -> Iterator[Finding]:
    yield Finding("python", "ok", sys.version.split()[0])
    for package in _NEEDED:
        try:
            yield Finding(package, "ok", version(package))
        except PackageNotFoundError:
            yield Finding(package, "problem", "not installed", f"pip install {package}")
    for package, use in _OPTIONAL.items():
        try:
            yield Finding(package, "ok", f"{version(package)} ({use})")
        except PackageNotFoundError:
            yield Finding(package, "ok", f"not installed; it only {use}")


def _machine(settings: Settings) -> Iterator[Finding]:
    cores, gpu = available_cores(), has_gpu(settings.device)
    capacity = choose_capacity(settings, cores=cores, gpu=gpu)
    yield Finding(
        "cores",
        "ok",
        f"{cores}: {capacity.workers} workers with {capacity.compute_threads} threads each",
    )
    wanted = capacity.workers * capacity.compute_threads
    if wanted > cores and not gpu:
        yield Finding(
            "threads",
            "warning",
            f"{wanted} threads would compute on {cores} cores",
            "Set --workers or --compute-threads lower.",
        )


def _folders() -> Iterator[Finding]:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0")
        yield Finding("temporary folder", "ok", f"{tempfile.gettempdir()} can be written")
    except OSError as error:
        mend = "Uploads and metrics need one: set TMPDIR to a folder that can be written."
        yield Finding("temporary folder", "problem", first_line(error), mend)


def _port(settings: Settings) -> Finding:
    address = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as listener:
            # As gunicorn does, so that a port that was used a moment ago is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((settings.host, settings.port))
    except OSError as error:
        mend = "Stop what listens there, or choose another --port or --host."
        return Finding("port", "problem", f"{address}: {error.strerror or error}", mend)
    return Finding("port", "ok", f"{address} is free")


def _user_code(program: UserProgram, *, installs: bool) -> Iterator[Finding]:
    yield Finding("user code", "ok", f"{program.file} would answer invocations")
    if program.requirements is None:
        return
    file = str(program.requirements)
    if installs:
        yield Finding("requirements", "ok", f"{file} would be installed at the start")
    else:
        mend = "Install what it lists, or set --install-requirements true."
        yield Finding("requirements", "warning", f"{file} would not be installed", mend)


def _model(model: Model) -> Iterator[Finding]:
    yield Finding("model files", "ok", f"{model.name}: complete, SHA-256 {model.content_hash[:12]}")
    towers: dict[str, Checkpoint] = {"": model.document}
    if model.has_two_towers:
        towers = {" (query)": model.query, " (document)": model.document}
    for side, checkpoint in towers.items():
        yield Finding(f"pooling{side}", "ok", " + ".join(checkpoint.pooling))
        yield Finding(f"padding id{side}", "ok", str(checkpoint.pad_id))
        yield Finding(f"max length{side}", "ok", f"{checkpoint.max_tokens} tokens")
    numbers = ", ".join(f"{name} {value:g}" for name, value in vars(model.thresholds).items())
    yield Finding("thresholds", "ok", numbers)
    for warning in model.warnings:
        yield Finding("model files", "warning", warning)


def _vectors(engine: Engine) -> Iterator[Finding]:
    info = engine.info()
    yield Finding("device", "ok", f"{info.device} in {info.precision}")
    if info.agreement is not None:
        yield Finding("precision", "ok", str(info.agreement))
    if info.device == "cpu" and has_gpu("auto"):
        mend = "Install PyTorch's CUDA build, and look at nvidia-smi."
        yield Finding("device", "warning", "there is a GPU, but it is not used", mend)
    kinds: tuple[Kind, ...] = ("query", "document") if info.towers > 1 else ("document",)
    for kind in kinds:
        yield from _parity(engine, kind)


def _parity(engine: Engine, kind: "Kind") -> Iterator[Finding]:
    if find_spec("sentence_transformers") is None:
        return
    subject = f"parity ({kind})"
    try:
        lowest = lowest_cosine(engine, kind)
    except Exception as error:  # a library's, of any kind
        message = f"sentence-transformers does not load the model: {first_line(error)}"
        yield Finding(subject, "warning", message, "Compare the vectors in another way.")
        return
    least = LEAST_COSINE[engine.info().precision]
    message = f"lowest cosine with sentence-transformers {lowest:.6f}, at least {least} expected"
    if lowest >= least:
        yield Finding(subject, "ok", message)
    else:
        mend = "Compare pooling and prompts in the model's files with how it was trained."
        yield Finding(subject, "problem", message, mend)


def worst(findings: Sequence[Finding]) -> Level:
    """The gravest level of all.

    >>> worst([Finding("a", "ok", ""), Finding("b", "warning", "")])
    'warning'
    """
    levels: tuple[Level, ...] = ("problem", "warning", "ok")
    return next((level for level in levels if any(f.level == level for f in findings)), "ok")
