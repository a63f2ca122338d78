"""Whether vectors in 8-bit integers are near enough to those in float32: measured on this host.

Processors differ in how they round and in what they overflow, so a compiled encoder is compared
with its float32 reference where it will run. What was found is kept in the user's cache, so that
all processes of a host choose the same.
"""

import hashlib
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime
from filelock import FileLock

from inference.agreement import Agreement
from inference.device import processor
from inference.encoders.base import Encoder
from inference.encoders.compiled import cache_folder, sentences
from inference.similarity import Vectors

log = logging.getLogger(__name__)

_BATCH_TEXTS = 16


def agreement(encoder: Encoder, reference: Vectors, content_hash: str) -> Agreement:
    """What was measured of a compiled encoder on this host, now or before.

    Args:
        encoder: the compiled one.
        reference: float32 vectors (200, dim) of the sentences.
        content_hash: of the files that both come from.
    """
    host = f"{content_hash} {processor()} {onnxruntime.__version__}"
    name = hashlib.sha256(host.encode()).hexdigest()[:32]
    try:
        file = cache_folder("precision") / f"{name}.json"
        with FileLock(f"{file}.lock"):
            return _remembered(file) or _remember(file, measure(encoder, reference))
    except OSError as error:
        log.info("precision is measured at every start: %s", error)
        return measure(encoder, reference)


def measure(encoder: Encoder, reference: Vectors) -> Agreement:
    """Compares an encoder's vectors of the sentences with their reference."""
    ids = encoder.tokenize(sentences(), "document").ids
    alone = np.concatenate([encoder.encode([row]) for row in ids])
    began = time.perf_counter()
    batched = np.concatenate(
        [
            encoder.encode(ids[start : start + _BATCH_TEXTS])
            for start in range(0, len(ids), _BATCH_TEXTS)
        ]
    )
    seconds = time.perf_counter() - began
    cosines = np.einsum("nd,nd->n", alone, reference) / np.linalg.norm(reference, axis=1)
    return Agreement(
        mean_cosine=round(float(cosines.mean()), 5),
        least_cosine=round(float(cosines.min()), 5),
        batched_cosine=round(float(np.einsum("nd,nd->n", alone, batched).min()), 5),
        texts_per_s=round(len(ids) / seconds, 1),
    )


def _remembered(file: Path) -> Agreement | None:
    try:
        return Agreement(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _remember(file: Path, found: Agreement) -> Agreement:
    file.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    return found
