"""Every pooling, dense layers and prompts, against sentence-transformers on the same folders."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer import modules
from tiny_model import (
    SENTENCES,
    WIDTH,
    edit_json,
    save_bert,
    save_klue_roberta,
    save_old_sentence_transformer,
)

from inference.checkpoint import Kind, Pooling, open_checkpoint
from inference.encoders import load_encoder
from inference.encoders.base import Encoder
from inference.errors import InvalidInput
from inference.model import Model, open_model
from inference.similarity import Vectors, normalize

KO_MINI = Path(__file__).parent.parent / "models" / "ko-mini"

TEXTS = [*SENTENCES, "가", "김치찌개 " * 60, "\0", "😀 한국"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert") / "bert")


def _save(folder: Path, bert: Path, pooling: Sequence[str], *rest: torch.nn.Module) -> Path:
    parts = [
        modules.Transformer(str(bert)),
        modules.Pooling(WIDTH, pooling_mode=tuple(pooling)),
        *rest,
    ]
    SentenceTransformer(modules=parts, device="cpu").save(str(folder))
    return folder


def _load(folder: Path) -> Encoder:
    return load_encoder(open_model(str(folder)), device="cpu")


def _vectors(encoder: Encoder, texts: list[str], kind: Kind = "document") -> Vectors:
    return encoder.encode(encoder.tokenize(texts, kind).ids, encoder.side(kind).tower)


def _assert_same(folder: Path, texts: list[str] = TEXTS) -> None:
    theirs = SentenceTransformer(str(folder), device="cpu")
    expected = normalize(theirs.encode(texts, convert_to_numpy=True).astype(np.float32))
    cosines = np.einsum("nd,nd->n", _vectors(_load(folder), texts), expected)
    assert cosines.min() >= 0.9999


@pytest.mark.parametrize(
    "pooling",
    [*([mode] for mode in Pooling), ["mean", "max"], ["cls", "lasttoken"]],
    ids=lambda modes: "+".join(modes),
)
def test_poolings(bert: Path, tmp_path: Path, pooling: list[str]) -> None:
    _assert_same(_save(tmp_path / "st", bert, pooling))


@pytest.mark.parametrize("activation", [torch.nn.Tanh(), torch.nn.Identity(), torch.nn.GELU()])
def test_dense_layers(bert: Path, tmp_path: Path, activation: torch.nn.Module) -> None:
    dense = Dense(WIDTH, 12, activation_function=activation)
    folder = _save(tmp_path / "st", bert, ["mean"], dense)
    _assert_same(folder)
    assert _load(folder).dim == 12


def test_several_dense_layers_with_a_normalisation_between(bert: Path, tmp_path: Path) -> None:
    layers = [Dense(2 * WIDTH, 40), modules.Normalize(), Dense(40, 8), modules.Normalize()]
    _assert_same(_save(tmp_path / "st", bert, ["mean", "cls"], *layers))


def test_dense_weights_that_do_not_fit_are_refused(bert: Path, tmp_path: Path) -> None:
    folder = _save(tmp_path / "st", bert, ["mean"], Dense(WIDTH, 12))
    edit_json(folder / "2_Dense" / "config.json", out_features=13)
    with pytest.raises(InvalidInput, match="do not fit"):
        _load(folder)


def test_activation_from_elsewhere_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = _save(tmp_path / "st", bert, ["mean"], Dense(WIDTH, 12))
    edit_json(folder / "2_Dense" / "config.json", activation_function="os.system")
    with pytest.raises(InvalidInput, match=r"os\.system"):
        _load(folder)


def test_prompts_stand_before_the_texts_of_their_kind(bert: Path, tmp_path: Path) -> None:
    folder = _save(tmp_path / "st", bert, ["mean"])
    prompts = {"query": "오늘 날씨 ", "document": "한국의 "}
    edit_json(folder / "config_sentence_transformers.json", prompts=prompts)
    theirs = SentenceTransformer(str(folder), device="cpu")
    ours = _load(folder)
    for kind, encode in (("query", theirs.encode_query), ("document", theirs.encode_document)):
        expected = normalize(encode(TEXTS, convert_to_numpy=True).astype(np.float32))
        cosines = np.einsum("nd,nd->n", _vectors(ours, TEXTS, kind), expected)  # type: ignore[arg-type]
        assert cosines.min() >= 0.9999
    assert ours.side("query") != ours.side("document")
    assert not np.allclose(_vectors(ours, TEXTS, "query"), _vectors(ours, TEXTS, "document"))


@pytest.mark.parametrize(
    ("config", "query", "document"),
    [
        ({"prompts": {"query": "질의: ", "passage": "글: "}}, "질의: ", "글: "),
        ({"prompts": {"sts": "s: "}, "default_prompt_name": "sts"}, "s: ", "s: "),
        ({"prompts": {"query": "", "document": ""}}, "", ""),
        ({"prompts": None}, "", ""),
    ],
)
def test_prompts_are_found_as_sentence_transformers_does(
    bert: Path, tmp_path: Path, config: dict[str, object], query: str, document: str
) -> None:
    folder = _save(tmp_path / "st", bert, ["mean"])
    edit_json(folder / "config_sentence_transformers.json", **config)
    assert open_checkpoint(str(folder)).prompts == {"query": query, "document": document}


def test_texts_are_lower_cased_if_the_model_says_so(tmp_path: Path) -> None:
    folder = save_old_sentence_transformer(tmp_path / "st", save_bert(tmp_path / "bert"))
    edit_json(folder / "sentence_bert_config.json", do_lower_case=True)
    _assert_same(folder, ["The Quick BROWN Fox 한국", "ÀÉ"])
    upper, lower = _vectors(_load(folder), ["QUICK", "quick"])
    assert np.allclose(upper, lower, atol=1e-5)


def test_tokenizer_of_another_model_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert, tmp_path / "mixed")
    shutil.copy(KO_MINI / "tokenizer.json", folder)
    shutil.copy(KO_MINI / "tokenizer_config.json", folder)
    with pytest.raises(InvalidInput, match="do not belong together"):
        _load(folder)


def test_prompt_left_out_of_the_pooling_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = _save(tmp_path / "st", bert, ["mean"])
    edit_json(folder / "1_Pooling" / "config.json", include_prompt=False)
    edit_json(folder / "config_sentence_transformers.json", prompts={"query": "질의: "})
    with pytest.raises(InvalidInput, match="out of the pooling"):
        open_checkpoint(str(folder))


def _two_towers(query: Path, document: Path) -> Model:
    return open_model("", query=str(query), document=str(document))


def test_towers_encode_their_own_kind(bert: Path, tmp_path: Path) -> None:
    other = save_klue_roberta(tmp_path / "klue", seed=5)
    both = load_encoder(_two_towers(bert, other), device="cpu")
    assert (both.side("query").tower, both.side("document").tower) == ("query", "document")
    assert np.allclose(_vectors(both, TEXTS, "query"), _vectors(_load(bert), TEXTS))
    assert np.allclose(_vectors(both, TEXTS, "document"), _vectors(_load(other), TEXTS))
    assert (both.side("query").max_tokens, both.side("document").max_tokens) == (64, 32)


def test_towers_of_unequal_width_are_refused(bert: Path, tmp_path: Path) -> None:
    narrow = _save(tmp_path / "st", bert, ["mean"], Dense(WIDTH, 12))
    with pytest.raises(InvalidInput, match="of 32 numbers and the document encoder of 12"):
        load_encoder(_two_towers(bert, narrow), device="cpu")
