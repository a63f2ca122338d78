from pathlib import Path

import pytest
from tiny_model import edit_json, save_bert, save_klue_roberta, write_json

from inference.errors import InvalidInput, NotFound
from inference.model import open_model


def _towers(folder: Path, *, query_seed: int = 0, document_seed: int = 1) -> Path:
    save_bert(folder / "query_encoder", seed=query_seed)
    save_bert(folder / "document_encoder", seed=document_seed)
    return folder


def test_one_tower(tmp_path: Path) -> None:
    model = open_model(str(save_bert(tmp_path / "bert")))
    assert model.query is model.document
    assert not model.has_two_towers
    assert (model.name, model.content_hash) == ("bert", model.document.content_hash)
    assert model.warnings == model.document.warnings


def test_folder_with_two_encoders_has_two_towers(tmp_path: Path) -> None:
    folder = _towers(tmp_path / "pair")
    thresholds = {"high": 0.9, "medium": 0.5, "binary": 0.7}
    write_json(folder / "ssang.json", {"thresholds": thresholds, "answer_floor": 0.45})
    model = open_model(str(folder))
    assert model.nearness.floor == 0.45
    assert model.has_two_towers
    assert (model.name, model.thresholds.high) == ("pair", 0.9)
    assert model.query.path.name == "query_encoder"
    assert len({model.content_hash, model.query.content_hash, model.document.content_hash}) == 3


def test_towers_named_one_by_one(tmp_path: Path) -> None:
    query, document = save_bert(tmp_path / "q"), save_klue_roberta(tmp_path / "d")
    model = open_model("ignored", query=str(query), document=str(document))
    assert (model.name, model.has_two_towers, model.pooling) == ("q+d", True, "mean")


def test_equal_towers_are_one(tmp_path: Path) -> None:
    model = open_model(str(_towers(tmp_path / "pair", query_seed=3, document_seed=3)))
    assert not model.has_two_towers


@pytest.mark.parametrize("towers", [{"query": "ko-mini"}, {"document": "ko-mini"}])
def test_one_tower_alone_is_refused(towers: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="both a query model and a document model"):
        open_model("ko-mini", **towers)


def test_missing_tower_is_named() -> None:
    with pytest.raises(NotFound, match="no-such-model"):
        open_model("", query="ko-mini", document="no-such-model")


def test_damage_in_a_tower_is_told(tmp_path: Path) -> None:
    folder = _towers(tmp_path / "pair")
    edit_json(folder / "query_encoder" / "tokenizer_config.json", model_max_length=8)
    (folder / "document_encoder" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(InvalidInput, match=r"document_encoder.*copy it again"):
        open_model(str(folder))
