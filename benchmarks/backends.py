"""What could run an encoder on a CPU, side by side: `python -m benchmarks.backends MODEL`.

Each backend has the same weights, threads and batches; rounds alternate between them. Token ids are
ready and pooling is included. Needs the project's development extra; OpenVINO is measured where it
is installed, ``torch.compile`` where there is a C++ compiler.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import click
import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from transformers import AutoModel

from benchmarks.texts import sentence
from inference.batch import Ids, pad
from inference.checkpoint import Checkpoint, open_checkpoint
from inference.encoders.compile import architecture_of
from inference.encoders.compiled import ATTENTION_MASK, INPUT_IDS, ensure_compiled
from inference.encoders.head import Head
from inference.encoders.onnx_graph import build_graph
from inference.encoders.torch_encoder import TorchEncoder
from inference.similarity import Vectors
from inference.tokenizer import Tokenizer

Run = Callable[[Ids, Ids], Vectors]

_SIZES = (1, 8, 32)
_CHECKED_TEXTS = 64
_NAMES = [INPUT_IDS, ATTENTION_MASK]


class _Whole(nn.Module):
    """A transformer with its head, as exporters want it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        # Attention in plain operators, in which ONNX Runtime's optimiser finds it.
        self.transformer = AutoModel.from_pretrained(
            checkpoint.transformer_path, dtype=torch.float32, attn_implementation="eager"
        )
        self.head = Head(checkpoint)
        # Of the whole: an export gives its parts back in the mode that the whole is in.
        self.eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        vectors: torch.Tensor = self.head(hidden.last_hidden_state, attention_mask)
        return vectors


def backends(checkpoint: Checkpoint, threads: int, scratch: Path) -> Iterator[tuple[str, Run]]:
    """Names and functions from token ids and mask (n, t) to unit vectors (n, dim)."""
    torch.set_num_threads(threads)
    whole = _Whole(checkpoint)
    yield "torch fp32", _torch(whole)
    yield "torch fp32, packed weights", _encoder(checkpoint, "fp32", threads)
    yield "torch bf16", _encoder(checkpoint, "bf16", threads)
    if which("c++"):
        yield "torch.compile fp32", _torch(torch.compile(whole, dynamic=True))
    graph = build_graph(architecture_of(checkpoint)).SerializeToString()
    yield "ONNX Runtime fp32, this graph", _onnx(graph, threads)
    exported = _export(whole, scratch)
    if find_spec("openvino"):
        yield "OpenVINO bf16", _openvino(exported, threads)
    dynamic = _quantize_dynamic(exported, checkpoint, scratch)
    yield "ONNX Runtime int8, exported, dynamic", _onnx(str(dynamic), threads)
    yield "ONNX Runtime int8, ours", _onnx(str(ensure_compiled(checkpoint).graph), threads)


def _torch(module: Callable[..., torch.Tensor]) -> Run:
    def run(ids: Ids, mask: Ids) -> Vectors:
        with torch.inference_mode():
            vectors: Vectors = module(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        return vectors

    return run


def _encoder(checkpoint: Checkpoint, precision: str, threads: int) -> Run:
    encoder = TorchEncoder(checkpoint, device="cpu", precision=precision, threads=threads)
    return lambda ids, mask: encoder.encode(
        [row[:length].tolist() for row, length in zip(ids, mask.sum(axis=1), strict=True)]
    )


def _onnx(model: str | bytes, threads: int) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # As the service sets it: exact sums on x86 without instructions for 8-bit products.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(ids: Ids, mask: Ids) -> Vectors:
        vectors: Vectors
        (vectors,) = session.run(None, {INPUT_IDS: ids, ATTENTION_MASK: mask})
        return vectors

    return run


def _export(whole: nn.Module, scratch: Path) -> Path:
    """By the exporter that follows a run: ONNX Runtime fuses what it writes."""
    file = scratch / "exported.onnx"
    example = torch.ones((2, 8), dtype=torch.long)
    axes = {0: "texts", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            whole,
            (example, example),
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=_NAMES,
            output_names=["vectors"],
            dynamic_axes=dict.fromkeys(_NAMES, axes) | {"vectors": {0: "texts"}},
        )
    return file


def _quantize_dynamic(exported: Path, checkpoint: Checkpoint, scratch: Path) -> Path:
    """As ONNX Runtime's documentation has it: fused, then int8 a channel, ranges a batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    config = architecture_of(checkpoint).config
    fused = optimize_model(
        str(exported),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=0,
    )
    fused.save_model_to_file(str(scratch / "fused.onnx"))
    quantize_dynamic(
        scratch / "fused.onnx",
        scratch / "dynamic.onnx",
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Attention"],
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    return scratch / "dynamic.onnx"


def _openvino(exported: Path, threads: int) -> Run:
    import openvino

    hints = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": str(threads)}
    request = openvino.compile_model(exported, "CPU", hints).create_infer_request()

    def run(ids: Ids, mask: Ids) -> Vectors:
        vectors: Vectors = request.infer({INPUT_IDS: ids, ATTENTION_MASK: mask})[0]
        return vectors

    return run


def _texts_per_s(run: Run, batch: tuple[Ids, Ids], seconds: float) -> float:
    """By the median run of a few; the first is not counted."""
    run(*batch)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        began = time.perf_counter()
        run(*batch)
        times.append(time.perf_counter() - began)
    return len(batch[0]) / statistics.median(times)


@click.command()
@click.argument("model")
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Of a batch size and round.")
def main(model: str, threads: int, rounds: int, seconds: float) -> None:
    """Print texts a second of MODEL by backend and batch size, and how near the vectors are."""
    checkpoint = open_checkpoint(model)
    tokenizer = Tokenizer.load(checkpoint)
    texts = [sentence(number) for number in range(_CHECKED_TEXTS)]
    ids = tokenizer.tokenize(texts, checkpoint.max_tokens).ids
    batches = [pad(ids[:size], checkpoint.pad_id) for size in _SIZES]
    checked = pad(ids, checkpoint.pad_id)
    with TemporaryDirectory() as scratch:
        runs = dict(backends(checkpoint, threads, Path(scratch)))
        speeds = [
            {name: [_texts_per_s(run, b, seconds) for b in batches] for name, run in runs.items()}
            for _ in range(rounds)
        ]
        vectors = {name: run(*checked) for name, run in runs.items()}
    reference = vectors["torch fp32"]
    click.echo(
        f"| texts/s, {threads} threads | "
        + " | ".join(f"batch {s}" for s in _SIZES)
        + " | cosine |"
    )
    click.echo("|---|" + "---:|" * (len(_SIZES) + 1))
    for name in runs:
        medians = np.median([round_[name] for round_ in speeds], axis=0)
        cosine = float(np.einsum("nd,nd->n", vectors[name], reference).mean())
        numbers = " | ".join(f"{speed:.0f}" for speed in medians)
        click.echo(f"| {name} | {numbers} | {cosine:.4f} |")


if __name__ == "__main__":
    main()
