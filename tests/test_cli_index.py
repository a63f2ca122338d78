"""``ssang index`` and ``ssang search`` on real files, with a small model."""

import json
import signal
from pathlib import Path

import pytest
from running_service import wait_until
from ssang_command import (
    Completed,
    named_pipe,
    refusal,
    refusal_here,
    ssang,
    ssang_here,
    start,
)
from tiny_model import SENTENCES, save_bert

from inference.corpus.base import CollectionInfo, Document
from webapp.commands.corpus import opened_corpus
from webapp.settings import Settings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def sample(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample FAQ as collection ``faq``."""
    data = tmp_path_factory.mktemp("data")
    done = _index(data, "faq", "--sample", model=model)
    assert done.stderr == "60 documents are new in faq.\n"
    return data


def _index(data: Path, *arguments: object, model: Path) -> Completed:
    done = ssang("index", "--data-dir", data, *arguments, model=model)
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    return done


def _kept(data: Path, name: str) -> list[Document]:
    with opened_corpus(Settings(data_dir=str(data))) as corpus:
        return list(corpus.open(name).iterate())


def _info(data: Path, name: str) -> CollectionInfo:
    with opened_corpus(Settings(data_dir=str(data))) as corpus:
        return corpus.open(name).info()


def test_named_pipe_goes_in_like_a_file(model: Path, tmp_path: Path) -> None:
    pipe = named_pipe(tmp_path / "pipe", "제목,내용\n가,나\n".encode("cp949"))
    _index(tmp_path / "data", "a", pipe, model=model)
    assert [document.text for document in _kept(tmp_path / "data", "a")] == ["나"]


def test_files_and_folders_go_in_and_what_is_bad_is_told(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "b").mkdir(parents=True)
    (folder / "a.csv").write_bytes("제목,내용,type\n가,나,x\n다,,y\n라,마,\n".encode("cp949"))
    (folder / "b" / "c.md").write_text("# 여권\n신청하세요.\n", encoding="utf-8")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    extra = tmp_path / "extra.jsonl"
    extra.write_text('{"id": "x", "text": "추가"}\nnothing\n', encoding="utf-8")
    data = tmp_path / "data"
    done = _index(data, "docs", folder, extra, model=model)
    told = done.stderr.splitlines()
    assert told[0] == f"{folder / 'a.csv'}, row 2: '내용' is empty."
    assert told[1] == f"{folder / 'empty.txt'}: The file is empty."
    assert told[2] == f"{folder}: 1 files of other formats are passed over."
    assert told[3].startswith(f"{extra}, row 2: The line is not JSON")
    assert told[4:] == ["4 documents are new in docs, 3 could not be read."]
    documents = {document.text: document for document in _kept(data, "docs")}
    assert set(documents) == {"나", "마", "신청하세요.", "추가"}
    assert documents["나"].title == "가"
    assert documents["나"].metadata == {"type": "x"}
    assert documents["신청하세요."].metadata == {"source": "b/c.md"}
    assert documents["추가"].id == "x"
    # Again, with one changed.
    extra.write_text('{"id": "x", "text": "바뀐 글"}\n', encoding="utf-8")
    done = _index(data, "docs", folder / "a.csv", extra, model=model)
    last = done.stderr.splitlines()[-1]
    assert last == (
        "0 documents are new in docs, 1 replaced older ones, 2 were there already, "
        "1 could not be read."
    )
    assert {document.text for document in _kept(data, "docs")} == {
        "나",
        "마",
        "신청하세요.",
        "바뀐 글",
    }


def test_columns_format_and_encoding_may_be_named(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "export.dat"
    path.write_text("코드\t요약\t설명\nk-1\t제목\t글\n", encoding="utf-16")
    options = ["--title-column", "요약", "--text-column", "설명", "--id-column", "코드"]
    options += ["--format", "tsv", "--encoding", "utf-16"]
    _index(tmp_path, "이름", path, *options, model=model)
    assert _kept(tmp_path, "이름") == [Document("k-1", "글", "제목", {})]


def test_what_cannot_go_in_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    data = ["--data-dir", tmp_path / "data"]
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    done = ssang_here("index", "faq", path, *data)
    assert done.returncode == 1
    no_column, no_document = done.stderr.splitlines()
    assert no_column.startswith(f"{path}: The file has no column for the text")
    assert no_document == "Error: There is no document to put in."
    assert "lower-case" in refusal_here("index", "FAQ", "--sample", *data)
    assert ssang_here("index", "faq", *data).returncode == 2
    assert not (tmp_path / "data").exists()


def test_a_title_finds_its_own_entry_among_those_of_a_filter(sample: Path, model: Path) -> None:
    filters = ["--filter", "type=카드", "--filter", "type=보안", "--filter", '{"no": {"lt": 29}}']
    question = "카드를 잃어버렸습니다."
    done = ssang(
        *("search", "--data-dir", sample, "faq", question, "--mode", "vector", "--json"),
        *("--top-k", "50", *filters),
        model=model,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["model"], answer["mode"]) == ("tiny", "vector")
    first, second, *_ = answer["hits"]
    assert first["document"]["title"] == question
    assert first["document"]["metadata"] == {"no": "10", "type": "카드", "Source": "은행"}
    assert first["passage"] == {"field": "title", "start": 0, "end": 12, "text": question}
    assert first["similarity"] == pytest.approx(1.0, abs=1e-4)
    assert first["grade"] == "high"
    assert second["score"] < first["score"]
    found = [int(hit["document"]["metadata"]["no"]) for hit in answer["hits"]]
    assert sorted(found) == [10, 11, 12, 13, 14, 28]


def test_the_least_score_narrows_what_is_shown(sample: Path, model: Path) -> None:
    arguments = ["search", "--data-dir", sample, "faq", "카드를 잃어버렸습니다."]
    done = ssang(*arguments, "--mode", "vector", "--min-score", "0.9999", model=model)
    title, text, figures, *_ = done.stdout.splitlines()
    assert title == " 1. 카드를 잃어버렸습니다."
    assert text.startswith("    바로 고객센터나 앱에서 분실 신고를")
    assert figures == "    score 1.0000, cosine 1.0000 (high)"
    shown = [line for line in done.stdout.splitlines() if line.startswith("    score")]
    # The tiny model takes a few of the sample's words for the same.
    assert len(shown) < 5
    assert set(shown) == {figures}


def test_results_are_readable_and_words_need_no_model(sample: Path) -> None:
    arguments = ["search", "--data-dir", sample, "faq", "여권 사진", "--mode", "keyword"]
    done = ssang_here(*arguments, "-k", "1")
    assert done.returncode == 0, done.stderr
    title, text, score, metadata, *_ = done.stdout.splitlines()
    assert title == " 1. 여권 사진은 어떤 규격이어야 하나요?"
    assert text.startswith("    최근 6개월 이내에")
    assert score.startswith("    score ")
    assert "cosine" not in score
    assert metadata == "    no: 40, type: 여권, Source: 민원실"
    page = ssang_here(*arguments, "-k", "1", "--offset", "1").stdout
    assert page.startswith(" 2. ")
    assert page.splitlines()[0] in ssang_here(*arguments, "-k", "2").stdout
    done = ssang_here(*arguments, "--filter", "type=대출")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Nothing was found.\n")


def test_what_cannot_be_searched_is_one_sentence(sample: Path) -> None:
    asked = ["search", "--data-dir", sample, "--mode", "keyword"]
    assert "no such collection" in refusal_here(*asked, "none", "가")
    assert "query is empty" in refusal_here(*asked, "faq", " ")
    assert "--filter takes" in refusal_here(*asked, "faq", "가", "--filter", "type")
    assert "--filter is not JSON" in refusal_here(*asked, "faq", "가", "--filter", "{type")
    assert "min_score" in refusal_here(*asked, "faq", "가", "--min-score", "0.5")


def test_another_model_does_not_add(sample: Path, tmp_path: Path) -> None:
    other = save_bert(tmp_path / "other", seed=1)
    assert "reembed" in refusal(
        "index", "--data-dir", sample, "faq", _text_file(tmp_path), model=other
    )
    assert _info(sample, "faq").documents == 60


def _text_file(folder: Path) -> Path:
    path = folder / "new.txt"
    path.write_text("새 글", encoding="utf-8")
    return path


def test_ctrl_c_keeps_what_is_in_and_says_how_to_go_on(model: Path, tmp_path: Path) -> None:
    path, data = tmp_path / "many.csv", tmp_path / "data"
    rows = (f"{number} {SENTENCES[number % 5]}\n" for number in range(20_000))
    path.write_text("text\n" + "".join(rows).replace(",", " "), encoding="utf-8")
    process = start("index", "many", path, "--data-dir", data, model=model)
    database = data / "collections" / "many" / "documents.sqlite"
    wait_until(lambda: database.exists() and _info(data, "many").documents > 0)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "give the same command to go on" in message
    assert "Traceback" not in message
    kept = _kept(data, "many")
    assert 0 < len(kept) < 20_000
    stopped = int(message.partition("Stopped after ")[2].partition(" ")[0].replace(",", ""))
    assert stopped <= len(kept)
