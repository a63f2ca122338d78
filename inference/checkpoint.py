"""A model reference turned into checked files and the facts needed to serve them.

Two layouts are read: sentence-transformers' (``modules.json``, pooling in a folder of its own) and
plain Hugging Face (pooling unknown, so mean, with a warning). Nothing here imports torch, so that
a wrong reference is told before anything heavy is loaded.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from os.path import expanduser
from pathlib import Path
from typing import Any

from inference.errors import InvalidInput, NotFound
from inference.resource import locate
from inference.similarity import Thresholds
from inference.weights import check_weights

# Models whose position ids start behind the padding id, so that `max_position_embeddings` of 514
# and a padding id of 1 leave 512 usable positions.
_OFFSET_POSITIONS = {
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}

# A tokenizer that knows no limit says so with a number of 30 digits.
_NO_LIMIT = 1_000_000

# Used where neither the model nor the tokenizer knows a limit, as with relative positions.
_DEFAULT_MAX_TOKENS = 512


class Pooling(StrEnum):
    """How token vectors become one sentence vector."""

    MEAN = "mean"
    CLS = "cls"
    MAX = "max"


@dataclass(frozen=True)
class Checkpoint:
    """A model's files and what they say.

    Attributes:
        name: the name clients see, the last part of the reference.
        path: the model's folder.
        transformer_path: the folder in it that holds config.json, weights and tokenizer.
        model_type: Hugging Face's name of the architecture, such as ``bert``.
        pooling: how token vectors become one vector.
        max_tokens: most tokens of a text, special tokens included.
        pad_id: token id that fills shorter texts, as the model itself counts it.
        thresholds: calibrated cosines of ``ssang.json``, or the fallbacks.
        warnings: what had to be assumed, one sentence each.
    """

    name: str
    path: Path
    transformer_path: Path
    model_type: str
    pooling: Pooling
    max_tokens: int
    pad_id: int
    thresholds: Thresholds
    warnings: tuple[str, ...] = ()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over names and contents of every file that shapes the vectors, in hex."""
        digest = hashlib.sha256()
        for file in sorted(self._vector_files()):
            digest.update(f"{file.relative_to(self.path).as_posix()}\0".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def _vector_files(self) -> Iterator[Path]:
        suffixes = {".json", ".txt", ".model", ".safetensors", ".bin"}
        for file in self.path.rglob("*"):
            if file.suffix in suffixes and file.name != "ssang.json" and file.is_file():
                yield file


def open_checkpoint(reference: str) -> Checkpoint:
    """Finds, reads and checks the model that ``reference`` names.

    Args:
        reference: the name of an embedded model (``ko-mini``) or the path of a folder.

    Raises:
        NotFound: there is no such model.
        InvalidInput: its files are missing, damaged or of a kind that cannot be served.
    """
    path = _find(reference)
    modules = _read_modules(path)
    transformer_path = path / modules.get("Transformer", "")
    config = _read_json(transformer_path / "config.json", required_by=reference)
    check_weights(transformer_path)
    pooling, warnings = _read_pooling(path, modules)
    pad_id = config.get("pad_token_id")
    return Checkpoint(
        name=path.name,
        path=path,
        transformer_path=transformer_path,
        model_type=str(config.get("model_type", "")),
        pooling=pooling,
        max_tokens=_max_tokens(transformer_path, config),
        pad_id=pad_id if isinstance(pad_id, int) else 0,
        thresholds=_read_thresholds(path),
        warnings=warnings,
    )


def embedded_models() -> list[str]:
    """Names of the models that travel with ssang."""
    return sorted(path.parent.name for path in locate("inference", "models").glob("*/config.json"))


def _find(reference: str) -> Path:
    if reference in embedded_models():
        return locate("inference", "models") / reference
    # Path.expanduser() raises where `~name` is nobody's.
    path = Path(expanduser(reference))
    if not path.is_dir():
        raise NotFound(
            f"There is no model '{reference}': name an embedded model "
            f"({', '.join(embedded_models())}) or the folder of one."
        )
    return path.resolve()


def _read_json(path: Path, *, required_by: str | None = None, kind: type = dict) -> Any:
    if not path.is_file():
        if required_by is None:
            return kind()
        raise InvalidInput(
            f"Model '{required_by}' has no {path.name}: give a folder that "
            "save_pretrained() or SentenceTransformer.save() wrote."
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: copy the model again.") from error
    if not isinstance(value, kind):
        raise InvalidInput(f"{path} is no JSON {kind.__name__}: copy the model again.")
    return value


def _read_modules(path: Path) -> dict[str, str]:
    """Folder of each sentence-transformers module by its kind; empty for the plain layout.

    The types are dotted class names that differ between versions of the library
    (``sentence_transformers.models.Pooling``,
    ``sentence_transformers.sentence_transformer.modules.pooling.Pooling``); the last part is the
    kind in all of them.
    """
    modules = {}
    for module in _read_json(path / "modules.json", kind=list):
        try:
            kind, folder = str(module["type"]).rpartition(".")[2], str(module["path"])
        except (TypeError, KeyError) as error:
            raise InvalidInput(
                f"{path / 'modules.json'} has a module without type or path: copy the model again."
            ) from error
        if kind not in {"Transformer", "Pooling", "Normalize"}:
            raise InvalidInput(
                f"Model '{path.name}' has a module of kind {kind}, which cannot be served: "
                "only Transformer, Pooling and Normalize can."
            )
        modules[kind] = folder
    return modules


def _read_pooling(path: Path, modules: dict[str, str]) -> tuple[Pooling, tuple[str, ...]]:
    if "Pooling" not in modules:
        warning = (
            f"Model '{path.name}' does not say how it pools: mean pooling is assumed. If it was "
            "trained with another, save it with sentence-transformers."
        )
        return Pooling.MEAN, (warning,)
    config = _read_json(path / modules["Pooling"] / "config.json", required_by=path.name)
    modes = _pooling_modes(config)
    try:
        (mode,) = modes
        return Pooling(mode), ()
    except ValueError:
        raise InvalidInput(
            f"Model '{path.name}' pools by {' + '.join(modes)}, which cannot be served: "
            "only mean, cls or max can."
        ) from None


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    """Modes of a pooling config: one ``pooling_mode`` since 5.3, a flag a mode before that."""
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return [mode] if isinstance(mode, str) else list(mode)
    flags = [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
    return [
        flag.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for flag in flags
    ] or ["mean"]


def _max_tokens(transformer_path: Path, config: dict[str, Any]) -> int:
    """The smallest of what sentence-transformers, the tokenizer and the positions allow."""
    sentence_config = _read_json(transformer_path / "sentence_bert_config.json")
    tokenizer_config = _read_json(transformer_path / "tokenizer_config.json")
    limits = [
        sentence_config.get("max_seq_length"),
        tokenizer_config.get("model_max_length"),
        _usable_positions(config),
    ]
    known = [
        int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT
    ]
    return min(known, default=_DEFAULT_MAX_TOKENS)


def _usable_positions(config: dict[str, Any]) -> int | None:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or config.get("model_type") not in _OFFSET_POSITIONS:
        return positions
    pad_id = config.get("pad_token_id")
    return positions - (1 if pad_id is None else pad_id) - 1


def _read_thresholds(path: Path) -> Thresholds:
    values = _read_json(path / "ssang.json").get("thresholds", {})
    try:
        thresholds = Thresholds(**{name: float(value) for name, value in values.items()})
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"{path / 'ssang.json'}: thresholds are the numbers high, medium and binary."
        ) from error
    if not (-1 <= thresholds.medium <= thresholds.high <= 1 and -1 <= thresholds.binary <= 1):
        raise InvalidInput(
            f"{path / 'ssang.json'}: the thresholds must be cosines from -1 to 1, "
            "medium no more than high."
        )
    return thresholds
