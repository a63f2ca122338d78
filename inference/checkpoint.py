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
from pathlib import Path
from typing import Any, Literal, NamedTuple

from inference.errors import InvalidInput
from inference.reference import find_model
from inference.similarity import Nearness, Thresholds
from inference.weights import check_weights

Kind = Literal["query", "document"]
"""The side a text is on; a model may read both sides differently."""

COMPILED = "int8"
"""Folder in a model's own that is made from its other files; see inference.encoders.compiled."""

# Models whose position ids start behind the padding id, so that `max_position_embeddings` of 514
# and a padding id of 1 leave 512 usable positions.
OFFSET_POSITIONS = {
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

_KINDS = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")

# In the order in which sentence-transformers joins several.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

# A tokenizer that knows no limit says so with a number of 30 digits.
_NO_LIMIT = 1_000_000

# Used where neither the model nor the tokenizer knows a limit, as with relative positions.
_DEFAULT_MAX_TOKENS = 512

# For models that nobody calibrated on questions and the documents that answer them.
_ANSWER_MARGIN = 0.1


class Pooling(StrEnum):
    """How token vectors become one sentence vector."""

    MEAN = "mean"
    CLS = "cls"
    MAX = "max"
    MEAN_SQRT_LEN = "mean_sqrt_len_tokens"
    WEIGHTED_MEAN = "weightedmean"
    LAST_TOKEN = "lasttoken"  # noqa: S105


@dataclass(frozen=True)
class DenseLayer:
    """A Dense module behind the pooling.

    Attributes:
        path: folder of its config.json and weights.
        in_features, out_features: widths of the vectors it takes and gives.
        activation: dotted name of a torch.nn module.
        normalize_first: whether a Normalize module stands before it.
    """

    path: Path
    in_features: int
    out_features: int
    activation: str
    normalize_first: bool


@dataclass(frozen=True)
class Checkpoint:
    """A model's files and what they say.

    Attributes:
        name: the name clients see, the last part of the reference.
        path: the model's folder.
        transformer_path: the folder in it that holds config.json, weights and tokenizer.
        model_type: Hugging Face's name of the architecture, such as ``bert``.
        pooling: how token vectors become one vector; several are joined end to end.
        dense: layers behind the pooling, in their order.
        prompts: what is put before the texts of each kind.
        lowercase: whether texts are lower-cased before the tokenizer sees them.
        max_tokens: most tokens of a text, special tokens included.
        pad_id: token id that fills shorter texts, as the model itself counts it.
        thresholds: calibrated cosines of ``ssang.json``, or the fallbacks.
        nearness: calibrated bounds of ``ssang.json`` for sources of answers, or the fallbacks.
        warnings: what had to be assumed, one sentence each.
    """

    name: str
    path: Path
    transformer_path: Path
    model_type: str
    pooling: tuple[Pooling, ...]
    dense: tuple[DenseLayer, ...]
    prompts: dict[Kind, str]
    lowercase: bool
    max_tokens: int
    pad_id: int
    thresholds: Thresholds
    nearness: Nearness
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
            shapes = file.suffix in suffixes and file.name != "ssang.json"
            if shapes and COMPILED not in file.relative_to(self.path).parts and file.is_file():
                yield file


def open_checkpoint(reference: str) -> Checkpoint:
    """Finds, reads and checks the one-tower model that ``reference`` names.

    Args:
        reference: see :mod:`inference.reference`.

    Raises:
        NotFound: there is no such model.
        InvalidInput: its files are missing, damaged or of a kind that cannot be served.
    """
    return read_checkpoint(*find_model(reference))


def read_checkpoint(name: str, path: Path) -> Checkpoint:
    """Reads and checks the one-tower model in the folder ``path``; errors as above."""
    modules = _read_modules(path)
    transformer_path = path / modules[0].folder if modules else path
    config = _read_json(transformer_path / "config.json", required_by=str(path))
    check_weights(transformer_path)
    pooling, warnings = _read_pooling(path, modules)
    pad_id = config.get("pad_token_id")
    return Checkpoint(
        name=name,
        path=path,
        transformer_path=transformer_path,
        model_type=str(config.get("model_type", "")),
        pooling=pooling,
        dense=_read_dense(path, modules),
        prompts=_read_prompts(path),
        lowercase=bool(_read_sentence_config(transformer_path).get("do_lower_case")),
        max_tokens=_max_tokens(transformer_path, config),
        pad_id=pad_id if isinstance(pad_id, int) else 0,
        thresholds=read_thresholds(path),
        nearness=read_nearness(path),
        warnings=warnings,
    )


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


class _Module(NamedTuple):
    """An entry of modules.json."""

    kind: str
    folder: str


def _read_modules(path: Path) -> list[_Module]:
    """The sentence-transformers modules in their order; none for the plain layout.

    The types are dotted class names that differ between versions of the library
    (``sentence_transformers.models.Pooling``,
    ``sentence_transformers.sentence_transformer.modules.pooling.Pooling``); the last part is the
    kind in all of them.
    """
    modules = []
    for module in _read_json(path / "modules.json", kind=list):
        try:
            kind, folder = str(module["type"]).rpartition(".")[2], str(module["path"])
        except (TypeError, KeyError) as error:
            raise InvalidInput(
                f"{path / 'modules.json'} has a module without type or path: copy the model again."
            ) from error
        if kind not in _KINDS:
            raise InvalidInput(
                f"Model '{path.name}' has a module of kind {kind}, which cannot be served: "
                f"only {', '.join(_KINDS)} can."
            )
        # Dropout does nothing outside training.
        if kind != "Dropout":
            modules.append(_Module(kind, folder))
    order = [module.kind for module in modules]
    if modules and (order[0] != "Transformer" or order[1:2] not in ([], ["Pooling"])):
        raise InvalidInput(
            f"Model '{path.name}' has the modules {', '.join(order)}: "
            "a Transformer must come first and a Pooling second."
        )
    return modules


def _read_pooling(
    path: Path, modules: list[_Module]
) -> tuple[tuple[Pooling, ...], tuple[str, ...]]:
    if len(modules) < 2:
        warning = (
            f"Model '{path.name}' does not say how it pools: mean pooling is assumed. If it was "
            "trained with another, save it with sentence-transformers."
        )
        return (Pooling.MEAN,), (warning,)
    config = _read_json(path / modules[1].folder / "config.json", required_by=path.name)
    if not config.get("include_prompt", True) and any(_read_prompts(path).values()):
        raise InvalidInput(
            f"Model '{path.name}' leaves its prompts out of the pooling, which cannot be served."
        )
    modes = _pooling_modes(config)
    try:
        return tuple(Pooling(mode) for mode in modes), ()
    except ValueError:
        raise InvalidInput(
            f"Model '{path.name}' pools by {' + '.join(modes)}, which cannot be served: "
            f"only {', '.join(Pooling)} can."
        ) from None


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    """Modes of a pooling config: ``pooling_mode`` in newer versions, flags in older ones."""
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return [mode] if isinstance(mode, str) else list(mode)
    modes = [mode for flag, mode in _POOLING_FLAGS.items() if config.get(flag)]
    unknown = [
        key
        for key, value in config.items()
        if key.startswith("pooling_mode_") and value and key not in _POOLING_FLAGS
    ]
    return modes + unknown or [Pooling.MEAN]


def _read_dense(path: Path, modules: list[_Module]) -> tuple[DenseLayer, ...]:
    layers = []
    normalize_first = False
    for module in modules[2:]:
        if module.kind == "Normalize":
            normalize_first = True
            continue
        if module.kind != "Dense":
            raise InvalidInput(f"Model '{path.name}' has a {module.kind} behind its Pooling.")
        layers.append(_read_dense_layer(path / module.folder, normalize_first=normalize_first))
        normalize_first = False
    return tuple(layers)


def _read_dense_layer(folder: Path, *, normalize_first: bool) -> DenseLayer:
    config = _read_json(folder / "config.json", required_by=folder.name)
    check_weights(folder)
    try:
        return DenseLayer(
            path=folder,
            in_features=int(config["in_features"]),
            out_features=int(config["out_features"]),
            activation=str(config.get("activation_function", "torch.nn.Tanh")),
            normalize_first=normalize_first,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"{folder / 'config.json'} does not give in_features and out_features as numbers."
        ) from error


def _read_prompts(path: Path) -> dict[Kind, str]:
    """What sentence-transformers' encode_query and encode_document put before a text."""
    config = _read_json(path / "config_sentence_transformers.json")
    prompts = config.get("prompts") or {}
    default = prompts.get(config.get("default_prompt_name"))

    def first(*names: str) -> str:
        given = (prompts[name] for name in names if prompts.get(name))
        return str(next(given, default or ""))

    return {"query": first("query"), "document": first("document", "passage", "corpus")}


def _max_tokens(transformer_path: Path, config: dict[str, Any]) -> int:
    """The smallest of what sentence-transformers, the tokenizer and the positions allow."""
    sentence_config = _read_sentence_config(transformer_path)
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


def _read_sentence_config(transformer_path: Path) -> dict[str, Any]:
    config: dict[str, Any] = _read_json(transformer_path / "sentence_bert_config.json")
    return config


def _usable_positions(config: dict[str, Any]) -> int | None:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or config.get("model_type") not in OFFSET_POSITIONS:
        return positions
    pad_id = config.get("pad_token_id")
    return positions - (1 if pad_id is None else pad_id) - 1


def read_thresholds(path: Path) -> Thresholds:
    """The calibrated thresholds in a model folder's ``ssang.json``, or the fallbacks.

    Raises:
        InvalidInput: they are no cosines, or in the wrong order.
    """
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


def read_nearness(path: Path) -> Nearness:
    """The calibrated ``answer_floor`` and ``answer_margin`` of a folder's ``ssang.json``.

    Without a floor it is the threshold of ``medium``, from which two texts are related.

    Raises:
        InvalidInput: they are no cosine and no distance of two.
    """
    settings = _read_json(path / "ssang.json")
    try:
        floor = float(settings.get("answer_floor", read_thresholds(path).medium))
        margin = float(settings.get("answer_margin", _ANSWER_MARGIN))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{path / 'ssang.json'}: answer_floor and answer_margin must be numbers."
        ) from error
    if not (-1 <= floor <= 1 and 0 <= margin <= 2):
        raise InvalidInput(
            f"{path / 'ssang.json'}: answer_floor must be a cosine from -1 to 1, and answer_margin "
            "from 0 to 2."
        )
    return Nearness(floor, margin)


def read_no_answer_threshold(path: Path) -> float | None:
    """The calibrated ``no_answer_threshold`` in a reader's ``ssang.json``, if there is one.

    Raises:
        InvalidInput: it is no number.
    """
    value = _read_json(path / "ssang.json").get("no_answer_threshold")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InvalidInput(f"{path / 'ssang.json'}: no_answer_threshold must be a number.")
    return value
