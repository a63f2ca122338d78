"""A model as the ``model.tar.gz`` that SageMaker's containers unpack.

Weights, config and tokenizer lie at the root, as the containers expect them; ``code/`` holds
inference code that needs no ssang, and ``encoder.json``, which tells it what the checkpoint says.
The same model gives the same bytes.
"""

import gzip
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from inference.checkpoint import Checkpoint
from inference.errors import InvalidInput
from inference.model import Model
from inference.resource import locate

# Weights are random to the eye of gzip: more effort takes minutes and saves next to nothing.
_COMPRESSION = 1

_SUFFIXES = {".json", ".md", ".model", ".safetensors", ".txt"}

_LEFTOVERS = {"training_args.bin", "optimizer.bin", "trainer_state.json"}

_MODE = 0o644


def write_package(model: Model, path: Path) -> None:
    """Writes a model's archive, whole or not at all.

    Raises:
        InvalidInput: the model has two towers, or the path another ending than .tar.gz.
    """
    if not path.name.endswith(".tar.gz"):
        raise InvalidInput(f"{path.name} must end in .tar.gz, which containers look for.")
    if model.has_two_towers:
        raise InvalidInput(
            f"Model '{model.name}' has two towers, of which a package holds one: package "
            "query_encoder and document_encoder each by itself."
        )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        temporary = Path(folder) / path.name
        with temporary.open("wb") as file:
            _write(model.document, file)
        temporary.replace(path)


def _write(checkpoint: Checkpoint, file: IO[bytes]) -> None:
    content: dict[str, Path | bytes] = {**_model_files(checkpoint), **_code_files(checkpoint)}
    with (
        # Neither a name nor a time, which would make every archive another one.
        gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, source in sorted(content.items()):
            _add(tar, name, source)


def _add(tar: tarfile.TarFile, name: str, source: Path | bytes) -> None:
    member = tarfile.TarInfo(name)
    member.mode = _MODE
    if isinstance(source, bytes):
        member.size = len(source)
        tar.addfile(member, io.BytesIO(source))
        return
    member.size = source.stat().st_size
    with source.open("rb") as stream:
        tar.addfile(member, stream)


def _model_files(checkpoint: Checkpoint) -> dict[str, Path | bytes]:
    """The model's files by their names in the archive, the transformer's own at its root."""
    root, transformer = checkpoint.path, checkpoint.transformer_path
    files: dict[str, Path | bytes] = {file.name: file for file in _needed(root)}
    files.update({file.name: file for file in _needed(transformer)})
    if "modules.json" in files:
        modules = json.loads((root / "modules.json").read_text(encoding="utf-8"))
        for module in modules:
            folder = root / module["path"]
            if folder == transformer:
                module["path"] = ""
            elif folder != root:
                files.update({f"{module['path']}/{file.name}": file for file in _needed(folder)})
        files["modules.json"] = _json(modules)
    return files


def _needed(folder: Path) -> Iterator[Path]:
    """Files of a folder that serving needs, and the card with the licence."""
    suffixes = _SUFFIXES if any(folder.glob("*.safetensors")) else _SUFFIXES | {".bin"}
    for file in folder.glob("*"):
        if file.is_file() and file.suffix in suffixes and file.name not in _LEFTOVERS:
            yield file


def _code_files(checkpoint: Checkpoint) -> dict[str, Path | bytes]:
    source = locate("inference", "deploy") / "package"
    return {
        "code/inference.py": source / "inference.py",
        "code/requirements.txt": source / "requirements.txt",
        "code/encoder.json": _json(_settings(checkpoint)),
    }


def _settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the packaged code cannot read from the transformer's own files."""
    return {
        "pooling": checkpoint.pooling,
        "dense": [
            {
                "path": layer.path.relative_to(checkpoint.path).as_posix(),
                "in_features": layer.in_features,
                "out_features": layer.out_features,
                "activation": layer.activation.rpartition(".")[2],
                "normalize_first": layer.normalize_first,
            }
            for layer in checkpoint.dense
        ],
        "prompts": checkpoint.prompts,
        "lowercase": checkpoint.lowercase,
        "max_tokens": checkpoint.max_tokens,
        "pad_id": checkpoint.pad_id,
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
