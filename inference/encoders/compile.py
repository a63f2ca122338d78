"""Compiles an encoder: `python -m inference.encoders.compile MODEL_FOLDER OUTPUT_FOLDER`."""

import sys
from pathlib import Path

import numpy as np
import onnx
from transformers import AutoModel

from inference.checkpoint import Checkpoint, DenseLayer, read_checkpoint
from inference.encoders.compiled import (
    GRAPH,
    TOKENIZER,
    WEIGHTS,
    sentences,
    write_facts,
    write_reference,
)
from inference.encoders.head import load_dense_weights
from inference.encoders.onnx_graph import Architecture, Dense, Unsupported
from inference.encoders.onnx_int8 import calibrate, quantize
from inference.encoders.torch_encoder import TorchEncoder
from inference.tokenizer import Tokenizer
from inference.torch_model import DTYPES, load_pretrained


def compile_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes the compiled encoder of a checkpoint, or why there is none, to a new folder.

    Every other sentence gives the ranges of the integers; all of them are the reference.
    """
    folder.mkdir(parents=True)
    encoder = TorchEncoder(checkpoint, device="cpu", precision="fp32", threads=0)
    # As they are read where they are compared.
    ids = encoder.tokenize(sentences(), "document").ids
    try:
        architecture = architecture_of(checkpoint)
        ranges = calibrate(architecture, (np.array([row]) for row in ids[::2]))
        model = quantize(architecture, ranges)
    except Unsupported as reason:
        write_facts(folder, checkpoint, unsupported=str(reason))
        return
    onnx.save_model(
        model, folder / GRAPH, save_as_external_data=True, location=WEIGHTS, size_threshold=1024
    )
    Tokenizer.load(checkpoint).save(folder / TOKENIZER)
    write_reference(folder, np.concatenate([encoder.encode([row]) for row in ids]))
    write_facts(folder, checkpoint)


def architecture_of(checkpoint: Checkpoint) -> Architecture:
    """What the graph of a checkpoint is written from, on numpy."""
    model = load_pretrained(AutoModel, checkpoint.name, checkpoint.transformer_path, DTYPES["fp32"])
    return Architecture(
        config=model.config.to_dict(),
        weights={name: weight.numpy() for name, weight in model.state_dict().items()},
        pooling=checkpoint.pooling,
        dense=[_dense(layer) for layer in checkpoint.dense],
    )


def _dense(layer: DenseLayer) -> Dense:
    weights = load_dense_weights(layer.path)
    bias = weights.get("linear.bias")
    return Dense(
        weight=weights["linear.weight"].numpy().T,
        bias=None if bias is None else bias.numpy(),
        activation=layer.activation,
        normalize_first=layer.normalize_first,
    )


if __name__ == "__main__":
    source, output = map(Path, sys.argv[1:])
    compile_checkpoint(read_checkpoint(source.name, source), output)
