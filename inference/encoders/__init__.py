"""Encoders and the choice between them."""

import logging
from collections.abc import Callable
from functools import partial

from inference.checkpoint import Checkpoint
from inference.device import has_fast_int8, has_gpu
from inference.encoders.base import Encoder
from inference.encoders.two_towers import TwoTowers
from inference.errors import InvalidInput
from inference.model import Model

log = logging.getLogger(__name__)


def load_encoder(
    model: Model, *, device: str = "auto", precision: str = "fp32", threads: int = 0
) -> Encoder:
    """Loads the encoder of a model. Call it from the thread that will encode.

    Args:
        model: the model's files.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, ``bf16``, ``fp16``, ``int8`` (CPU only), or ``auto``: on CUDA bf16, or
            fp16 where it has none; on CPUs with instructions for it int8, if its vectors are
            measured to agree with fp32; and else fp32.
        threads: threads that compute on CPU; 0 takes as many as suit the machine.

    Raises:
        InvalidInput: the files, the device or the precision cannot be used.
    """
    on_gpu = has_gpu(device)
    if precision == "int8" and on_gpu:
        raise InvalidInput("int8 is for CPUs: set the device to cpu, or the precision to auto.")
    if precision == "int8" or (precision == "auto" and not on_gpu and has_fast_int8()):
        encoder = _load_int8(model, threads, required=precision == "int8")
        if encoder is not None:
            return encoder
    # Imported here, because torch takes seconds and hundreds of megabytes.
    from inference.encoders.torch_encoder import TorchEncoder

    load = partial(TorchEncoder, device=device, precision=precision, threads=threads)
    return _load_towers(model, load)


def _load_towers(model: Model, load: Callable[[Checkpoint], Encoder]) -> Encoder:
    if model.has_two_towers:
        return TwoTowers(load(model.query), load(model.document))
    return load(model.document)


def _load_int8(model: Model, threads: int, *, required: bool) -> Encoder | None:
    """The encoder in int8; None where it cannot be had and is not ``required``."""
    from inference.encoders.compiled import NotCompiled, ensure_compiled
    from inference.encoders.onnx_encoder import OnnxEncoder
    from inference.encoders.precision import agreement

    def load(checkpoint: Checkpoint) -> OnnxEncoder:
        compiled = ensure_compiled(checkpoint)
        encoder = OnnxEncoder(checkpoint, compiled, threads=threads)
        found = agreement(encoder, compiled.reference(), checkpoint.content_hash)
        if not (found.is_enough or required):
            raise NotCompiled(f"its vectors differ too much ({found})")
        encoder.agreement = found
        return encoder

    try:
        return _load_towers(model, load)
    except NotCompiled as reason:
        if required:
            raise InvalidInput(f"Model '{model.name}' cannot run in int8: {reason}.") from reason
        log.info("%s runs in fp32, not int8: %s", model.name, reason)
        return None
