"""Code of a user beside a model, as SageMaker's inference toolkits run it.

``code/inference.py`` in the model's folder may define ``model_fn(model_dir)``, ``input_fn(body,
content_type)``, ``predict_fn(data, model)`` and ``output_fn(prediction, accept)``, or in place of
the last three ``transform_fn(model, body, content_type, accept)``; each may take a ``context``
after that. Nothing here runs it but :func:`load_handlers`.

https://github.com/aws/sagemaker-huggingface-inference-toolkit
"""

import ast
import importlib.util
import inspect
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from os.path import expanduser
from pathlib import Path
from typing import Any

from inference.errors import InvalidInput, SsangError, UserCodeFailed, first_line
from inference.model import Model, open_model
from inference.reference import embedded_models, find_model

log = logging.getLogger(__name__)

# Private, since the user's file is called inference, as is this package.
_MODULE = "_ssang_user_code"

# Handlers, and how many arguments each takes before its context.
_ARGUMENTS = {"model_fn": 1, "input_fn": 2, "predict_fn": 2, "output_fn": 2, "transform_fn": 4}
_STEPS = frozenset({"input_fn", "predict_fn", "output_fn"})

Handler = Callable[..., Any]


@dataclass(frozen=True)
class UserProgram:
    """A user's code.

    Attributes:
        model_dir: the model's folder, which ``model_fn`` gets.
        file: the file with the handlers, in the folder ``code`` of the model's.
    """

    model_dir: Path
    file: Path

    @property
    def requirements(self) -> Path | None:
        """The list of packages that the code asks for."""
        file = self.file.parent / "requirements.txt"
        return file if file.is_file() else None


@dataclass(frozen=True)
class Context:
    """What a handler may ask about where it runs; named as in SageMaker's toolkits."""

    system_properties: Mapping[str, object]


@dataclass(frozen=True)
class Served:
    """What a start has to serve.

    Attributes:
        model: an encoder's files; None if there is only code.
        program: a user's code; None if there is only an encoder.
        fault: why there is no encoder.
    """

    model: Model | None
    program: UserProgram | None
    fault: str = ""


def open_served(reference: str, *, query: str, document: str, program: str) -> Served:
    """Finds the model and the code beside it, of which one is enough.

    Args:
        reference, query, document: as in :func:`inference.model.open_model`.
        program: name of the file with the handlers.

    Raises:
        NotFound, InvalidInput: there is neither, or the code cannot be used.
    """
    found = find_program(reference, program)
    try:
        return Served(open_model(reference, query=query, document=document), found)
    except SsangError as error:
        if found is None:
            raise
        return Served(None, found, error.message)


def find_program(reference: str, name: str) -> UserProgram | None:
    """The code in a model's folder or archive. What comes from a hub is never run.

    Raises:
        InvalidInput: it cannot be read as Python, or has handlers that exclude each other.
    """
    if not reference or reference in embedded_models():
        return None
    path = Path(expanduser(reference))
    if path.is_file():
        _, path = find_model(reference)
    file = path / "code" / name
    if not file.is_file():
        return None
    program = UserProgram(path.resolve(), file.resolve())
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InvalidInput(f"code/{name} is not Python: {first_line(error)}.") from None
    _check_names(name, {node.name for node in tree.body if isinstance(node, ast.FunctionDef)})
    return program


def load_handlers(program: UserProgram) -> dict[str, Handler]:
    """Runs the file, and gives the handlers it defines, which raise UserCodeFailed.

    Raises:
        UserCodeFailed: running it failed.
        InvalidInput: it has handlers that exclude each other.
    """
    module = _guarded(program.file.name, _import)(program.file)
    found = {name: getattr(module, name, None) for name in _ARGUMENTS}
    handlers = {name: handler for name, handler in found.items() if callable(handler)}
    _check_names(program.file.name, handlers)
    context = Context({"model_dir": str(program.model_dir), "gpu_id": None})
    return {
        name: _guarded(name, _with_context(handler, _ARGUMENTS[name], context))
        for name, handler in handlers.items()
    }


def install(requirements: Path) -> None:
    """Installs packages into the running environment.

    Raises:
        InvalidInput: pip could not.
    """
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    done = subprocess.run([*command, "-r", requirements], stderr=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise InvalidInput(f"The packages of {requirements} could not be installed: {reason}")


def _check_names(file: str, names: Iterable[str]) -> None:
    excluded = sorted(_STEPS & set(names))
    if excluded and "transform_fn" in names:
        raise InvalidInput(
            f"code/{file} has transform_fn and {', '.join(excluded)}: transform_fn stands for all "
            "three of input_fn, predict_fn and output_fn, so remove it or them."
        )


def _import(file: Path) -> object:
    spec = importlib.util.spec_from_file_location(_MODULE, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses and pickles look their own module up.
    sys.modules[_MODULE] = module
    sys.path.insert(0, str(file.parent))
    spec.loader.exec_module(module)
    return module


def _with_context(handler: Handler, arguments: int, context: Context) -> Handler:
    """The handler as one that takes no context."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(handler).parameters.values()
    if sum(parameter.kind in positional for parameter in parameters) <= arguments:
        return handler
    return lambda *given: handler(*given, context)


def _guarded(name: str, call: Handler) -> Handler:
    """The same call; what it raises goes to the log, and its message to the caller."""

    @wraps(call)
    def run(*given: Any) -> Any:
        try:
            return call(*given)
        except (Exception, SystemExit) as error:
            log.exception("%s failed", name)
            raise UserCodeFailed(f"{name} failed: {first_line(error)}") from error

    return run
