"""Packed batches against padded ones of the same model; the attention is CPU's, text by text."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_model import WIDTH, save_bert, save_klue_roberta
from transformers import PreTrainedModel

from inference.checkpoint import Checkpoint, Pooling
from inference.encoders.head import Head
from inference.encoders.packed_transformer import PackedTransformer, pack_transformer
from inference.encoders.torch_encoder import TorchEncoder
from inference.model import open_model
from inference.similarity import cosine
from inference.torch_model import pad, quiet_transformers

CPU = torch.device("cpu")
VOCABULARY = 120
PAD_ID = 1

# Spread out, so that a text read with another's tokens has a vector far from its own.
_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.3,
    "max_position_embeddings": 66,
    "pad_token_id": PAD_ID,
}

_DISTILBERT = {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}

FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": {},
    "Roberta": {"type_vocab_size": 1},
    "XLMRoberta": {"type_vocab_size": 1},
    "Electra": {"embedding_size": 16},
    "DistilBert": _DISTILBERT,
}

# Attention of its own; attention in windows; attention to what came before.
OTHERS: dict[str, dict[str, Any]] = {
    "MPNet": {},
    "ModernBert": {"local_attention": 8, "global_attn_every_n_layers": 2, "cls_token_id": 2},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 8},
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other's share of so little would take most of the time."""
    quiet_transformers()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_model(str(save_bert(tmp_path_factory.mktemp("bert") / "bert"))).document


def _model(family: str) -> PreTrainedModel:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**_SHAPE, **(FAMILIES | OTHERS)[family])
    model: PreTrainedModel = getattr(transformers, f"{family}Model")(config).eval()
    return model


def _padded(model: PreTrainedModel, head: Head) -> Callable[..., torch.Tensor]:
    @torch.inference_mode()
    def run(token_ids: list[list[int]]) -> torch.Tensor:
        ids, mask = pad(token_ids, PAD_ID, CPU)
        vectors: torch.Tensor = head(
            model(input_ids=ids, attention_mask=mask).last_hidden_state, mask
        )
        return vectors

    return run


def _texts() -> list[list[int]]:
    """Every length that shares batches badly, and the padding's id at any place."""
    random = np.random.default_rng(1)
    lengths = (64, 1, 2, 40, 3, 17, 1, 64)
    return [random.integers(VOCABULARY, size=length).tolist() for length in lengths]


def _again(run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """Stands for a recording: what it repeats reads the same place again."""
    return run


POOLINGS = [(Pooling.MEAN,), (Pooling.CLS,), (Pooling.CLS, Pooling.MEAN), (Pooling.MAX,)]


@pytest.mark.parametrize("capture", [None, _again])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_those_of_padded_batches(
    checkpoint: Checkpoint, family: str, pooling: tuple[Pooling, ...], capture: Any
) -> None:
    checkpoint = replace(checkpoint, pooling=pooling)
    model, head = _model(family), Head(checkpoint)
    plain = _padded(model, head)(_texts())
    packed = pack_transformer(checkpoint, model, head, _padded(model, head), capture)
    assert packed
    torch.testing.assert_close(packed.encode(_texts()), plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("capture", [None, _again])
@pytest.mark.parametrize("family", FAMILIES)
def test_texts_of_a_batch_do_not_see_each_other(
    checkpoint: Checkpoint, family: str, capture: Any
) -> None:
    packed = _pack(checkpoint, _model(family), capture)
    together = packed.encode(_texts()).clone()
    alone = torch.cat([packed.encode([row]).clone() for row in _texts()])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    shifted = packed.encode([[5] * 9, *_texts()[::-1]])[1:].flip(0)
    torch.testing.assert_close(shifted, together, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", OTHERS)
def test_a_model_that_cannot_keeps_what_it_had(
    checkpoint: Checkpoint, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "inference")
    model, head = _model(family), Head(checkpoint)
    padded = _padded(model, head)
    plain = padded(_texts())
    assert pack_transformer(checkpoint, model, head, padded, _again) is None
    assert "cannot run packed" in caplog.text
    assert torch.equal(padded(_texts()), plain)


def test_a_model_whose_numbers_are_not_finite_is_not_packed(checkpoint: Checkpoint) -> None:
    model, head = _model("Bert"), Head(checkpoint)
    with torch.no_grad():
        next(model.get_input_embeddings().parameters()).fill_(torch.nan)
    assert pack_transformer(checkpoint, model, head, _padded(model, head)) is None


def test_a_recording_that_repeats_the_first_batch_is_not_used(checkpoint: Checkpoint) -> None:
    def stale(run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        first = run().clone()
        return lambda: first

    model, head = _model("Bert"), Head(checkpoint)
    plain = _padded(model, head)(_texts())
    packed = pack_transformer(checkpoint, model, head, _padded(model, head), stale)
    assert packed
    torch.testing.assert_close(packed.encode(_texts()), plain, atol=1e-5, rtol=0)


_SAVE: dict[str, Callable[[Path], Path]] = {"bert": save_bert, "klue": save_klue_roberta}


@pytest.mark.parametrize("name", [*_SAVE, "ko-mini"])
def test_an_encoder_gives_the_same_packed(tmp_path: Path, name: str) -> None:
    saved = _SAVE[name](tmp_path / name) if name in _SAVE else name
    checkpoint = open_model(str(saved)).document
    encoder = TorchEncoder(checkpoint, device="cpu", precision="fp32", threads=0)
    texts = ["가", "오늘 날씨가 참 좋네요, 산책을 갈까요?", "김치찌개 " * 300, "[PAD] 끝 [PAD]"]
    ids = encoder.tokenize(texts, "document").ids
    plain = encoder.encode(ids)
    assert not encoder.is_packed
    packed = pack_transformer(checkpoint, encoder._model, encoder._head, encoder._padded, _again)
    assert packed
    encoder._packed = packed
    vectors = encoder.encode(ids)
    assert cosine(vectors, plain).min() >= 0.9999
    np.testing.assert_allclose(vectors, plain, atol=1e-5)


def test_bf16_stays_near_fp32(checkpoint: Checkpoint) -> None:
    model = _model("Bert")
    head = Head(checkpoint)
    plain = _padded(model, head)(_texts())
    packed = _pack(checkpoint, model.bfloat16(), None)
    vectors = packed.encode(_texts())
    assert vectors.dtype == torch.float32
    assert cosine(vectors.numpy(), plain.numpy()).min() >= 0.999


def _pack(checkpoint: Checkpoint, model: PreTrainedModel, capture: Any) -> PackedTransformer:
    head = Head(checkpoint)
    packed = pack_transformer(checkpoint, model, head, _padded(model, head), capture)
    assert packed
    return packed
