"""Vectors against those of sentence-transformers on the same files."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from tiny_model import (
    SENTENCES,
    WIDTH,
    PoolingMode,
    edit_json,
    save_bert,
    save_klue_roberta,
    save_old_sentence_transformer,
    save_sentence_transformer,
)

from inference.encoders import load_encoder
from inference.encoders.base import Encoder, OutOfMemory
from inference.encoders.torch_encoder import TorchEncoder
from inference.errors import InvalidInput
from inference.model import open_model
from inference.similarity import Vectors, cosine
from inference.tokenizer import replace_surrogates

TEXTS = [
    "김치찌개와 된장찌개는 " * 300,
    "가",
    "오늘 날씨가 참 좋네요, 산책을 갈까요?",
    "🙂👨‍👩‍👧",
    "大韓民國 憲法 第一條",
    "The quick brown fox jumps over the lazy dog.",
    "AI 기술이 2024년에 빠르게 발전했다 — wow! ①½ﬁ",
    "가\x00나\x07\t다\u200b라\r\n마\x7f",
    "안녕\ud83d하세요\udc00",
    "\ud83d\ude42 짝이 맞는 대리 문자",
    "문장 [SEP] 다음 [CLS] 문장 [PAD] 끝 [MASK]",
    "가나다라 " * 7,
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert") / "bert")


@pytest.fixture(scope="module")
def klue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_klue_roberta(tmp_path_factory.mktemp("klue") / "klue")


Save = Callable[[Path, Path, PoolingMode, bool], Path]


def _save_new(folder: Path, transformer: Path, pooling: PoolingMode, normalize: bool) -> Path:
    return save_sentence_transformer(folder, transformer, pooling=pooling, normalize=normalize)


def _save_old(folder: Path, transformer: Path, pooling: PoolingMode, normalize: bool) -> Path:
    return save_old_sentence_transformer(folder, transformer, pooling=pooling, normalize=normalize)


def _save_oldest(folder: Path, transformer: Path, pooling: PoolingMode, normalize: bool) -> Path:
    return save_old_sentence_transformer(
        folder, transformer, pooling=pooling, normalize=normalize, subfolder="0_Transformer"
    )


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("save", [_save_new, _save_old, _save_oldest])
def test_bert_agrees_with_sentence_transformers(
    bert: Path, tmp_path: Path, save: Save, pooling: PoolingMode, normalize: bool
) -> None:
    folder = save(tmp_path / "model", bert, pooling, normalize)
    _check_parity(folder, _reference(folder))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("save", [_save_new, _save_old])
def test_klue_roberta_agrees_with_sentence_transformers(
    klue: Path, tmp_path: Path, save: Save, pooling: PoolingMode
) -> None:
    folder = save(tmp_path / "model", klue, pooling, True)
    _check_parity(folder, _reference(folder))


def test_plain_layout_agrees_with_mean_pooling(bert: Path) -> None:
    transformer = modules.Transformer(str(bert), model_kwargs={"dtype": torch.float32})
    parts = [transformer, modules.Pooling(WIDTH, pooling_mode="mean")]
    _check_parity(bert, SentenceTransformer(modules=parts, device="cpu"))


def test_embedded_model_agrees_with_sentence_transformers() -> None:
    reference = _reference(open_model("ko-mini").document.path)
    _check_parity("ko-mini", reference)
    _check_parity("ko-mini", reference, precision="bf16", least=0.999)


def test_bf16_agrees_with_fp32_of_sentence_transformers(bert: Path, tmp_path: Path) -> None:
    folder = save_sentence_transformer(tmp_path / "model", bert)
    _check_parity(folder, _reference(folder), precision="bf16", least=0.999)


@pytest.mark.parametrize("limit", [34, 10**30])
def test_klue_roberta_reads_no_more_than_its_usable_positions(
    klue: Path, tmp_path: Path, limit: int
) -> None:
    """What the files promise is more than the positions there are: 34 with two not usable."""
    folder = save_old_sentence_transformer(tmp_path / "model", klue)
    edit_json(folder / "sentence_bert_config.json", max_seq_length=limit)
    edit_json(folder / "tokenizer_config.json", model_max_length=limit)
    reference = _reference(folder)
    reference.max_seq_length = 32
    encoder = _load(folder)
    assert encoder.max_tokens == 32
    letters = "음식입니다김치찌개와된장는한국의대표전통인공지능기술이빠르게발하고있" * 2
    texts = [" ".join(letters[start : start + 29 + start]) for start in range(7)]
    tokenized = encoder.tokenize(texts, "document")
    assert tokenized.lengths == [31, 32, 33, 34, 35, 36, 37]
    assert [len(row) for row in tokenized.ids] == [31, 32, 32, 32, 32, 32, 32]
    _check_agrees(encoder, reference, texts, least=0.9999)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("name", ["bert", "klue"])
def test_cuda_agrees_with_sentence_transformers(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, pooling: PoolingMode
) -> None:
    transformer: Path = request.getfixturevalue(name)
    folder = save_sentence_transformer(tmp_path / "model", transformer, pooling=pooling)
    reference = _reference(folder)
    encoder = load_encoder(open_model(str(folder)), device="cuda", precision="auto")
    assert isinstance(encoder, TorchEncoder)
    assert encoder.is_packed
    # Graphs are recorded in the first turn and repeated in the second.
    for _ in range(2):
        _check_agrees(encoder, reference, TEXTS, least=0.999)
    plain = load_encoder(open_model(str(folder)), device="cuda", precision="fp32")
    _check_agrees(plain, reference, TEXTS, least=0.9999)


def test_vectors_do_not_depend_on_batch_mates(bert: Path) -> None:
    encoder = _load(bert)
    ids = encoder.tokenize(TEXTS, "document").ids
    batched = encoder.encode(ids)
    single = np.concatenate([encoder.encode([row]) for row in ids])
    np.testing.assert_allclose(batched, single, atol=1e-5)


def test_vectors_are_float32_units_in_the_order_of_the_texts(bert: Path) -> None:
    encoder = _load(bert)
    ids = encoder.tokenize(SENTENCES, "query").ids
    vectors = encoder.encode(ids)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(SENTENCES), encoder.dim) == (len(SENTENCES), WIDTH)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(encoder.encode(ids[::-1]), vectors[::-1], atol=1e-5)


def test_both_kinds_go_through_the_one_tower(bert: Path) -> None:
    encoder = _load(bert)
    assert encoder.tokenize(SENTENCES, "query") == encoder.tokenize(SENTENCES, "document")


def test_encoder_says_what_it_is(klue: Path) -> None:
    encoder = _load(klue)
    assert (encoder.dim, encoder.max_tokens, encoder.min_tokens, encoder.pad_id) == (32, 32, 3, 1)
    assert (encoder.device, encoder.precision) == ("cpu", "fp32")
    assert encoder.batch_tokens > encoder.max_tokens


def test_threads_are_passed_on_to_torch(bert: Path) -> None:
    before = torch.get_num_threads()
    try:
        load_encoder(open_model(str(bert)), device="cpu", threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("device", ["", "gpu", "mps", "meta", "cuda:x", "cuda:99"])
def test_device_that_is_not_here_is_refused(bert: Path, device: str) -> None:
    with pytest.raises(InvalidInput, match=f"Device '{device}' is "):
        load_encoder(open_model(str(bert)), device=device)


@pytest.mark.parametrize("precision", ["", "fp8", "float32"])
def test_unknown_precision_is_refused(bert: Path, precision: str) -> None:
    with pytest.raises(InvalidInput, match=f"Precision '{precision}' is none of auto, fp32"):
        load_encoder(open_model(str(bert)), device="cpu", precision=precision)


def test_memory_that_torch_cannot_get_is_out_of_memory(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = _load(bert)
    monkeypatch.setattr(encoder, "_encode", lambda _: torch.empty(2**60))
    with pytest.raises(OutOfMemory):
        encoder.encode([[2, 5, 3]])


def test_other_runtime_errors_stay_what_they_are(bert: Path) -> None:
    with pytest.raises(IndexError):
        _load(bert).encode([[10**6]])


def _load(reference: Path | str, *, precision: str = "fp32") -> Encoder:
    return load_encoder(open_model(str(reference)), device="cpu", precision=precision)


def _reference(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32}
    )


def _check_parity(
    model: Path | str,
    reference: SentenceTransformer,
    *,
    precision: str = "fp32",
    least: float = 0.9999,
) -> None:
    _check_agrees(_load(model, precision=precision), reference, TEXTS, least=least)


def _check_agrees(
    encoder: Encoder, reference: SentenceTransformer, texts: list[str], *, least: float
) -> None:
    clean = [replace_surrogates(text) for text in texts]
    expected = cast(
        Vectors,
        reference.encode(clean, batch_size=1, normalize_embeddings=True, show_progress_bar=False),
    )
    ids = encoder.tokenize(texts, "document").ids
    batched = encoder.encode(ids)
    single = np.concatenate([encoder.encode([row]) for row in ids])
    assert cosine(batched, expected).min() >= least
    assert cosine(single, expected).min() >= least
    # A model that gives every text the same vector would agree with anything.
    assert np.median(expected @ expected.T) < 0.99
