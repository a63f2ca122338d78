"""What SageMaker's environment means for the settings.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inference.errors import InvalidInput

_MODEL_DIR = "/opt/ml/model"

# The port that SageMaker calls where it names none.
_PORT = 8080

# Levels of Python's logging, lowest first.
_LOG_LEVELS = {10: "debug", 20: "info", 30: "warning"}


def named_values(environ: Mapping[str, str]) -> dict[str, Any]:
    """Settings from SageMaker's own variables.

    >>> named_values({"SAGEMAKER_BIND_TO_PORT": "8081", "SAGEMAKER_CONTAINER_LOG_LEVEL": "20"})
    {'port': 8081, 'log_level': 'info'}

    Raises:
        InvalidInput: a value that is no number where one is needed.
    """
    return {
        setting: read(name, environ[name])
        for name, (setting, read) in _NAMES.items()
        if environ.get(name)
    }


def container_defaults(environ: Mapping[str, str]) -> dict[str, Any]:
    """Defaults inside a SageMaker container, told by the port's variable or the model's folder.

    SM_MODEL_DIR names another folder than /opt/ml/model. An empty one holds no model.
    """
    folder = Path(environ.get("SM_MODEL_DIR") or _MODEL_DIR)
    if not (folder.is_dir() or environ.get("SAGEMAKER_BIND_TO_PORT")):
        return {}
    address = {"host": "0.0.0.0", "port": _PORT}  # noqa: S104
    has_model = folder.is_dir() and any(folder.iterdir())
    return {**address, "model": str(folder)} if has_model else address


def _whole_number(name: str, value: str) -> int:
    if not value.strip().isdecimal():
        raise InvalidInput(f"{name}={value}: give a whole number.", item=name)
    return int(value)


def _bytes_of_mib(name: str, value: str) -> int:
    return _whole_number(name, value) * 2**20


def _log_level(name: str, value: str) -> str:
    number = _whole_number(name, value)
    return next((level for most, level in _LOG_LEVELS.items() if number <= most), "error")


def _text(name: str, value: str) -> str:
    return value


_NAMES: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "HF_MODEL_ID": ("model", _text),
    "SAGEMAKER_PROGRAM": ("program", _text),
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": ("default_accept", _text),
    "SAGEMAKER_BIND_TO_PORT": ("port", _whole_number),
    "SAGEMAKER_MODEL_SERVER_WORKERS": ("workers", _whole_number),
    "SAGEMAKER_MODEL_SERVER_TIMEOUT": ("deadline_s", _whole_number),
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": ("max_body_bytes", _bytes_of_mib),
    "SAGEMAKER_CONTAINER_LOG_LEVEL": ("log_level", _log_level),
}
