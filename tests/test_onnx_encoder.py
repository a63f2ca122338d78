"""Encoders on ONNX Runtime against those on torch, and the choice between them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from tiny_model import (
    SENTENCES,
    WIDTH,
    PoolingMode,
    edit_json,
    save_bert,
    save_klue_roberta,
    save_sentence_transformer,
)
from transformers import ElectraConfig, ElectraModel, XLMRobertaConfig, XLMRobertaModel

from inference import encoders
from inference.agreement import Agreement
from inference.batch import pad
from inference.checkpoint import read_checkpoint
from inference.encoders import load_encoder, onnx_encoder, precision
from inference.encoders.base import Encoder
from inference.encoders.compile import architecture_of
from inference.encoders.compiled import ATTENTION_MASK, INPUT_IDS, sentences
from inference.encoders.onnx_graph import build_graph
from inference.errors import InvalidInput
from inference.model import open_model
from inference.similarity import Vectors

TEXTS = [*SENTENCES, "가", "가나다라 " * 7, "문장 [SEP] 다음 [CLS] 문장", "날씨 " * 300]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return save_bert(tmp_path / "bert")


@pytest.fixture
def fast_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with the instructions, wherever the tests run."""
    monkeypatch.setattr(encoders, "has_fast_int8", lambda: True)


def _save_as(kind: str, folder: Path) -> Path:
    """A tiny model of a family; XLM-R's and ELECTRA's have the tokenizers of KLUE's and BERT's."""
    if kind == "bert":
        return save_bert(folder)
    if kind == "electra":
        save_bert(folder)
        shape = _shape(folder)
        torch.manual_seed(1)
        ElectraModel(ElectraConfig(**shape, embedding_size=16)).save_pretrained(folder)
        return folder
    save_klue_roberta(folder)
    if kind == "xlm-roberta":
        torch.manual_seed(1)
        XLMRobertaModel(XLMRobertaConfig(**_shape(folder))).save_pretrained(folder)
    return folder


def _shape(folder: Path) -> dict[str, Any]:
    names = (
        "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size "
        "max_position_embeddings pad_token_id initializer_range"
    )
    config = json.loads((folder / "config.json").read_text())
    return {name: config[name] for name in names.split()}


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "electra"])
def test_float_graph_gives_the_vectors_of_torch(kind: str, tmp_path: Path) -> None:
    _check_float_graph(_save_as(kind, tmp_path / "model"))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_float_graph_pools_as_the_model_says(
    pooling: PoolingMode, bert: Path, tmp_path: Path
) -> None:
    _check_float_graph(save_sentence_transformer(tmp_path / "model", bert, pooling=pooling))


@pytest.mark.parametrize("activation", ["torch.nn.Tanh", "torch.nn.Identity"])
def test_float_graph_runs_dense_layers(activation: str, bert: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    torch.manual_seed(0)
    named = activation.rpartition(".")[2]
    parts: list[torch.nn.Module] = [
        modules.Transformer(str(bert)),
        modules.Pooling(WIDTH),
        modules.Dense(WIDTH, 12, activation_function=getattr(torch.nn, named)()),
    ]
    SentenceTransformer(modules=parts, device="cpu").save(str(tmp_path / "model"))
    _check_float_graph(tmp_path / "model")


def _check_float_graph(folder: Path) -> None:
    checkpoint = read_checkpoint("model", folder)
    reference = load_encoder(open_model(str(folder)), device="cpu")
    ids = reference.tokenize(TEXTS, "document").ids
    graph = build_graph(architecture_of(checkpoint)).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    padded, mask = pad(ids, checkpoint.pad_id)
    (vectors,) = session.run(None, {INPUT_IDS: padded, ATTENTION_MASK: mask})
    assert _cosines(vectors, reference.encode(ids)).min() >= 0.99999


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_int8_is_near_float(kind: str, tmp_path: Path) -> None:
    folder = _save_as(kind, tmp_path / "model")
    encoder, reference = _load(folder, "int8"), _load(folder, "fp32")
    assert encoder.precision == "int8"
    assert encoder.dim == reference.dim == WIDTH
    assert encoder.max_tokens == reference.max_tokens
    ids = encoder.tokenize(TEXTS, "query")
    assert ids == reference.tokenize(TEXTS, "query")
    assert _cosines(encoder.encode(ids.ids), reference.encode(ids.ids)).mean() >= 0.99


def test_embedded_model_in_int8_agrees_with_float() -> None:
    encoder, reference = (_load("ko-mini", precision) for precision in ("int8", "fp32"))
    found = encoder.agreement
    assert found is not None
    assert found.is_enough
    assert found.mean_cosine >= 0.99
    ids = reference.tokenize(sentences(), "document").ids
    cosines = _cosines(_alone(encoder, ids), _alone(reference, ids))
    # The reference is kept in half precision.
    assert found.mean_cosine == pytest.approx(cosines.mean(), abs=1e-4)
    assert found.least_cosine == pytest.approx(cosines.min(), abs=1e-3)


def test_embedded_model_comes_compiled_and_as_good(cache: Path) -> None:
    _load("ko-mini", "int8")
    assert not (cache / "ssang/compiled").exists()
    settings = json.loads((open_model("ko-mini").document.path / "ssang.json").read_text())
    found = settings["korsts_dev_spearman"]
    assert found["int8"] == pytest.approx(found["fp32"], abs=0.003)


def test_agreement_is_measured_as_texts_are_read(tmp_path: Path) -> None:
    """With the prompt of documents on both sides."""
    folder = save_sentence_transformer(tmp_path / "model", save_bert(tmp_path / "bert"))
    edit_json(
        folder / "config_sentence_transformers.json",
        prompts={"document": "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다. "},
    )
    found = _load(folder, "int8").agreement
    assert found is not None
    assert found.mean_cosine >= 0.99


def test_vectors_do_not_depend_on_the_batch() -> None:
    encoder = _load("ko-mini", "int8")
    ids = encoder.tokenize([*sentences()[::7], "긴 글입니다. " * 100, "네"], "document").ids
    together = encoder.encode(ids)
    np.testing.assert_allclose(together, _alone(encoder, ids), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("overflow", [True, False])
def test_only_sums_that_overflow_are_of_unsigned_products(
    monkeypatch: pytest.MonkeyPatch, overflow: bool
) -> None:
    asked: list[tuple[str, str]] = []

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
        def add_session_config_entry(self, key: str, value: str) -> None:
            asked.append((key, value))
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    monkeypatch.setattr(onnx_encoder, "int8_sums_overflow", lambda: overflow)
    _load("ko-mini", "int8")
    assert (("session.x64quantprecision", "1") in asked) is overflow


@pytest.mark.usefixtures("fast_int8")
def test_auto_takes_int8_where_it_agrees(bert: Path, cache: Path) -> None:
    encoder = _load(bert, "auto")
    assert encoder.precision == "int8"
    (kept,) = (cache / "ssang/precision").glob("*.json")
    assert Agreement(**json.loads(kept.read_text())) == encoder.agreement
    # What was measured once is not measured again.
    edit_json(kept, least_cosine=0.5)
    again = _load(bert, "auto").agreement
    assert again is not None
    assert again.least_cosine == 0.5


@pytest.mark.usefixtures("fast_int8")
@pytest.mark.parametrize("measured", [{"mean_cosine": 0.98}, {"batched_cosine": 0.99}])
def test_auto_takes_float_where_int8_does_not_agree(
    measured: dict[str, float], bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Agreement(**{**vars(Agreement(1.0, 1.0, 1.0, 1.0)), **measured})
    monkeypatch.setattr(precision, "measure", lambda *_: found)
    encoder = _load(bert, "auto")
    assert (encoder.precision, encoder.agreement) == ("fp32", None)
    # Who asks for it has it.
    assert _load(bert, "int8").agreement == found


def test_auto_takes_float_without_the_instructions(
    bert: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "has_fast_int8", lambda: False)
    assert _load(bert, "auto").precision == "fp32"
    assert not cache.exists()


@pytest.mark.usefixtures("fast_int8")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hidden_act": "relu"}, "its activation is relu, not gelu"),
        ({"model_type": "distilbert"}, "its architecture is distilbert"),
    ],
)
def test_model_without_a_graph_runs_in_float(
    change: dict[str, str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = _save_relu(tmp_path / "model") if "hidden_act" in change else _save_distil(tmp_path)
    assert _load(folder, "auto").precision == "fp32"
    # That it cannot be is kept in mind, and nothing is compiled again.
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(InvalidInput, match=f"cannot run in int8: {reason}"):
        _load(folder, "int8")
    assert _load(folder, "auto").precision == "fp32"


def _save_relu(folder: Path) -> Path:
    save_bert(folder)
    edit_json(folder / "config.json", hidden_act="relu")
    return folder


def _save_distil(tmp_path: Path) -> Path:
    from transformers import DistilBertConfig, DistilBertModel

    folder = save_bert(tmp_path / "distil")
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    config = DistilBertConfig(vocab_size=size, dim=WIDTH, n_layers=1, n_heads=2, hidden_dim=64)
    DistilBertModel(config).save_pretrained(folder)
    return folder


def test_changed_model_is_compiled_anew(tmp_path: Path, cache: Path) -> None:
    folder = save_bert(tmp_path / "model")
    before = _load(folder, "int8").encode([[2, 9, 3]])
    save_bert(folder, seed=1)
    after = _load(folder, "int8").encode([[2, 9, 3]])
    assert _cosines(before, after)[0] < 0.9
    assert len(_compiled(cache)) == 2


def test_compiled_encoder_beside_the_model_is_taken(bert: Path, cache: Path) -> None:
    _load(bert, "int8")
    (made,) = _compiled(cache)
    whole = open_model(str(bert)).content_hash
    shutil.move(made, bert / "int8")
    # It is made from the model's files and is none of them.
    assert open_model(str(bert)).content_hash == whole
    assert _load(bert, "int8").precision == "int8"
    assert not _compiled(cache)


def test_starting_together_compiles_once(bert: Path, cache: Path) -> None:
    code = (
        "import sys; from inference.encoders import load_encoder; "
        "from inference.model import open_model; "
        "print(load_encoder(open_model(sys.argv[1]), precision='int8').encode([[2, 9, 3]])[0, 0])"
    )
    command = [sys.executable, "-c", code, str(bert)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(3)
    ]
    printed = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(printed) == 1
    assert len(_compiled(cache)) == 1
    assert {path.name for path in (cache / "ssang/compiled").iterdir()} == {
        _compiled(cache)[0].name,
        f"{_compiled(cache)[0].name}.lock",
    }


def test_torch_is_not_loaded_for_the_embedded_model() -> None:
    code = (
        "import sys; from inference.encoders import load_encoder; "
        "from inference.model import open_model; "
        "load_encoder(open_model('ko-mini'), precision='int8'); "
        "print({'torch', 'transformers', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.usefixtures("fast_int8")
def test_cache_that_cannot_be_written(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert _load(bert, "auto").precision == "fp32"
    with pytest.raises(InvalidInput, match="the cache cannot be written"):
        _load(bert, "int8")


@pytest.mark.usefixtures("fast_int8")
def test_two_towers_have_one_precision(tmp_path: Path) -> None:
    save_bert(tmp_path / "model/query_encoder")
    save_bert(tmp_path / "model/document_encoder", seed=1)
    both = _load(tmp_path / "model", "auto")
    assert both.precision == "int8"
    edit_json(tmp_path / "model/query_encoder/config.json", hidden_act="relu")
    both = _load(tmp_path / "model", "auto")
    assert (both.precision, both.agreement) == ("fp32", None)


def test_int8_is_not_for_gpus(bert: Path) -> None:
    with pytest.raises(InvalidInput, match="int8 is for CPUs"):
        load_encoder(open_model(str(bert)), device="cuda", precision="int8")


def test_sentences_are_two_hundred_and_differ() -> None:
    assert len(sentences()) == len(set(sentences())) == 200


def _load(model: Path | str, precision: str) -> Encoder:
    return load_encoder(open_model(str(model)), device="cpu", precision=precision, threads=1)


def _alone(encoder: Encoder, ids: list[list[int]]) -> Vectors:
    return np.concatenate([encoder.encode([row]) for row in ids])


def _cosines(left: Vectors, right: Vectors) -> Vectors:
    cosines: Vectors = np.einsum("nd,nd->n", left, right)
    return cosines


def _compiled(cache: Path) -> list[Path]:
    return [path for path in (cache / "ssang/compiled").iterdir() if path.is_dir()]
