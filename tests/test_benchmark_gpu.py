"""The GPU benchmark on CPU: what it counts and what it prints; no test depends on a time."""

from pathlib import Path

import pytest
import torch
from tiny_model import save_bert, save_sentence_transformer
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from benchmarks import gpu
from benchmarks.gpu import ALONE, OURS, PEER, PEER_LARGE, Measured
from inference.encoders import load_encoder
from inference.model import open_model
from inference.similarity import Vectors


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpu")
    bert = save_bert(folder / "bert", positions=512)
    return save_sentence_transformer(folder / "model", bert)


@pytest.mark.parametrize("tokens", [1, 14, 100])
def test_operations_are_those_that_torch_counts(tokens: int) -> None:
    config = BertConfig(
        vocab_size=50,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=80,
    )
    bert = BertModel(config, add_pooling_layer=False)
    # torch counts the products of this one only.
    bert.set_attn_implementation("eager")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        bert(torch.ones(1, tokens, dtype=torch.long))
    assert gpu.text_flops(config, tokens) == counter.get_total_flops()


@pytest.mark.parametrize("load", ["14", "32", "128"])
def test_texts_have_the_tokens_that_the_load_says(load: str) -> None:
    encoder = load_encoder(open_model("ko-mini"), device="cpu")
    texts = gpu.make_texts(encoder, load, range(20))
    lengths = encoder.tokenize(texts, "document").lengths
    assert all(abs(length - int(load)) <= 1 for length in lengths)
    assert len(set(texts)) == 20


def test_batches_hold_every_text_within_the_budget() -> None:
    ids = [[7] * length for length in (3, 50, 1, 8, 8, 20)]
    found = list(gpu.batches(ids, 20))
    assert [[len(row) for row in batch] for batch in found] == [[50], [20], [8, 8], [3, 1]]


def test_ratios_are_taken_within_a_round() -> None:
    rates = {OURS: [10.0, 40.0, 9.0], ALONE: [2.0, 4.0, 3.0], PEER: [5.0, 10.0, 3.0]}
    measured = Measured(tokens=14.0, flops=100.0, rates=rates)
    assert measured.ratio(PEER) == 3.0
    assert measured.share(peak=1000.0) == pytest.approx(0.3)


def test_runs_where_there_is_no_gpu(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--texts", "6", "--rounds", "2", "--matrix", "64", "--loads", "14,mixed"]
    gpu.main([str(model), "--device", "cpu", "--precision", "fp32", *small])
    printed = capsys.readouterr().out
    assert "batches padded" in printed
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in table] == ["load", "---", "14", "mixed"]
    assert all(name in table[0] for name in (OURS, ALONE, PEER, PEER_LARGE))
    assert len({line.count("|") for line in table}) == 1


def test_contenders_that_compute_something_else_are_not_measured(model: Path) -> None:
    encoder = load_encoder(open_model(str(model)), device="cpu")

    def encode(batch: list[str]) -> Vectors:
        return encoder.encode(encoder.tokenize(batch, "document").ids)

    other = {OURS: encode, PEER: lambda batch: -encode(batch)}
    with pytest.raises(SystemExit, match="gives other vectors"):
        gpu.measure(encoder, other, BertConfig(), "14", gpu.Plan(4, 1))
