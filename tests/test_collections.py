"""Collections over HTTP, in this process and under a gunicorn with two workers."""

import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from running_service import RunningService, StartService, wait_until
from tiny_model import save_bert

from inference.corpus import indexing
from inference.engine import Engine
from inference.lifecycle import State
from inference.model import open_model
from webapp import create_app
from webapp.settings import Settings

FAQ = [
    {
        "id": "card/lost",
        "title": "카드를 잃어버렸어요",
        "text": "분실 신고는 24시간 받습니다.",
        "metadata": {"type": "카드", "views": 30},
    },
    {
        "id": "certificate",
        "title": "인증서가 만료되었어요",
        "text": "앱의 인증 메뉴에서 다시 발급받으실 수 있습니다.",
        "metadata": {"type": "인증서", "views": 7},
    },
    {"id": "hours", "text": "영업점은 평일 9시부터 16시까지 엽니다.", "metadata": {"views": 11}},
]

CSV = (
    "no,Category,Information,type,Source\n1,카드 분실,신고하세요.,카드,a\n2,인증서 갱신,,인증서,b\n"
)

Lines = list[dict[str, Any]]

_SERVE = f"{sys.executable} -m webapp.cli serve"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


Create = Callable[..., Flask]


@pytest.fixture(scope="module")
def create() -> Iterator[Create]:
    """Makes applications around an engine, with settings as keyword arguments."""
    made: list[Flask] = []

    def create(engine: Engine, **settings: Any) -> Flask:
        made.append(create_app(Settings(**settings), engine))
        return made[-1]

    yield create
    for own in made:
        own.extensions["ssang"].corpus.close()
        if "ssang.async" in own.extensions:
            own.extensions["ssang.async"].stop()


@pytest.fixture(scope="module")
def app(app: Flask, create: Create, engine: Engine, data_dir: Path) -> Flask:
    """The application with a data folder of its own."""
    own = create(engine, data_dir=str(data_dir), cors_origins=("https://a.example",))
    own.test_client_class = app.test_client_class
    return own


@pytest.fixture
def faq(client: FlaskClient) -> Iterator[str]:
    """Address of a collection with three documents."""
    url = "/api/collections/faq"
    assert client.put(url).status_code == 201
    assert client.post(f"{url}/documents", json={"documents": FAQ}).status_code == 200
    yield url
    client.delete(url)


def _upload(client: FlaskClient, url: str, content: str | bytes, name: str = "a.csv") -> Any:
    content = content.encode() if isinstance(content, str) else content
    return client.post(f"{url}/documents", data={"file": (io.BytesIO(content), name)})


def _lines(response: Any) -> Lines:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def _rows(first: int, last: int) -> str:
    return "id,text\n" + "".join(f"{n},{n}번 안내입니다.\n" for n in range(first, last))


# Collections


def test_a_collection_is_made_once_shown_listed_and_deleted(client: FlaskClient) -> None:
    made = client.put("/api/collections/민원")
    assert made.status_code == 201
    info = made.get_json()
    assert info["created"] > 1.7e9
    assert {name: value for name, value in info.items() if name != "created"} == {
        "name": "민원",
        "documents": 0,
        "passages": 0,
        "model": None,
        "dimension": None,
        "index": "exact",
        "reembedded": None,
        "searchable": True,
    }
    again = client.put("/api/collections/민원")
    assert (again.status_code, again.get_json()) == (200, info)
    assert client.get("/api/collections/민원").get_json() == info
    assert client.get("/api/collections").get_json() == {"collections": [info]}
    gone = client.delete("/api/collections/민원")
    assert (gone.status_code, gone.data) == (204, b"")
    assert client.get("/api/collections").get_json() == {"collections": []}


def test_info_counts_what_is_in_it(client: FlaskClient, faq: str, engine: Engine) -> None:
    info = client.get(faq).get_json()
    assert (info["documents"], info["passages"]) == (3, 5)
    assert (info["model"], info["dimension"]) == ("ko-mini", engine.info().dimension)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/documents"),
        ("POST", "/documents"),
        ("GET", "/documents/1"),
        ("DELETE", "/documents/1"),
        ("POST", "/search"),
    ],
)
@pytest.mark.parametrize(("name", "status"), [("nothing", 404), ("FAQ", 422), ("..", 422)])
def test_unknown_and_impossible_names(
    client: FlaskClient, method: str, path: str, name: str, status: int
) -> None:
    body = {"POST/search": {"query": "가"}, "POST/documents": {"documents": [{"text": "가"}]}}
    response = client.open(
        f"/api/collections/{name}{path}", method=method, json=body.get(method + path)
    )
    assert response.status_code == status
    assert response.get_json()["error"]["details"][0]["item"] == "name"


# Documents


def test_documents_are_added_replaced_or_left_alone(client: FlaskClient, faq: str) -> None:
    changed = {**FAQ[0], "text": "앱에서도 신고하실 수 있습니다."}
    documents = [changed, FAQ[1], {"text": "새 안내입니다."}]
    reply = client.post(f"{faq}/documents", json={"documents": documents}).get_json()
    assert (reply["replaced"], reply["unchanged"]) == (["card/lost"], ["certificate"])
    (new,) = reply["added"]
    assert client.get(f"{faq}/documents/card/lost").get_json() == changed
    assert client.get(f"{faq}/documents/{new}").get_json() == {
        "id": new,
        "title": "",
        "text": "새 안내입니다.",
        "metadata": {},
    }


@pytest.mark.parametrize(
    ("document", "item"),
    [
        ({"text": "  "}, "documents[3].text"),
        ({"title": "제목"}, "documents[3].text"),
        ({"text": 3}, "documents[3].text"),
        ({"text": "가", "id": " a"}, "documents[3].id"),
        ({"text": "가", "metadata": {"a": {"b": 1}}}, "documents[3].metadata"),
        ({"text": "가", "metadata": {"a": None}}, "documents[3].metadata"),
        ({"text": "가", "meta": {}}, "documents[3].meta"),
    ],
)
def test_one_wrong_document_is_named_and_nothing_is_put_in(
    client: FlaskClient, faq: str, document: dict[str, Any], item: str
) -> None:
    good = [{"text": f"{number}번"} for number in range(3)]
    response = client.post(f"{faq}/documents", json={"documents": [*good, document]})
    assert response.status_code == 422
    assert response.get_json()["error"]["details"][0]["item"] == item
    assert client.get(faq).get_json()["documents"] == 3


def test_documents_are_listed_in_their_order_by_pages_and_filters(
    client: FlaskClient, faq: str
) -> None:
    def ids(**query: Any) -> tuple[list[str], int]:
        page = client.get(f"{faq}/documents", query_string=query).get_json()
        return [document["id"] for document in page["documents"]], page["total"]

    assert ids() == (["card/lost", "certificate", "hours"], 3)
    assert ids(offset=1, limit=1) == (["certificate"], 3)
    assert ids(offset=9) == ([], 3)
    assert ids(filter='{"type": ["인증서", "대출"]}') == (["certificate"], 1)
    assert ids(filter='{"views": {"gte": 10}}') == (["card/lost", "hours"], 2)


@pytest.mark.parametrize(
    ("query", "status", "item"),
    [
        ({"filter": "{"}, 400, None),
        ({"filter": "[]"}, 422, "filter"),
        ({"filter": '{"views": {"above": 3}}'}, 422, "filter"),
        ({"limit": 0}, 422, "limit"),
        ({"offset": -1}, 422, "offset"),
        ({"offset": 2**63}, 422, "offset"),
        ({"page": 2}, 422, "page"),
    ],
)
def test_lists_that_cannot_be_made(
    client: FlaskClient, faq: str, query: dict[str, Any], status: int, item: str | None
) -> None:
    response = client.get(f"{faq}/documents", query_string=query)
    assert response.status_code == status
    if item:
        assert response.get_json()["error"]["details"][0]["item"].startswith(item)


def test_a_document_is_taken_out_once(client: FlaskClient, faq: str) -> None:
    assert client.delete(f"{faq}/documents/card/lost").status_code == 204
    assert client.delete(f"{faq}/documents/card/lost").status_code == 404
    assert client.get(f"{faq}/documents/card/lost").status_code == 404
    hits = client.post(f"{faq}/search", json={"query": "카드를 잃어버렸어요"}).get_json()["hits"]
    assert "card/lost" not in [hit["document"]["id"] for hit in hits]


@pytest.mark.parametrize(
    "given", ["/a", "a/", "a//b", "//", "https://a.example/?q=1#b", "50%2F", ".."]
)
def test_an_id_may_hold_anything_visible(client: FlaskClient, faq: str, given: str) -> None:
    documents = [{"id": given, "text": "이것"}, {"id": given.strip("/") + "x", "text": "저것"}]
    client.post(f"{faq}/documents", json={"documents": documents})
    url = f"{faq}/documents/{quote(given, safe='')}"
    assert client.get(url).get_json()["text"] == "이것"
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404


# Search


def test_the_title_or_the_text_is_found_and_marked(
    client: FlaskClient, faq: str, engine: Engine
) -> None:
    asked = {"query": "체크카드를 분실했어요", "mode": "vector", "top_k": 2}
    reply = client.post(f"{faq}/search", json=asked).get_json()
    assert (reply["model"], reply["mode"], len(reply["hits"])) == ("ko-mini", "vector", 2)
    assert set(reply["timing_ms"]) == {"embed", "search"}
    best = reply["hits"][0]
    assert best["document"] == FAQ[0]
    title = FAQ[0]["title"]
    assert best["passage"] == {"field": "title", "start": 0, "end": len(str(title)), "text": title}
    pair = engine.score_pairs([(str(asked["query"]), str(title))]).pairs[0]
    assert best["similarity"] == pytest.approx(float(pair.score), abs=1e-4)
    assert (best["score"], best["grade"]) == (best["similarity"], pair.grade)


def test_a_passage_of_a_long_text_is_marked_by_code_points(client: FlaskClient, faq: str) -> None:
    story = "😀 날씨가 맑고 바람이 시원합니다. " * 60
    told = "주차장은 지하 2층에 있습니다."
    document = {"id": "long", "text": story + told + " " + story}
    client.post(f"{faq}/documents", json={"documents": [document]})
    for mode in ("vector", "keyword", "hybrid"):
        asked = {"query": "주차장은 지하 몇 층에 있나요?", "mode": mode, "top_k": 1}
        (hit,) = client.post(f"{faq}/search", json=asked).get_json()["hits"]
        passage = hit["passage"]
        assert told in passage["text"], mode
        assert passage["text"] == document["text"][passage["start"] : passage["end"]]
        assert passage["end"] - passage["start"] < len(document["text"]) / 2


def test_words_have_no_cosine(client: FlaskClient, faq: str) -> None:
    asked = {"query": "인증서 만료", "mode": "keyword"}
    (hit,) = client.post(f"{faq}/search", json=asked).get_json()["hits"]
    assert hit["document"]["id"] == "certificate"
    assert hit["similarity"] is None
    assert hit["grade"] is None


def test_pages_filters_and_a_least_score(client: FlaskClient, faq: str) -> None:
    def ids(**asked: Any) -> list[str]:
        body = {"query": "카드를 잃어버렸어요", **asked}
        reply = client.post(f"{faq}/search", json=body).get_json()
        return [hit["document"]["id"] for hit in reply["hits"]]

    whole = ids()
    assert len(whole) == 3
    assert [*ids(top_k=1), *ids(offset=1, top_k=1), *ids(offset=2)] == whole
    assert ids(filter={"type": "인증서"}) == ["certificate"]
    assert ids(filter={"views": {"lt": 20}, "type": "카드"}) == []
    assert ids(min_score=0.99) == ["card/lost"]


@pytest.mark.parametrize(
    ("asked", "item"),
    [
        ({"query": " "}, "query"),
        ({}, "query"),
        ({"query": "가", "mode": "fuzzy"}, "mode"),
        ({"query": "가", "top_k": 0}, "top_k"),
        ({"query": "가", "top_k": 1001}, "top_k"),
        ({"query": "가", "offset": 10_001}, "offset"),
        ({"query": "가", "mode": "keyword", "min_score": 0.5}, "min_score"),
        ({"query": "가", "filter": {"type": None}}, "filter"),
        ({"query": "가", "k": 3}, "k"),
    ],
)
def test_searches_that_cannot_be_made(
    client: FlaskClient, faq: str, asked: dict[str, Any], item: str
) -> None:
    response = client.post(f"{faq}/search", json=asked)
    assert response.status_code == 422
    assert response.get_json()["error"]["details"][0]["item"].startswith(item)


# Files


def test_a_file_is_put_in_and_its_bad_rows_are_told(client: FlaskClient, faq: str) -> None:
    start, fault, progress, summary = _lines(_upload(client, faq, CSV.encode("cp949")))
    assert start == {
        "start": {
            "format": "csv",
            "encoding": "cp949",
            "columns": ["no", "Category", "Information", "type", "Source"],
            "title_column": "Category",
            "text_column": "Information",
        }
    }
    assert fault["fault"]["row"] == 2
    assert fault["fault"]["error"]["code"] == "invalid_input"
    assert "Information" in fault["fault"]["error"]["message"]
    totals = {"rows": 2, "added": 1, "replaced": 0, "unchanged": 0, "failed": 1}
    assert progress == {"progress": totals}
    assert summary["summary"].pop("seconds") > 0
    assert summary == {"summary": totals}
    (found,) = client.get(f'{faq}/documents?filter={{"Source": "a"}}').get_json()["documents"]
    assert (found["title"], found["text"]) == ("카드 분실", "신고하세요.")
    assert _lines(_upload(client, faq, CSV))[-2]["progress"]["unchanged"] == 1


def test_columns_format_and_encoding_can_be_named(client: FlaskClient, faq: str) -> None:
    content = "번호\t물음\t풀이\n7\t어디\t여기\n".encode("utf-16")
    form = {"title_column": "물음", "text_column": "풀이", "id_column": "번호"}
    data = {**form, "format": "tsv", "encoding": "utf-16", "file": (io.BytesIO(content), "a")}
    start, _, summary = _lines(client.post(f"{faq}/documents", data=data))
    assert start["start"]["title_column"] == "물음"
    assert summary["summary"]["added"] == 1
    assert client.get(f"{faq}/documents/7").get_json()["title"] == "어디"


def test_a_row_that_comes_again_in_its_file_is_counted(client: FlaskClient, faq: str) -> None:
    content = "id,text\na,하나\na,하나\na,둘\nhours,셋\n"
    summary = _lines(_upload(client, faq, content))[-1]["summary"]
    counted = [summary[name] for name in ("rows", "added", "replaced", "unchanged", "failed")]
    assert counted == [4, 1, 2, 1, 0]
    assert client.get(f"{faq}/documents/a").get_json()["text"] == "둘"


@pytest.mark.parametrize(
    ("content", "name", "fields", "status"),
    [
        ("", "a.csv", {}, 422),
        ("가,나\n1,2\n", "a.csv", {}, 422),
        ("text\n가\n", "a.csv", {"title_column": "제목"}, 422),
        ("text\n가\n", "a.csv", {"encoding": "utf-16"}, 422),
        ("text\n가\n", "a.csv", {"format": "xml"}, 422),
        ("text\n가\n", "a.csv", {"columns": "text"}, 422),
        (b"%PDF-1.4 torn", "a.pdf", {}, 422),
    ],
)
def test_files_that_cannot_be_read_are_refused_at_once(
    client: FlaskClient,
    faq: str,
    content: str | bytes,
    name: str,
    fields: dict[str, str],
    status: int,
) -> None:
    content = content.encode() if isinstance(content, str) else content
    data = {**fields, "file": (io.BytesIO(content), name)}
    response = client.post(f"{faq}/documents", data=data)
    assert response.status_code == status
    assert client.get(faq).get_json()["documents"] == 3


def test_neither_json_nor_a_form_is_refused(client: FlaskClient, faq: str) -> None:
    response = client.post(f"{faq}/documents", data="가", content_type="text/plain")
    assert response.status_code == 415
    assert client.post(f"{faq}/documents", data={"file": "가"}).status_code == 415
    form = {"data": {"file": "가"}, "content_type": "multipart/form-data"}
    assert client.post(f"{faq}/documents", **form).status_code == 422


def test_what_progress_tells_is_stored(
    app: Flask, client: FlaskClient, faq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_BATCH_ROWS", 32)
    told = []
    response = app.test_client().post(
        f"{faq}/documents",
        data={"file": (io.BytesIO(_rows(0, 100).encode()), "a.csv")},
        buffered=False,
    )
    for piece in response.response:
        for line in map(json.loads, piece.splitlines()):
            if "progress" in line:
                told.append(line["progress"]["added"])
                assert client.get(faq).get_json()["documents"] >= 3 + told[-1]
    response.close()
    assert told == [32, 64, 96, 100]


def test_work_stops_at_a_batch_when_the_client_leaves(
    app: Flask, client: FlaskClient, faq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_BATCH_ROWS", 32)
    response = app.test_client().post(
        f"{faq}/documents",
        data={"file": (io.BytesIO(_rows(0, 2000).encode()), "a.csv")},
        buffered=False,
    )
    assert b"start" in next(iter(response.response))
    response.close()
    stored = client.get(faq).get_json()["documents"] - 3
    assert stored < 2000
    assert stored % 32 == 0


def test_an_error_in_the_middle_keeps_what_was_told(
    app: Flask, client: FlaskClient, faq: str
) -> None:
    """The collection is deleted, and made again, while a file is put in."""
    response = app.test_client().post(
        f"{faq}/documents",
        data={"file": (io.BytesIO(_rows(0, 500).encode()), "a.csv")},
        buffered=False,
    )
    lines = response.iter_encoded()
    next(lines)
    client.delete(faq)
    *_, last = b"".join(lines).splitlines()
    response.close()
    error = json.loads(last)["error"]
    assert error["code"] == "not_found"
    assert client.get(faq).status_code == 404


def test_uploads_take_places_of_streams(create: Create, engine: Engine, tmp_path: Path) -> None:
    app = create(engine, threads=8, data_dir=str(tmp_path))
    client = app.test_client()
    url = "/api/collections/faq"
    client.put(url).close()
    places = app.extensions["ssang"].streams
    for _ in range(3):
        places.take()
    response = _upload(client, url, CSV)
    assert response.status_code == 429
    response.close()
    client.post(f"{url}/documents", json={"documents": FAQ}).close()
    assert client.get(url, buffered=True).get_json()["documents"] == 3
    for _ in range(3):
        places.give_back()
    for _ in range(4):
        with _upload(client, url, CSV) as response:
            assert response.status_code == 200


# Who may write


def test_a_form_of_another_site_is_refused(client: FlaskClient, faq: str) -> None:
    """A browser asks before it sends JSON to another site, or PUT or DELETE; not so a form."""

    def upload(**headers: str) -> int:
        data = {"file": (io.BytesIO(b"text\nspam\n"), "a.csv")}
        response = client.post(f"{faq}/documents", data=data, headers=headers)
        return response.status_code

    assert upload(**{"Sec-Fetch-Site": "cross-site", "Origin": "https://b.example"}) == 401
    assert upload(Origin="https://b.example") == 401
    assert client.get(faq).get_json()["documents"] == 3
    assert upload(**{"Sec-Fetch-Site": "cross-site", "Origin": "https://a.example"}) == 200
    assert upload(**{"Sec-Fetch-Site": "same-origin"}) == 200


def test_keys_guard_collections(create: Create, engine: Engine, tmp_path: Path, app: Flask) -> None:
    locked = create(engine, data_dir=str(tmp_path), api_keys=("key",))
    locked.test_client_class = app.test_client_class
    client, key = locked.test_client(), {"X-API-Key": "key"}
    url = "/api/collections/faq"
    assert client.put(url).status_code == 401
    assert client.put(url, headers=key).status_code == 201
    assert _upload(client, url, CSV).status_code == 401
    assert client.get(url).status_code == 401
    assert client.get(url, headers=key).get_json()["documents"] == 0


# Models and folders


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def tiny_engine(tiny: Path) -> Iterator[Engine]:
    engine = Engine(open_model(str(tiny)))
    engine.start()
    wait_until(lambda: engine.state is State.READY)
    yield engine
    engine.close()


def test_vectors_of_another_model_are_a_conflict_that_names_the_mend(
    app: Flask,
    client: FlaskClient,
    create: Create,
    faq: str,
    data_dir: Path,
    tiny_engine: Engine,
) -> None:
    other = create(tiny_engine, data_dir=str(data_dir))
    other.test_client_class = app.test_client_class
    theirs = other.test_client()
    info = theirs.get(faq).get_json()
    assert (info["model"], info["searchable"]) == ("ko-mini", False)
    assert client.get(faq).get_json()["searchable"]
    for response in (
        theirs.post(f"{faq}/search", json={"query": "카드"}),
        theirs.post(f"{faq}/documents", json={"documents": [{"text": "새 글"}]}),
        _upload(theirs, faq, CSV),
    ):
        assert response.status_code == 409
        error = response.get_json()["error"]
        assert error["code"] == "conflict"
        assert "ssang" in error["message"]
    words = theirs.post(f"{faq}/search", json={"query": "카드", "mode": "keyword"}).get_json()
    assert words["hits"][0]["document"]["id"] == "card/lost"


def test_nothing_is_written_before_a_collection_is_made(
    create: Create, engine: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    app = create(engine, data_dir=str(folder))
    collections = folder / "collections"
    with app.test_client().get("/api/collections") as response:
        assert response.get_json() == {"collections": []}
    assert not collections.exists()
    app.test_client().put("/api/collections/faq").close()
    assert collections.exists()


def test_a_folder_that_cannot_be_written_stops_collections_alone(
    create: Create, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.write_text("a file, below which there is nothing")
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    client = create(engine).test_client()
    with client.put("/api/collections/faq") as response:
        assert response.status_code == 409
        assert "--data-dir" in response.get_json()["error"]["message"]
    with client.post("/api/embed", json={"texts": "가"}) as response:
        assert response.status_code == 200


def test_a_cluster_s_password_is_told_to_nobody(
    create: Create, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    address = "opensearch+http://user:pass-of-cluster@127.0.0.1:9"
    app = create(engine, corpus=address)
    client = app.test_client()
    caplog.set_level("DEBUG")
    with client.get("/api/info") as info, client.get("/api/collections") as response:
        assert response.status_code == 503
        assert "pass-of-cluster" not in info.get_data(as_text=True) + response.get_data(
            as_text=True
        )
    assert "pass-of-cluster" not in caplog.text


def test_metrics_and_the_log_tell_numbers_and_no_text(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    def metric(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name + " "))

    names = [
        *('ssang_collection_documents_total{outcome="added"}',),
        *('ssang_collection_documents_total{outcome="removed"}',),
        *('ssang_search_seconds_count{mode="keyword"}',),
    ]
    before = [metric(name) for name in names]
    url = "/api/collections/numbers"
    client.put(url)
    with caplog.at_level("INFO", "webapp.observation"):
        client.post(f"{url}/documents", json={"documents": FAQ})
        _upload(client, url, CSV)
        client.post(f"{url}/search", json={"query": "카드 분실", "mode": "keyword"})
    client.delete(f"{url}/documents/hours")
    client.delete(url)
    assert [metric(name) for name in names] == [before[0] + 4, before[1] + 1, before[2] + 1]
    noted = [vars(record) for record in caplog.records if record.message == "request"]
    added, uploaded, searched = noted
    assert (added["texts"], added["added"]) == (3, 3)
    assert (uploaded["rows"], uploaded["failed"], uploaded["outcome"]) == (2, 1, "complete")
    assert (searched["mode"], searched["hits"]) == ("keyword", 2)
    assert "분실" not in str(noted)


# Under gunicorn


@pytest.fixture(scope="module")
def service(
    tiny: Path, start_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> RunningService:
    return start_service(
        model=tiny, workers=2, compute_threads=1, data_dir=tmp_path_factory.mktemp("shared")
    )


def _on_both(service: RunningService, ask: Callable[[], bool]) -> bool:
    """Whether all of many requests, on connections of their own, are answered so."""
    with ThreadPoolExecutor(8) as pool:
        return all(pool.map(lambda _: ask(), range(24)))


def test_workers_see_each_other_s_writes(service: RunningService) -> None:
    url = f"{service.url}/api/collections/seen"
    requests.put(url, timeout=30).raise_for_status()

    def found(text: str) -> bool:
        asked = {"query": text, "mode": "vector"}
        hits = requests.post(f"{url}/search", json=asked, timeout=30).json()["hits"]
        return text in [hit["document"]["id"] for hit in hits]

    def sees(text: str) -> bool:
        return _on_both(service, lambda: found(text))

    texts = [f"{number}번 고객님께 드리는 안내" for number in range(5)]
    assert not any(map(found, texts))
    for text in texts:
        body = {"documents": [{"id": text, "text": text}]}
        requests.post(f"{url}/documents", json=body, timeout=30).raise_for_status()
        wait_until(lambda text=text: sees(text), timeout_s=10)  # type: ignore[misc]
    requests.delete(f"{url}/documents/{texts[0]}", timeout=30).raise_for_status()
    wait_until(lambda: _on_both(service, lambda: not found(texts[0])), timeout_s=10)
    requests.delete(url, timeout=30).raise_for_status()
    assert _on_both(service, lambda: requests.get(url, timeout=30).status_code == 404)


def test_overlapping_files_at_once_lose_and_double_nothing(service: RunningService) -> None:
    url = f"{service.url}/api/collections/crowd"
    requests.put(url, timeout=30).raise_for_status()
    together = threading.Barrier(4)

    def upload(first: int) -> dict[str, int]:
        together.wait()
        files = {"file": ("a.csv", _rows(first, first + 300).encode())}
        answer = requests.post(f"{url}/documents", files=files, timeout=120).text
        summary: dict[str, int] = json.loads(answer.splitlines()[-1])["summary"]
        return summary

    with ThreadPoolExecutor(4) as pool:
        summaries = list(pool.map(upload, [0, 100, 200, 300]))
    assert [(summary["rows"], summary["failed"]) for summary in summaries] == [(300, 0)] * 4
    assert sum(summary["added"] for summary in summaries) == 600
    assert sum(summary["unchanged"] for summary in summaries) == 600
    page = requests.get(f"{url}/documents", {"limit": 1000}, timeout=30).json()
    assert sorted(int(document["id"]) for document in page["documents"]) == list(range(600))
    assert requests.get(url, timeout=30).json()["passages"] == 600


def test_a_full_disk_is_told_and_tears_nothing(
    tiny: Path, start_service: StartService, tmp_path: Path
) -> None:
    """No file may grow over 4 MiB, which to SQLite is as bad as a disk that is full."""
    command = ["bash", "-c", f"ulimit -f 4096; exec {_SERVE}"]
    service = start_service(command, model=tiny, compute_threads=1, data_dir=tmp_path)
    url = f"{service.url}/api/collections/full"
    requests.put(url, timeout=30).raise_for_status()
    filler = "가" * 8000

    def batch(number: int) -> list[dict[str, Any]]:
        return [
            {"id": f"{number}-{n}", "text": f"{number}-{n}", "metadata": {"filler": filler}}
            for n in range(40)
        ]

    stored = 0
    for number in range(20):
        body = {"documents": batch(number)}
        response = requests.post(f"{url}/documents", json=body, timeout=60)
        if response.status_code == 507:
            break
        assert response.status_code == 200
        stored += len(response.json()["added"])
    assert response.json()["error"]["code"] == "storage_full"
    assert 0 < stored < 800
    rows = "".join(json.dumps(document) + "\n" for document in batch(99))
    answer = requests.post(f"{url}/documents", files={"file": ("a.jsonl", rows)}, timeout=60)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert told[-1]["error"]["code"] == "storage_full"
    stored += max([line["progress"]["added"] for line in told if "progress" in line], default=0)
    assert requests.get(url, timeout=30).json()["documents"] == stored
    asked = {"query": "0-7", "mode": "vector", "min_score": 0.999}
    (hit,) = requests.post(f"{url}/search", json=asked, timeout=30).json()["hits"]
    assert hit["document"]["id"] == "0-7"
    assert "Traceback" not in service.log
