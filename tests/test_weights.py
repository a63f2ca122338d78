"""Weights that are missing, cut short or of another model are refused with one sentence."""

import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import edit_json, save_bert, write_json

from inference.checkpoint import open_checkpoint
from inference.encoders import load_encoder
from inference.encoders.base import Encoder
from inference.errors import InvalidInput
from inference.model import open_model
from inference.weights import check_weights

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("saved") / "bert")


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A model that the test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_whole_weights_pass(model: Path) -> None:
    check_weights(model)


def test_no_weights_are_told(model: Path) -> None:
    (model / _WEIGHTS).unlink()
    with pytest.raises(InvalidInput, match=r"holds no weights: model\.safetensors"):
        check_weights(model)


def test_opening_a_checkpoint_checks_its_weights(model: Path) -> None:
    (model / _WEIGHTS).unlink()
    with pytest.raises(InvalidInput, match="holds no weights"):
        open_checkpoint(str(model))


@pytest.mark.parametrize("missing", [1, 1000])
def test_weights_cut_short_are_told(model: Path, missing: int) -> None:
    content = (model / _WEIGHTS).read_bytes()
    (model / _WEIGHTS).write_bytes(content[:-missing])
    with pytest.raises(
        InvalidInput, match=f"has {len(content) - missing:,} bytes .* promises {len(content):,}"
    ):
        check_weights(model)


def test_weights_with_bytes_behind_them_are_told(model: Path) -> None:
    with (model / _WEIGHTS).open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(InvalidInput, match="promises"):
        check_weights(model)


def _with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 40133008\n",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 3) + b"{}",
        _with_header(b"no json"),
        _with_header(b"\xff\xff"),
        _with_header(b"[]"),
        _with_header(b'{"a": 3}'),
        _with_header(b'{"a": {}}'),
        _with_header(b'{"a": {"data_offsets": [0]}}'),
        _with_header(b'{"a": {"data_offsets": "04"}}'),
    ],
)
def test_what_is_no_safetensors_file_is_told(model: Path, content: bytes) -> None:
    (model / _WEIGHTS).write_bytes(content)
    with pytest.raises(InvalidInput, match=r"(is no whole|promises).*: copy it again"):
        check_weights(model)


def test_shards_are_weights(model: Path) -> None:
    expected = _vectors(_load(model))
    _shard(model)
    check_weights(model)
    torch.testing.assert_close(_vectors(_load(model)), expected)


def test_missing_shard_is_named(model: Path) -> None:
    _shard(model)
    (model / "part-2.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"lacks part-2\.safetensors"):
        check_weights(model)


def test_shard_cut_short_is_named(model: Path) -> None:
    _shard(model)
    shard = model / "part-2.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InvalidInput, match=r"part-2\.safetensors has .* bytes where"):
        check_weights(model)


@pytest.mark.parametrize("index", [b"{", b"[]", b"{}", b'{"weight_map": 3}', b'{"weight_map": []}'])
def test_damaged_index_of_shards_is_told(model: Path, index: bytes) -> None:
    (model / _WEIGHTS).unlink()
    (model / _INDEX).write_bytes(index)
    with pytest.raises(InvalidInput, match=r"index\.json is damaged"):
        check_weights(model)


def test_pickled_tensors_are_weights(model: Path) -> None:
    expected = _vectors(_load(model))
    _pickle(model, load_file(model / _WEIGHTS))
    check_weights(model)
    torch.testing.assert_close(_vectors(_load(model)), expected)


class _Intruder:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("the code in the weights was run",)


def test_pickled_code_is_refused(model: Path) -> None:
    _pickle(model, {"weight": _Intruder()})
    _check_refused(model, "damaged, or hold more than tensors")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 and no more"])
def test_damaged_pickle_is_refused(model: Path, content: bytes) -> None:
    (model / _WEIGHTS).unlink()
    (model / "pytorch_model.bin").write_bytes(content)
    _check_refused(model, "damaged|cannot be loaded")


def test_missing_tensors_are_refused_and_not_made_up(model: Path) -> None:
    edit_json(model / "config.json", num_hidden_layers=3)
    _check_refused(model, r"lack 16 tensors, such as encoder\.layer\.2\.")


def test_weights_of_another_architecture_are_refused(model: Path) -> None:
    edit_json(model / "config.json", model_type="distilbert")
    _check_refused(model, "lack .* tensors.* another architecture")


def test_weights_without_any_tensor_are_refused(model: Path) -> None:
    (model / _WEIGHTS).write_bytes(_with_header(b"{}"))
    _check_refused(model, "lack .* tensors")


def test_weights_without_a_pooler_are_enough(model: Path) -> None:
    expected = _vectors(_load(model))
    tensors = load_file(model / _WEIGHTS)
    save_file(
        {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")},
        model / _WEIGHTS,
        metadata={"format": "pt"},
    )
    torch.testing.assert_close(_vectors(_load(model)), expected)


def test_weights_of_another_width_are_refused(model: Path) -> None:
    edit_json(model / "config.json", hidden_size=64)
    _check_refused(model, "do not fit its config.json: .* is 32 where 64 is needed")


def test_weights_of_another_vocabulary_are_refused(model: Path) -> None:
    edit_json(model / "config.json", vocab_size=9)
    _check_refused(model, "embeddings.word_embeddings.weight is .* x 32 where 9 x 32 is needed")


@pytest.mark.parametrize(
    "change",
    [{"model_type": "nonsense"}, {"num_attention_heads": 5}, {"hidden_size": "wide"}],
)
def test_config_that_makes_no_model_is_refused(model: Path, change: dict[str, object]) -> None:
    edit_json(model / "config.json", **change)
    _check_refused(model, "cannot be")


def _shard(model: Path) -> None:
    """Splits the weights over two files."""
    tensors = load_file(model / _WEIGHTS)
    (model / _WEIGHTS).unlink()
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for number, part in enumerate([names[::2], names[1::2]], start=1):
        file = f"part-{number}.safetensors"
        save_file({name: tensors[name] for name in part}, model / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    write_json(model / _INDEX, {"metadata": {}, "weight_map": weight_map})


def _pickle(model: Path, tensors: object) -> None:
    (model / _WEIGHTS).unlink()
    torch.save(tensors, model / "pytorch_model.bin")


def _load(model: Path) -> Encoder:
    return load_encoder(open_model(str(model)), device="cpu")


def _vectors(encoder: Encoder) -> torch.Tensor:
    return torch.from_numpy(encoder.encode([[2, 7, 8, 3], [2, 9, 3]]))


def _check_refused(model: Path, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        _load(model)
    assert "\n" not in caught.value.message
