"""Encoders and the choice between them."""

from functools import partial

from inference.encoders.base import Encoder
from inference.model import Model


def load_encoder(
    model: Model, *, device: str = "auto", precision: str = "auto", threads: int = 0
) -> Encoder:
    """Loads the encoder of a model. Call it from the thread that will encode.

    Args:
        model: the model's files.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` (fp32 on CPU; bf16 on CUDA, or fp16 where it has no bf16), ``fp32``,
            ``bf16`` or ``fp16``.
        threads: threads of one matrix product on CPU; 0 leaves it to torch.

    Raises:
        InvalidInput: the files, the device or the precision cannot be used.
    """
    # Imported here, because torch takes seconds and hundreds of megabytes.
    from inference.encoders.torch_encoder import TorchEncoder
    from inference.encoders.two_towers import TwoTowers

    load = partial(TorchEncoder, device=device, precision=precision, threads=threads)
    if model.has_two_towers:
        return TwoTowers(load(model.query), load(model.document))
    return load(model.document)
