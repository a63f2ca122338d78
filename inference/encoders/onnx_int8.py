"""Linear layers in 8-bit integers, the ranges of their inputs fixed beforehand.

Weights have a scale a column; inputs one scale for all, from ranges seen in calibration, so that a
text's vector does not depend on its batch-mates. Behind a layer norm, where a few channels are much
wider than the rest, channels are evened out first: Xiao et al., "SmoothQuant", ICML 2023, equation
4 with alpha 0.5, https://arxiv.org/abs/2211.10438.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper

from inference.encoders.compiled import ATTENTION_MASK, INPUT_IDS
from inference.encoders.onnx_graph import (
    MICROSOFT,
    Architecture,
    Array,
    Graph,
    build_graph,
    plain_linear,
)

_INT8_MOST, _UINT8_MOST = 127, 255

# How far beyond what calibration saw an input may go before it is cut.
_HEADROOM = 1.1

_SMOOTHED = (".attention.self", ".intermediate.dense")

_TINY = 1e-5


@dataclass(frozen=True)
class Range:
    """Least and greatest input of a linear layer, a channel, (in,) each."""

    low: Array
    high: Array


def calibrate(
    architecture: Architecture, batches: Iterable[npt.NDArray[np.int64]]
) -> dict[str, Range]:
    """The range of each linear layer's input over batches of token ids (n, t) without padding."""
    inputs: dict[str, str] = {}

    def watched(graph: Graph, rows: str, name: str, weight: Array, bias: Array) -> str:
        inputs[name] = rows
        return plain_linear(graph, rows, name, weight, bias)

    model = build_graph(architecture, watched)
    for rows in dict.fromkeys(inputs.values()):
        model.graph.output.append(helper.make_tensor_value_info(rows, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ranges: dict[str, Range] = {}
    for ids in batches:
        seen = session.run(
            list(inputs.values()), {INPUT_IDS: ids, ATTENTION_MASK: np.ones_like(ids)}
        )
        for name, values in zip(inputs, seen, strict=True):
            found = Range(values.min(axis=(0, 1)), values.max(axis=(0, 1)))
            before = ranges.get(name, found)
            ranges[name] = Range(
                np.minimum(found.low, before.low), np.maximum(found.high, before.high)
            )
    return ranges


def quantize(architecture: Architecture, ranges: Mapping[str, Range]) -> onnx.ModelProto:
    """The graph of an encoder with its linear layers and word embeddings in 8 bits.

    Raises:
        Unsupported: as :func:`inference.encoders.onnx_graph.build_graph`.
    """

    def linear(graph: Graph, rows: str, name: str, weight: Array, bias: Array) -> str:
        low, high = ranges[name].low, ranges[name].high
        if name.endswith(_SMOOTHED):
            even = _evening(np.maximum(-low, high), np.abs(weight).max(axis=1))
            rows = graph.add("Mul", rows, graph.constant(1 / even))
            low, high, weight = low / even, high / even, weight * even[:, None]
        return _int8_linear(graph, rows, float(low.min()), float(high.max()), weight, bias)

    return build_graph(architecture, linear, embed=_embed)


def _evening(inputs: Array, weights: Array) -> Array:
    """What the channels of an input are divided by, of the greatest values of both sides."""
    even = np.sqrt(np.maximum(inputs, _TINY) / np.maximum(weights, _TINY))
    scaled: Array = (even / np.exp(np.log(even).mean())).astype(np.float32)
    return scaled


def _int8_linear(
    graph: Graph, rows: str, low: float, high: float, weight: Array, bias: Array
) -> str:
    low, high = min(0.0, low) * _HEADROOM, max(0.0, high) * _HEADROOM
    scale = max(high - low, _TINY) / _UINT8_MOST
    rows_scale = graph.constant(np.float32(scale))
    rows_zero = graph.constant(np.uint8(round(-low / scale)))
    numbers, columns = _to_int8(weight, axis=0)
    return graph.add(
        "MatMulIntegerToFloat",
        graph.add("QuantizeLinear", rows, rows_scale, rows_zero),
        graph.constant(numbers),
        rows_scale,
        graph.constant(columns[0]),
        rows_zero,
        "",
        graph.constant(bias),
        domain=MICROSOFT,
    )


def _embed(graph: Graph, words: Array) -> str:
    """Embeddings with a scale a word."""
    numbers, scales = _to_int8(words, axis=1)
    rows = graph.add("Gather", graph.constant(numbers), INPUT_IDS)
    rows = graph.add("Cast", rows, to=TensorProto.FLOAT)
    return graph.add("Mul", rows, graph.add("Gather", graph.constant(scales), INPUT_IDS))


def _to_int8(values: Array, axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Values as integers times a scale, one for all along ``axis``, which stays with length 1."""
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True), _TINY) / _INT8_MOST
    return np.round(values / scales).astype(np.int8), scales.astype(np.float32)
