"""Checks of weights files that need no torch: there, whole, and safe to load.

Format of safetensors: 8 bytes with the header's length (little-endian), the header as JSON with
``data_offsets`` a tensor, then the tensors' bytes
(https://huggingface.co/docs/safetensors/index#format).
"""

import json
import struct
from pathlib import Path

from inference.errors import InvalidInput

_MAX_HEADER_BYTES = 100_000_000


def check_weights(folder: Path) -> None:
    """Finds the weights in ``folder`` and checks that every file is whole.

    Raises:
        InvalidInput: no weights, a missing shard, or a file that was cut short.
    """
    if (folder / "model.safetensors").is_file():
        _check_safetensors(folder / "model.safetensors")
    elif (folder / "model.safetensors.index.json").is_file():
        for shard in _shards(folder / "model.safetensors.index.json"):
            _check_safetensors(shard)
    elif (folder / "pytorch_model.bin.index.json").is_file():
        _shards(folder / "pytorch_model.bin.index.json")
    elif not (folder / "pytorch_model.bin").is_file():
        raise InvalidInput(
            f"{folder} holds no weights: model.safetensors (or pytorch_model.bin) is missing."
        )


def _shards(index: Path) -> list[Path]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{index} is damaged: copy the model again.") from error
    missing = sorted(name for name in names if not (index.parent / name).is_file())
    if missing:
        raise InvalidInput(f"{index.parent} lacks {', '.join(missing)}: copy the model again.")
    return sorted(index.parent / name for name in names)


def _check_safetensors(file: Path) -> None:
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (header_bytes,) = struct.unpack("<Q", stream.read(8))
            if header_bytes > min(size, _MAX_HEADER_BYTES):
                raise ValueError("header length")
            header = json.loads(stream.read(header_bytes))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        expected = 8 + header_bytes + max(ends, default=0)
    except (struct.error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{file} is no whole safetensors file ({size:,} bytes): copy it again."
        ) from error
    if size != expected:
        raise InvalidInput(
            f"{file} has {size:,} bytes where its header promises {expected:,}: copy it again."
        )
