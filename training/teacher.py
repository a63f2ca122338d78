"""What the student learns from: finished encoders, and what they say, kept on disk."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inference.checkpoint import open_checkpoint
from inference.encoders.torch_encoder import TorchEncoder
from inference.similarity import Vectors
from training.arithmetic import precision

_LONGEST = 160
_BATCH = 64


@dataclass(frozen=True)
class TeacherModel:
    """A sentence encoder.

    Attributes:
        key: names its weights.
        dim: width of its vectors.
        embed: unit vectors (n, dim) of up to a batch of texts.
    """

    key: str
    dim: int
    embed: Callable[[Sequence[str]], Vectors]


def open_teacher(reference: str, device: str) -> TeacherModel:
    """A model folder or hub id, cut at 160 tokens."""
    checkpoint = open_checkpoint(reference)
    encoder = TorchEncoder(checkpoint, device=device, precision=precision(device), threads=0)

    def embed(texts: Sequence[str]) -> Vectors:
        return encoder.encode(encoder.tokenize(texts, "document", _LONGEST).ids)

    return TeacherModel(checkpoint.content_hash, encoder.dim, embed)


class Teacher:
    """Vectors of fixed texts, each computed when it is first asked for, and never again.

    Args:
        model: what computes them.
        texts: what it may be asked for.
        folder: where the vectors are kept, as float16 in a file named by model and texts.

    Attributes:
        texts: each once.
        dim: width of the vectors.
    """

    def __init__(self, model: TeacherModel, texts: Sequence[str], folder: Path) -> None:
        self._model = model
        self.dim = model.dim
        self.texts = list(dict.fromkeys(texts))
        self._places = {text: place for place, text in enumerate(self.texts)}
        digest = hashlib.sha256(model.key.encode())
        for text in self.texts:
            digest.update(text.encode() + b"\0")
        folder.mkdir(parents=True, exist_ok=True)
        # A vector is known if it is not zero, as a new file is.
        self._vectors = _open(
            folder / f"teacher-{digest.hexdigest()[:16]}.f16", (len(self.texts), model.dim)
        )

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors of some of the texts: float32 (n, dim)."""
        places = [self._places[text] for text in texts]
        missing = [place for place in set(places) if not self._vectors[place].any()]
        missing.sort(key=lambda place: (len(self.texts[place]), place))
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            self._vectors[batch] = self._model.embed([self.texts[place] for place in batch])
        return torch.from_numpy(self._vectors[places].astype(np.float32))


def _open(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float16]:
    mode = "r+" if path.exists() else "w+"
    return np.memmap(path, dtype=np.float16, mode=mode, shape=shape)  # type: ignore[call-overload, no-any-return]
