"""A model's folder with its ONNX export beside the weights, for peers on ONNX Runtime."""

import hashlib
import shutil
from pathlib import Path

from benchmarks.environment import ENVIRONMENTS, HERE, run

_EXPORT = HERE / "peers" / "export_onnx.py"


def prepare(python: Path, model: Path) -> Path:
    """A copy of the folder with ``onnx/model.onnx`` in fp32, made again when the weights changed.

    The peer writes its optimized graph into it, so the model's own folder is never served.

    Args:
        python: an interpreter with optimum.
        model: folder of the model.

    Raises:
        CannotInstall: it cannot be exported.
    """
    folder = ENVIRONMENTS / "models" / f"{model.name}-onnx"
    made_from = folder / "made-from.txt"
    with (model / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if made_from.exists() and made_from.read_text(encoding="utf-8") == digest:
        return folder
    print(f"exporting {model.name} to ONNX", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    # The peer takes the last that it finds, and what ko-mini brings pools by itself.
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.onnx"))
    run([str(python), str(_EXPORT), str(folder)])
    # Written last, so that an export that broke off is begun again.
    made_from.write_text(digest, encoding="utf-8")
    return folder
