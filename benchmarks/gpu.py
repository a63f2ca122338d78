"""Texts to vectors on a GPU, ours beside sentence-transformers: `python -m benchmarks.gpu MODEL`.

No GPU has run this yet: what is below was written from what such machines are known to do, and
tested on CPU, where it runs too. The aim, for a model of 12 layers of 768 and texts of 128 tokens:
40 % of the card's measured bf16 matrix rate by the model alone, and three times the texts a second
of `SentenceTransformer.encode` at its default batch size, in the same precision.

Each round gives every contender texts that none has seen, in an order that rotates from round to
round. A number is the median of the rounds, a ratio the median of the ratios within a round.
`python -m benchmarks.shape FOLDER TOKENIZER_FOLDER` makes a model of that shape.
"""

import argparse
import logging
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import cast

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, PreTrainedConfig

from benchmarks import texts
from inference.encoders import load_encoder
from inference.encoders.base import Encoder
from inference.engine import Engine
from inference.lifecycle import State
from inference.model import Model, open_model
from inference.similarity import Vectors, cosine
from inference.torch_model import DTYPES

OURS, ALONE = "ours", "ours, model alone"
PEER, PEER_LARGE = "sentence-transformers", "sentence-transformers, batches of 512"

AIM_RATIO, AIM_SHARE = 3.0, 0.4

LOADS = ("14", "32", "128", "mixed")
"""Tokens of every text; mixed ones have from 5 to 400, as many of each order of magnitude."""

# Least mean cosine between a contender's vectors and the first's: below it, one computes something
# else.
_LIKE = 0.999

_TIMED_PRODUCTS = 10

Encode = Callable[[list[str]], Vectors]


@dataclass(frozen=True)
class Plan:
    """How much is measured: texts of a load in a round, and rounds."""

    texts: int
    rounds: int


@dataclass
class Measured:
    """What came of one load.

    Attributes:
        tokens: mean of the texts.
        flops: mean of the texts; see :func:`text_flops`.
        rates: texts a second in each round, by contender.
    """

    tokens: float
    flops: float
    rates: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, peer: str) -> float:
        """Of ours to a peer's."""
        pairs = zip(self.rates[OURS], self.rates[peer], strict=True)
        return median(ours / theirs for ours, theirs in pairs)

    def share(self, peak: float) -> float:
        """Of a matrix rate (FLOP/s) that the model alone reaches."""
        return median(self.rates[ALONE]) * self.flops / peak


def text_flops(config: PreTrainedConfig, tokens: int) -> float:
    """Floating-point operations of the matrix products for a text, a multiplication and an addition
    each counted.

    In each layer, with width h and inner width i: 8h² a token for query, key, value and output,
    4hi for the two of the feed-forward part, and 4h for each pair of tokens in the attention
    (scores and weighted sum). Embeddings, norms and pooling are left out.
    """
    h, i = config.hidden_size, config.intermediate_size
    layer = tokens * (8 * h * h + 4 * h * i) + 4 * h * tokens**2
    return float(config.num_hidden_layers * layer)


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """FLOP/s of products of two random square matrices."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    for _ in range(3):
        left @ right
    _wait(device)
    began = time.perf_counter()
    for _ in range(_TIMED_PRODUCTS):
        left @ right
    _wait(device)
    return _TIMED_PRODUCTS * 2 * size**3 / (time.perf_counter() - began)


def make_texts(encoder: Encoder, load: str, numbers: range) -> list[str]:
    """A text for each number; their tokens are what ``load`` says, give or take one."""
    return [
        texts.passage(number) if load == "mixed" else _cut(encoder, number, int(load))
        for number in numbers
    ]


def _cut(encoder: Encoder, number: int, tokens: int) -> str:
    # A sentence of seven words has more than seven tokens. The first is the number's own.
    words = " ".join(texts.sentence(number * 1009 + part) for part in range(tokens // 7 + 1))
    spans = encoder.token_spans(words, "document")
    special = encoder.min_tokens - 1
    return words[: spans[max(1, tokens - special) - 1][1]]


def batches(ids: Sequence[list[int]], budget: int) -> Iterator[list[list[int]]]:
    """Texts from the longest on, in batches of at most ``budget`` padded tokens."""
    rows = sorted(ids, key=len, reverse=True)
    while rows:
        count = max(1, budget // len(rows[0]))
        yield rows[:count]
        rows = rows[count:]


def _alone(encoder: Encoder, ids: Sequence[list[int]]) -> None:
    for batch in batches(ids, encoder.batch_tokens):
        encoder.encode(batch)


def _peer(model: Model, device: torch.device, dtype: torch.dtype, batch_size: int) -> Encode:
    peer = SentenceTransformer(
        str(model.document.path),
        device=str(device),
        local_files_only=True,
        model_kwargs={"dtype": dtype},
    )

    def encode(batch: list[str]) -> Vectors:
        vectors = peer.encode(
            batch, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return cast(Vectors, np.asarray(vectors, dtype=np.float32))

    return encode


def measure(
    encoder: Encoder, contenders: dict[str, Encode], config: PreTrainedConfig, load: str, plan: Plan
) -> Measured:
    """One load through all contenders, and through the model alone."""
    batch = make_texts(encoder, load, range(plan.texts))
    _check_alike(contenders, batch[:64])
    # Graphs are recorded, and memory is taken, on texts that are not measured.
    _round(encoder, contenders, batch)
    lengths = [len(row) for row in encoder.tokenize(batch, "document").ids]
    flops = [text_flops(config, length) for length in lengths]
    measured = Measured(float(np.mean(lengths)), float(np.mean(flops)))
    for round_ in range(1, plan.rounds + 1):
        numbers = range(round_ * plan.texts, (round_ + 1) * plan.texts)
        seconds = _round(encoder, contenders, make_texts(encoder, load, numbers), turn=round_)
        for name, took in seconds.items():
            measured.rates.setdefault(name, []).append(plan.texts / took)
    return measured


def _round(
    encoder: Encoder, contenders: dict[str, Encode], batch: list[str], turn: int = 0
) -> dict[str, float]:
    """Seconds of each contender; the first to run is the one in place ``turn``."""
    ids = encoder.tokenize(batch, "document").ids
    work: dict[str, Callable[[], object]] = {ALONE: partial(_alone, encoder, ids)}
    work |= {name: partial(encode, batch) for name, encode in contenders.items()}
    names = list(work)
    first = turn % len(names)
    seconds = {}
    for name in names[first:] + names[:first]:
        began = time.perf_counter()
        work[name]()
        seconds[name] = time.perf_counter() - began
    return seconds


def _check_alike(contenders: dict[str, Encode], batch: list[str]) -> None:
    first = contenders[OURS](batch)
    for name, encode in contenders.items():
        found = float(cosine(encode(batch), first).mean())
        if not found >= _LIKE:
            raise SystemExit(f"{name} gives other vectors: mean cosine {found:.5f} to ours")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def report(found: dict[str, Measured], peak: float) -> str:
    """A table with a line a load, in Markdown."""
    peers = [PEER, PEER_LARGE]
    heads = ["load", "tokens", *(f"{name}, texts/s" for name in (OURS, ALONE, *peers))]
    heads += [*(f"ours / {name}" for name in peers), "TFLOP/s alone", "share of the matrix rate"]
    lines = [heads, ["---"] * len(heads)]
    for load, measured in found.items():
        rates = [median(measured.rates[name]) for name in (OURS, ALONE, *peers)]
        lines.append(
            [
                load,
                f"{measured.tokens:.0f}",
                *(f"{rate:,.0f}" for rate in rates),
                *(f"{measured.ratio(name):.2f}" for name in peers),
                f"{rates[1] * measured.flops / 1e12:.3g}",
                f"{measured.share(peak):.1%}",
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@contextmanager
def _engine(model: Model, device: str, precision: str) -> Iterator[Encode]:
    """Ours as a server runs it: tokenised in this thread, encoded in the model's."""
    engine = Engine(model, device=device, precision=precision)
    with closing(engine):
        engine.start()
        while engine.state is State.LOADING:
            time.sleep(0.1)
        yield lambda batch: engine.embed(batch).vectors


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints what the card can do, and the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="name or folder of a model")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bf16", choices=DTYPES)
    parser.add_argument("--loads", default=",".join(LOADS), help="some of %(default)s")
    parser.add_argument("--texts", type=int, default=16_384, help="of a load in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--matrix", type=int, default=8192, help="rows of the matrices of the rate")
    args = parser.parse_args(arguments)
    model, device, dtype = open_model(args.model), torch.device(args.device), DTYPES[args.precision]
    peak = matrix_rate(device, dtype, args.matrix)
    encoder = load_encoder(model, device=args.device, precision=args.precision)
    packed = getattr(encoder, "is_packed", False)
    print(f"{model.name} in {args.precision} on {_name(device)}, torch {torch.__version__}")
    print(f"matrix rate {peak / 1e12:.3g} TFLOP/s; batches {'packed' if packed else 'padded'}")
    config = AutoConfig.from_pretrained(model.document.transformer_path, local_files_only=True)
    plan = Plan(args.texts, args.rounds)
    with _engine(model, args.device, args.precision) as ours:
        contenders = {OURS: ours}
        contenders[PEER] = _peer(model, device, dtype, batch_size=32)
        contenders[PEER_LARGE] = _peer(model, device, dtype, batch_size=512)
        loads = args.loads.split(",")
        found = {load: measure(encoder, contenders, config, load, plan) for load in loads}
    print(report(found, peak))
    print(f"aims at 128 tokens, 12 x 768: {AIM_RATIO:g} of `{PEER}`, {AIM_SHARE:.0%} of the rate")


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


if __name__ == "__main__":
    # Why batches are padded, or launched kernel by kernel, if they are.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("inference").setLevel(logging.INFO)
    main()
