"""ONNX graphs of encoders of BERT's family, in the operators that ONNX Runtime is fast with.

Written down here, because what torch exports is laid out otherwise: ONNX Runtime's optimiser then
finds no attention in it, or fuses sums into ``SkipLayerNormalization``, which on CPUs takes nine
times as long as the ``Add`` and ``LayerNormalization`` that it replaces. Operators of the domain
``com.microsoft``: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.checkpoint import OFFSET_POSITIONS, Pooling
from inference.encoders.compiled import ATTENTION_MASK, INPUT_IDS

Array = npt.NDArray[Any]

MICROSOFT = "com.microsoft"

_VECTORS = "vectors"

_OPSET, _MICROSOFT_OPSET, _IR_VERSION = 21, 1, 10

_FAMILY = {"bert", "camembert", "electra", "roberta", "xlm-roberta"}

_ACTIVATIONS = {"torch.nn.modules.activation.Tanh": "Tanh", "torch.nn.Tanh": "Tanh"}
_IDENTITIES = {"torch.nn.modules.linear.Identity", "torch.nn.Identity"}


class Unsupported(Exception):
    """There is no graph for such a model; says why."""


@dataclass(frozen=True)
class Dense:
    """A linear layer behind the pooling.

    Attributes:
        weight, bias: (in, out) and (out,).
        activation: dotted name of a torch.nn module.
        normalize_first: whether vectors are made unit before it.
    """

    weight: Array
    bias: Array | None
    activation: str
    normalize_first: bool


@dataclass(frozen=True)
class Architecture:
    """What a graph is written from.

    Attributes:
        config: of transformers, as a mapping.
        weights: of the transformer, by their names in its state.
        pooling: how token vectors become one.
        dense: layers behind the pooling.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, Array]
    pooling: Sequence[Pooling]
    dense: Sequence[Dense]


class Linear(Protocol):
    """Writes one linear layer of the transformer."""

    def __call__(self, graph: "Graph", rows: str, name: str, weight: Array, bias: Array) -> str:
        """The name of ``rows @ weight + bias``, weight (in, out)."""


class Graph:
    """Nodes and constants, written one after the other."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._names = 0

    def constant(self, value: Any) -> str:
        """The name of an array, or of a number."""
        name = self._name()
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Writes a node; the name of what it gives."""
        (output,) = self.add_many(operator, inputs, 1, domain=domain, **attributes)
        return output

    def add_many(
        self,
        operator: str,
        inputs: Sequence[str],
        count: int,
        *,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Writes a node that gives several things; their names."""
        outputs = [self._name() for _ in range(count)]
        node = helper.make_node(operator, list(inputs), outputs, domain=domain, **attributes)
        self._nodes.append(node)
        return outputs

    def model(self, output: str, width: int) -> onnx.ModelProto:
        """The graph from token ids and mask (n, t), int64, to ``output`` (n, width), float32."""
        self._nodes.append(helper.make_node("Identity", [output], [_VECTORS]))
        texts = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in (INPUT_IDS, ATTENTION_MASK)
        ]
        vectors = helper.make_tensor_value_info(_VECTORS, TensorProto.FLOAT, ["texts", width])
        graph = helper.make_graph(self._nodes, "encoder", texts, [vectors], self._constants)
        opsets = [
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid(MICROSOFT, _MICROSOFT_OPSET),
        ]
        return helper.make_model(
            graph, producer_name="ssang", opset_imports=opsets, ir_version=_IR_VERSION
        )

    def _name(self) -> str:
        self._names += 1
        return f"n{self._names}"


def plain_linear(graph: Graph, rows: str, name: str, weight: Array, bias: Array) -> str:
    """A linear layer in float32."""
    return graph.add("Add", graph.add("MatMul", rows, graph.constant(weight)), graph.constant(bias))


def build_graph(
    architecture: Architecture,
    linear: Linear = plain_linear,
    *,
    embed: Callable[[Graph, Array], str] | None = None,
) -> onnx.ModelProto:
    """From token ids and attention mask (n, t), padding behind, to unit vectors (n, dim).

    Args:
        architecture: the encoder.
        linear: writes the transformer's linear layers.
        embed: writes the look-up of word embeddings (vocabulary, width); float32 if left out.

    Raises:
        Unsupported: another family, or a part that has no operator here.
    """
    _check(architecture.config)
    graph = Graph()
    hidden = _Transformer(graph, architecture, linear, embed or _embed).write()
    return graph.model(*_head(graph, hidden, architecture))


def _check(config: Mapping[str, Any]) -> None:
    kind = config["model_type"]
    if kind not in _FAMILY:
        raise Unsupported(f"its architecture is {kind}, not one of {', '.join(sorted(_FAMILY))}")
    activation = config["hidden_act"]
    positions = config.get("position_embedding_type") or "absolute"
    if activation != "gelu":
        raise Unsupported(f"its activation is {activation}, not gelu")
    if positions != "absolute":
        raise Unsupported(f"its positions are {positions}, not absolute")
    if config.get("is_decoder"):
        raise Unsupported("it is a decoder")


def _embed(graph: Graph, words: Array) -> str:
    return graph.add("Gather", graph.constant(words), INPUT_IDS)


@dataclass(frozen=True)
class _Transformer:
    """Writes a transformer into a graph, weights by their names in its state."""

    graph: Graph
    architecture: Architecture
    linear: Linear
    embed: Callable[[Graph, Array], str]

    def write(self) -> str:
        """The token vectors (n, t, width)."""
        graph = self.graph
        words = self.embed(graph, self._weights["embeddings.word_embeddings.weight"])
        hidden = graph.add("Add", words, self._positions())
        hidden = self._layer_norm(hidden, "embeddings.LayerNorm")
        if "embeddings_project.weight" in self._weights:
            hidden = self._dense(hidden, "embeddings_project")
        ones = graph.constant(np.array([1]))
        lengths = graph.add("ReduceSum", ATTENTION_MASK, ones, keepdims=0)
        lengths = graph.add("Cast", lengths, to=TensorProto.INT32)
        for number in range(self._config["num_hidden_layers"]):
            hidden = self._layer(hidden, lengths, f"encoder.layer.{number}")
        return hidden

    @property
    def _config(self) -> Mapping[str, Any]:
        return self.architecture.config

    @property
    def _weights(self) -> Mapping[str, Array]:
        return self.architecture.weights

    def _positions(self) -> str:
        """Embeddings (tokens, width) of the positions, each with that of the first segment."""
        graph, config = self.graph, self._config
        table = self._weights["embeddings.position_embeddings.weight"]
        segments = self._weights.get("embeddings.token_type_embeddings.weight")
        if segments is not None:
            table = table + segments[0]
        first = config["pad_token_id"] + 1 if config["model_type"] in OFFSET_POSITIONS else 0
        start = graph.constant(np.array([first]))
        stop = graph.add("Add", graph.add("Shape", INPUT_IDS, start=1, end=2), start)
        return graph.add("Slice", graph.constant(table), start, stop, graph.constant(np.array([0])))

    def _layer(self, hidden: str, lengths: str, name: str) -> str:
        attended = self._attention(hidden, lengths, f"{name}.attention.self")
        attended = self._dense(attended, f"{name}.attention.output.dense")
        hidden = self.graph.add("Add", attended, hidden)
        hidden = self._layer_norm(hidden, f"{name}.attention.output.LayerNorm")
        wide = self._dense(hidden, f"{name}.intermediate.dense")
        wide = self.graph.add("Gelu", wide, domain=MICROSOFT)
        narrow = self._dense(wide, f"{name}.output.dense")
        hidden = self.graph.add("Add", narrow, hidden)
        return self._layer_norm(hidden, f"{name}.output.LayerNorm")

    def _attention(self, hidden: str, lengths: str, name: str) -> str:
        """Queries, keys and values in one product, then attention up to each text's length."""
        parts = [self._linear_weights(f"{name}.{part}") for part in ("query", "key", "value")]
        weight = np.concatenate([weight for weight, _ in parts], axis=1)
        bias = np.concatenate([bias for _, bias in parts])
        joined = self.linear(self.graph, hidden, name, weight, bias)
        query, key, value = self.graph.add_many("Split", [joined], 3, axis=-1, num_outputs=3)
        heads = self._config["num_attention_heads"]
        return self.graph.add(
            "MultiHeadAttention", query, key, value, "", lengths, domain=MICROSOFT, num_heads=heads
        )

    def _dense(self, rows: str, name: str) -> str:
        return self.linear(self.graph, rows, name, *self._linear_weights(name))

    def _linear_weights(self, name: str) -> tuple[Array, Array]:
        """Weight (in, out) and bias (out,); torch keeps weights as (out, in)."""
        return self._weights[f"{name}.weight"].T, self._weights[f"{name}.bias"]

    def _layer_norm(self, rows: str, name: str) -> str:
        return self.graph.add(
            "LayerNormalization",
            rows,
            self.graph.constant(self._weights[f"{name}.weight"]),
            self.graph.constant(self._weights[f"{name}.bias"]),
            axis=-1,
            epsilon=self._config["layer_norm_eps"],
        )


def _head(graph: Graph, hidden: str, architecture: Architecture) -> tuple[str, int]:
    """Unit vectors of token vectors, and their width."""
    pooled = [_pool(graph, hidden, mode) for mode in architecture.pooling]
    vectors = pooled[0] if len(pooled) == 1 else graph.add("Concat", *pooled, axis=-1)
    width = architecture.config["hidden_size"] * len(pooled)
    for layer in architecture.dense:
        if layer.normalize_first:
            vectors = _unit(graph, vectors)
        vectors = graph.add("MatMul", vectors, graph.constant(layer.weight))
        if layer.bias is not None:
            vectors = graph.add("Add", vectors, graph.constant(layer.bias))
        if layer.activation not in _IDENTITIES:
            if layer.activation not in _ACTIVATIONS:
                raise Unsupported(f"a dense layer's activation is {layer.activation}")
            vectors = graph.add(_ACTIVATIONS[layer.activation], vectors)
        width = layer.weight.shape[1]
    return _unit(graph, vectors), width


def _pool(graph: Graph, hidden: str, mode: Pooling) -> str:
    if mode is Pooling.CLS:
        return graph.add("Gather", hidden, graph.constant(0), axis=1)
    if mode is Pooling.MEAN:
        mask = graph.add("Cast", ATTENTION_MASK, to=TensorProto.FLOAT)
        middle = graph.constant(np.array([1]))
        total = graph.add("MatMul", graph.add("Unsqueeze", mask, middle), hidden)
        count = graph.add("ReduceSum", mask, middle, keepdims=1)
        return graph.add("Div", graph.add("Squeeze", total, middle), count)
    raise Unsupported(f"it pools by {mode}")


def _unit(graph: Graph, vectors: str) -> str:
    return graph.add("LpNormalization", vectors, axis=-1, p=2)
