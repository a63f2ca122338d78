"""Model references to facts, without loading a model."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_model import (
    edit_json,
    save_bert,
    save_klue_roberta,
    save_old_sentence_transformer,
    save_sentence_transformer,
    write_json,
)

from inference.checkpoint import Checkpoint, Pooling, open_checkpoint
from inference.errors import InvalidInput, NotFound
from inference.reference import embedded_models
from inference.similarity import Nearness, Thresholds


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    return save_old_sentence_transformer(folder / "st", save_bert(folder / "bert", positions=64))


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A model that the test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_embedded_model_is_found_by_its_name() -> None:
    checkpoint = open_checkpoint("ko-mini")
    assert checkpoint.name == "ko-mini"
    assert checkpoint.model_type == "bert"
    assert checkpoint.pooling == (Pooling.MEAN,)
    assert checkpoint.max_tokens == 512
    assert checkpoint.pad_id == 0
    assert checkpoint.warnings == ()
    calibrated = json.loads((checkpoint.path / "ssang.json").read_text())["thresholds"]
    assert checkpoint.thresholds == Thresholds(**calibrated)


def test_embedded_models_are_listed() -> None:
    assert "ko-mini" in embedded_models()


def test_path_names_a_model(model: Path) -> None:
    checkpoint = open_checkpoint(str(model))
    assert checkpoint.name == "model"
    assert checkpoint.path == checkpoint.transformer_path == model.resolve()


def test_relative_path_keeps_its_meaning(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    checkpoint = open_checkpoint("./model")
    monkeypatch.chdir("/")
    assert checkpoint.path.is_dir()
    assert checkpoint.name == "model"


def test_home_is_expanded(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    assert open_checkpoint("~/model").path == model.resolve()


@pytest.mark.parametrize("reference", ["ko-maxi", "/no/such/folder", "~nobody-of-this-name/model"])
def test_unknown_reference_is_not_found_and_names_what_there_is(reference: str) -> None:
    with pytest.raises(NotFound, match=f"no model '{reference}'.*ko-mini"):
        open_checkpoint(reference)


def test_file_is_no_model(model: Path) -> None:
    with pytest.raises(NotFound):
        open_checkpoint(str(model / "config.json"))


def test_missing_config_is_named(model: Path) -> None:
    (model / "config.json").unlink()
    with pytest.raises(InvalidInput, match=r"has no config\.json"):
        open_checkpoint(str(model))


def test_missing_pooling_config_is_named(model: Path) -> None:
    (model / "1_Pooling/config.json").unlink()
    with pytest.raises(InvalidInput, match=r"has no config\.json"):
        open_checkpoint(str(model))


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'"text"', b"3"])
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "tokenizer_config.json",
        "ssang.json",
    ],
)
def test_damaged_file_is_named(model: Path, name: str, content: bytes) -> None:
    (model / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=f"{name} is no.* JSON"):
        open_checkpoint(str(model))


@pytest.mark.parametrize("modules", [[3], [{}], [{"type": "a.Transformer"}], [{"path": ""}]])
def test_module_without_type_or_path_is_refused(model: Path, modules: object) -> None:
    write_json(model / "modules.json", modules)
    with pytest.raises(InvalidInput, match=r"modules\.json has a module without type or path"):
        open_checkpoint(str(model))


@pytest.mark.parametrize(
    "kind",
    [
        "sentence_transformers.models.WordEmbeddings",
        "transformer.CustomTransformer",
    ],
)
def test_module_of_another_kind_is_named(model: Path, kind: str) -> None:
    modules = json.loads((model / "modules.json").read_text())
    write_json(model / "modules.json", [*modules, {"path": "3_More", "type": kind}])
    with pytest.raises(InvalidInput, match=f"a module of kind {kind.rpartition('.')[2]}"):
        open_checkpoint(str(model))


def test_types_of_todays_sentence_transformers_are_known(saved: Path, tmp_path: Path) -> None:
    folder = save_sentence_transformer(tmp_path / "new", saved, pooling="cls")
    types = [entry["type"] for entry in json.loads((folder / "modules.json").read_text())]
    assert not any(name.startswith("sentence_transformers.models.") for name in types)
    assert open_checkpoint(str(folder)).pooling == (Pooling.CLS,)


def test_transformer_in_a_folder_of_its_own_is_found(saved: Path, tmp_path: Path) -> None:
    bert = save_bert(tmp_path / "bert")
    folder = save_old_sentence_transformer(tmp_path / "st", bert, subfolder="0_Transformer")
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.transformer_path == folder.resolve() / "0_Transformer"
    assert checkpoint.max_tokens == 24


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True}, (Pooling.MEAN,)),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, (Pooling.CLS,)),
        ({"pooling_mode_max_tokens": True}, (Pooling.MAX,)),
        ({"pooling_mode": "max"}, (Pooling.MAX,)),
        ({"pooling_mode": ["cls"]}, (Pooling.CLS,)),
        ({"word_embedding_dimension": 32}, (Pooling.MEAN,)),
        # sentence-transformers drops the flags too when there is a mode.
        ({"pooling_mode": "cls", "pooling_mode_mean_tokens": True}, (Pooling.CLS,)),
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            (Pooling.CLS, Pooling.MEAN),
        ),
        ({"pooling_mode": ["mean", "max"]}, (Pooling.MEAN, Pooling.MAX)),
        ({"pooling_mode_weightedmean_tokens": True}, (Pooling.WEIGHTED_MEAN,)),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, (Pooling.MEAN_SQRT_LEN,)),
        ({"pooling_mode_lasttoken": True}, (Pooling.LAST_TOKEN,)),
    ],
)
def test_pooling_is_read(
    model: Path, config: dict[str, object], pooling: tuple[Pooling, ...]
) -> None:
    write_json(model / "1_Pooling/config.json", config)
    assert open_checkpoint(str(model)).pooling == pooling


@pytest.mark.parametrize("config", [{"pooling_mode": "middle"}, {"pooling_mode_middle_token": 1}])
def test_pooling_that_is_not_served_is_named(model: Path, config: dict[str, object]) -> None:
    write_json(model / "1_Pooling/config.json", config)
    with pytest.raises(InvalidInput, match=r"pools by .*middle.*, which cannot be served"):
        open_checkpoint(str(model))


@pytest.mark.parametrize(
    "order", [["Pooling", "Transformer"], ["Transformer", "Normalize", "Pooling"], ["Pooling"]]
)
def test_modules_out_of_order_are_refused(model: Path, order: list[str]) -> None:
    modules = [{"path": "", "type": f"sentence_transformers.models.{kind}"} for kind in order]
    write_json(model / "modules.json", modules)
    with pytest.raises(InvalidInput, match="a Transformer must come first and a Pooling second"):
        open_checkpoint(str(model))


def test_plain_layout_pools_by_mean_with_a_warning(model: Path) -> None:
    (model / "modules.json").unlink()
    checkpoint = open_checkpoint(str(model))
    assert checkpoint.pooling == (Pooling.MEAN,)
    (warning,) = checkpoint.warnings
    assert "mean pooling is assumed" in warning


@pytest.mark.parametrize(
    ("sentence", "tokenizer", "positions", "expected"),
    [
        (24, 40, 64, 24),
        (40, 24, 64, 24),
        (40, 64, 24, 24),
        (None, 10**30, 64, 64),
        (None, 1e30, 64, 64),
        (None, None, 64, 64),
        (24, 10**30, None, 24),
        (None, 10**30, None, 512),
        ("24", -1, 64, 64),
    ],
)
def test_max_tokens_is_the_smallest_limit_known(
    model: Path, sentence: object, tokenizer: object, positions: object, expected: int
) -> None:
    edit_json(model / "sentence_bert_config.json", max_seq_length=sentence)
    edit_json(model / "tokenizer_config.json", model_max_length=tokenizer)
    edit_json(model / "config.json", max_position_embeddings=positions)
    assert open_checkpoint(str(model)).max_tokens == expected


@pytest.mark.parametrize(
    ("model_type", "pad_id", "expected"),
    [
        ("bert", 1, 34),
        ("roberta", 1, 32),
        ("xlm-roberta", 1, 32),
        ("camembert", 1, 32),
        ("roberta", 0, 33),
        ("roberta", None, 32),
    ],
)
def test_positions_behind_the_padding_id_are_not_usable(
    model: Path, model_type: str, pad_id: int | None, expected: int
) -> None:
    (model / "sentence_bert_config.json").unlink()
    (model / "tokenizer_config.json").unlink()
    edit_json(
        model / "config.json",
        model_type=model_type,
        pad_token_id=pad_id,
        max_position_embeddings=34,
    )
    assert open_checkpoint(str(model)).max_tokens == expected


def test_klue_roberta_has_its_own_padding_id(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(save_klue_roberta(tmp_path / "klue", usable=32)))
    assert (checkpoint.model_type, checkpoint.pad_id) == ("roberta", 1)
    assert checkpoint.max_tokens == 32


def test_thresholds_of_the_model_win(model: Path) -> None:
    write_json(model / "ssang.json", {"thresholds": {"high": 0.9, "medium": 0.4, "binary": 0.5}})
    assert open_checkpoint(str(model)).thresholds == Thresholds(0.9, 0.4, 0.5)


@pytest.mark.parametrize("content", [None, {}, {"thresholds": {}}, {"note": "of the maker"}])
def test_without_thresholds_the_fallbacks_are_used(model: Path, content: object) -> None:
    if content is not None:
        write_json(model / "ssang.json", content)
    assert open_checkpoint(str(model)).thresholds == Thresholds(0.75, 0.60, 0.60)


def test_threshold_that_is_not_given_keeps_its_fallback(model: Path) -> None:
    write_json(model / "ssang.json", {"thresholds": {"high": 0.9}})
    assert open_checkpoint(str(model)).thresholds == Thresholds(high=0.9)


@pytest.mark.parametrize(
    "thresholds",
    [
        {"high": "much"},
        {"high": None},
        {"hihg": 0.7},
        {"high": 0.5, "medium": 0.6},
        {"high": 1.5},
        {"medium": -2},
        {"binary": 3},
        {"high": float("nan")},
        [0.7, 0.5],
        0.7,
        None,
    ],
)
def test_bad_thresholds_are_refused(model: Path, thresholds: object) -> None:
    write_json(model / "ssang.json", {"thresholds": thresholds})
    with pytest.raises(InvalidInput, match=r"ssang\.json: .*thresholds"):
        open_checkpoint(str(model))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"answer_floor": 0.35, "answer_margin": 0.05}, Nearness(0.35, 0.05)),
        ({"thresholds": {"medium": 0.4}}, Nearness(0.4, 0.1)),
        ({"answer_floor": -0.2}, Nearness(-0.2, 0.1)),
        ({}, Nearness(0.6, 0.1)),
    ],
)
def test_what_is_near_a_question_is_the_model_s_or_follows_its_thresholds(
    model: Path, content: object, expected: Nearness
) -> None:
    write_json(model / "ssang.json", content)
    assert open_checkpoint(str(model)).nearness == expected


@pytest.mark.parametrize("name", ["answer_floor", "answer_margin"])
@pytest.mark.parametrize("value", ["much", None, [0.5], -1.5, 2.5, float("nan")])
def test_bad_bounds_of_nearness_are_refused(model: Path, name: str, value: object) -> None:
    write_json(model / "ssang.json", {name: value})
    with pytest.raises(InvalidInput, match=r"ssang\.json: answer_floor .* answer_margin"):
        open_checkpoint(str(model))


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
    ],
)
def test_content_hash_follows_what_shapes_the_vectors(model: Path, name: str) -> None:
    before = open_checkpoint(str(model)).content_hash
    with (model / name).open("r+b") as stream:
        stream.seek(-1, 2)
        last = stream.read(1)
        stream.seek(-1, 2)
        stream.write(bytes([last[0] ^ 1]))
    # Not opened again: some of these files can no longer be.
    assert _unopened(model).content_hash != before


def test_content_hash_follows_names(model: Path) -> None:
    before = _unopened(model).content_hash
    (model / "1_Pooling").rename(model / "2_Pooling")
    assert _unopened(model).content_hash != before


@pytest.mark.parametrize(
    "name", ["README.md", "ssang.json", "1_Pooling/README.md", ".gitattributes"]
)
def test_content_hash_leaves_out_what_does_not(model: Path, name: str) -> None:
    before = open_checkpoint(str(model)).content_hash
    write_json(model / name, {"thresholds": {"high": 0.9}})
    assert open_checkpoint(str(model)).content_hash == before


def test_content_hash_is_the_same_at_another_path(model: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(model, tmp_path / "elsewhere" / "another-name"))
    first, second = open_checkpoint(str(model)), open_checkpoint(str(moved))
    assert first.content_hash == second.content_hash
    assert len(first.content_hash) == 64


def _unopened(model: Path) -> Checkpoint:
    return Checkpoint(
        name="model",
        path=model,
        transformer_path=model,
        model_type="bert",
        pooling=(Pooling.MEAN,),
        max_tokens=24,
        dense=(),
        prompts={"query": "", "document": ""},
        lowercase=False,
        pad_id=0,
        thresholds=Thresholds(),
        nearness=Nearness(0.6, 0.1),
    )
