"""``ssang collections``: listed, exported, imported, backed up, embedded anew, deleted."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from running_service import wait_until
from ssang_command import Completed, refusal_here, ssang, ssang_here
from tiny_model import WIDTH, save_bert

from inference.corpus.base import Collection, Query
from inference.engine import Engine
from inference.errors import Conflict
from inference.lifecycle import State
from inference.model import open_model
from webapp.corpus import create_corpus
from webapp.settings import Settings

QUESTION = "카드를 잃어버렸습니다."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("model") / "other", seed=1)


@pytest.fixture(scope="module")
def filled(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    _do("index", "faq", "--sample", data=data, model=model)
    return data


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """A data folder with the sample FAQ as collection ``faq``."""
    return shutil.copytree(filled, tmp_path / "data")


def _do(*arguments: object, data: Path, model: Path | None = None, stdin: str = "") -> Completed:
    if model is None:
        done = ssang_here(*arguments, "--data-dir", data, stdin=stdin)
    else:
        done = ssang(*arguments, "--data-dir", data, model=model, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done


@contextmanager
def _searching(data: Path, model: Path) -> Iterator[Collection]:
    """The sample as the service would open it."""
    engine = Engine(open_model(str(model)))
    engine.start()
    wait_until(lambda: engine.state is State.READY)
    corpus = create_corpus(Settings(data_dir=str(data)), engine)
    yield corpus.open("faq")
    corpus.close()
    engine.close()


def _finds(collection: Collection) -> bool:
    """Whether a question of the sample finds itself, by vectors of the right model."""
    hit = collection.search(Query(QUESTION, mode="vector")).hits[0]
    return hit.document.title == QUESTION and round(hit.score, 3) == 1


def test_listing_and_describing_need_no_model(data: Path) -> None:
    listed = _do("collections", "list", data=data)
    assert listed.stdout == "faq: 60 documents, 120 passages, vectors of tiny\n"
    (row,) = json.loads(_do("collections", "list", "--json", data=data).stdout)
    described = json.loads(_do("collections", "info", "faq", "--json", data=data).stdout)
    assert row == described
    assert described["documents"] == 60
    assert (described["model"], described["dimension"]) == ("tiny", WIDTH)
    readable = _do("collections", "info", "faq", data=data).stdout
    assert "documents   60\n" in readable
    assert "reembedded  -\n" in readable


def test_an_empty_folder_has_no_collections(tmp_path: Path) -> None:
    done = _do("collections", "list", data=tmp_path / "none")
    assert not done.stdout
    assert "ssang index" in done.stderr
    assert not (tmp_path / "none").exists()
    for command in (["info", "x"], ["export", "x"], ["backup", "x", tmp_path / "b"]):
        assert "no such collection" in refusal_here("collections", *command, "--data-dir", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_imported_the_same(data: Path, other_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "faq.jsonl"
    done = _do("collections", "export", "faq", "-o", output, data=data)
    assert done.stderr == "60 documents of faq are written.\n"
    lines = output.read_text(encoding="utf-8")
    assert lines.count("\n") == 60
    first = json.loads(lines.partition("\n")[0])
    assert set(first) == {"id", "title", "text", "metadata"}
    assert first["metadata"]["type"] == "인증서"
    assert _do("collections", "export", "faq", data=data).stdout == lines
    # Into another place, with another model.
    copy = tmp_path / "copy"
    done = _do("collections", "import", "faq", output, data=copy, model=other_model)
    assert done.stderr == "60 documents are new in faq.\n"
    assert _do("collections", "export", "faq", data=copy).stdout == lines
    with _searching(copy, other_model) as collection:
        assert _finds(collection)
    done = _do("collections", "import", "faq", "-", data=copy, model=other_model, stdin=lines)
    assert done.stderr == "0 documents are new in faq, 60 were there already.\n"


def test_a_backup_is_whole_and_put_back_by_placing_it(
    data: Path, model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "faq.sqlite"
    output.write_bytes(b"an older one")
    done = _do("collections", "backup", "faq", output, data=data)
    assert done.stderr == f"faq is copied to {output}: {output.stat().st_size:,} bytes.\n"
    with closing(sqlite3.connect(output)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    place = tmp_path / "other" / "collections" / "faq" / "documents.sqlite"
    place.parent.mkdir(parents=True)
    output.rename(place)
    with _searching(tmp_path / "other", model) as collection:
        assert _finds(collection)


def test_embedding_anew_makes_another_model_search(
    data: Path, model: Path, other_model: Path
) -> None:
    with _searching(data, other_model) as collection, pytest.raises(Conflict, match="reembed"):
        _finds(collection)
    done = _do("collections", "reembed", "faq", data=data, model=other_model)
    assert done.stderr == "faq is searched with other.\n"
    with _searching(data, other_model) as collection:
        assert _finds(collection)
    described = json.loads(_do("collections", "info", "faq", "--json", data=data).stdout)
    assert (described["model"], described["documents"]) == ("other", 60)


def test_deleting_asks_first(data: Path) -> None:
    for answer in ("n\n", ""):
        done = ssang_here("collections", "delete", "faq", "--data-dir", data, stdin=answer)
        assert done.returncode == 1
        assert "Delete faq with its 60 documents?" in done.stderr
    _do("collections", "info", "faq", data=data)
    _do("collections", "delete", "faq", data=data, stdin="y\n")
    assert "no such collection" in refusal_here("collections", "info", "faq", "--data-dir", data)
    assert not list(data.rglob("*.sqlite*"))


def test_a_failed_export_leaves_the_old_file(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "faq.jsonl"
    output.write_text("old")
    refusal_here("collections", "export", "none", "-o", output, "--data-dir", data)
    assert output.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "faq.jsonl"]
