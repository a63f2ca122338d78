"""Collections in OpenSearch: the real client over real sockets, with a server that plays its part.

No OpenSearch was there. The server follows its documentation, and so do these tests.
"""

import base64
import datetime
import ipaddress
import json
import logging
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hash_embedder import HashEmbedder
from opensearch_server import OpenSearchServer, opensearch_server

from inference.corpus import fusion, opensearch_client, opensearch_store
from inference.corpus.base import MODES, Collection, Document, Mode, Query
from inference.corpus.opensearch import OpenSearchCollection, OpenSearchCorpus
from inference.corpus.opensearch_client import Cluster, parse_address
from inference.corpus.opensearch_index import Space, cosine_of, sortable, space_for
from inference.errors import (
    Conflict,
    CorpusUnavailable,
    InvalidInput,
    NotFound,
    Overloaded,
    SsangError,
    StorageFull,
)
from inference.similarity import Vectors

OpenCorpus = Callable[..., OpenSearchCorpus]

DOCUMENTS = [
    Document("1", "은행 앱에서 신청합니다.", "전세자금대출은 어떻게 받나요?", {"type": "대출"}),
    Document("2", "영업점에서 다시 발급합니다.", "인증서를 잃어버렸어요", {"type": "인증서"}),
    Document("3", "집 근처 창구로 오세요.", "", {"type": ["창구", "대출"], "floor": -2}),
]


@pytest.fixture
def server() -> Iterator[OpenSearchServer]:
    with opensearch_server() as server:
        yield server


@pytest.fixture
def open_corpus(server: OpenSearchServer) -> Iterator[OpenCorpus]:
    """Opens corpora in the server; those of another model with its name."""
    opened = []

    def open_it(model: str = "first", address: str = "") -> OpenSearchCorpus:
        opened.append(OpenSearchCorpus(address or server.url, HashEmbedder(model)))
        return opened[-1]

    yield open_it
    for corpus in opened:
        corpus.close()


@pytest.fixture
def faq(open_corpus: OpenCorpus) -> OpenSearchCollection:
    """A collection of three documents."""
    corpus = open_corpus()
    corpus.create("faq")
    collection = corpus.open("faq")
    collection.add(DOCUMENTS)
    return collection


def found(collection: Collection, text: str, **options: object) -> list[str]:
    query = Query(text, **options)  # type: ignore[arg-type]
    return [hit.document.id for hit in collection.search(query).hits]


# Addresses


def test_address_is_read_in_all_its_parts() -> None:
    address = parse_address("https://me:p%40ss%2F@search.example/faq?engine=faiss&verify=false")
    assert (address.host, address.port, address.scheme) == ("search.example", 443, "https")
    assert (address.user, address.password) == ("me", "p@ss/")
    assert (address.prefix, address.engine, address.verify) == ("faq", "faiss", False)
    assert "p@ss/" not in repr(address)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://me:secret@host",
        "https://me:secret@",
        "https://me:secret@host:99999",
        "https://me:secret@host/Prefix",
        "https://me:secret@host/a/b",
        "https://me:secret@host?engine=nmslib",
        "https://me:secret@host?verify=no",
        "https://me:secret@host?color=red",
        "https://me:secret@host?auth=sigv4",
        "https://me:secret@host?auth=sigv4&region=ap-northeast-2&service=aoss",
    ],
)
def test_bad_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        OpenSearchCorpus(address, HashEmbedder())
    assert caught.value.item == "corpus"
    assert "secret" not in caught.value.message


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "inference.corpus.opensearch_client")
    monkeypatch.setitem(sys.modules, "opensearchpy", None)
    with pytest.raises(InvalidInput, match=r"pip install 'ssang\[opensearch\]'"):
        OpenSearchCorpus("https://host", HashEmbedder())


def test_password_is_sent_and_nowhere_written(
    server: OpenSearchServer, open_corpus: OpenCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = server.url.replace("http://", "http://me:%EB%B9%84%EB%B0%80@")
    open_corpus(address=address).create("faq")
    secret = base64.b64encode("me:비밀".encode()).decode()
    assert server.headers[-1]["authorization"] == f"Basic {secret}"
    assert "비밀" not in caplog.text
    assert secret not in caplog.text


def test_requests_are_signed_for_amazon(
    server: OpenSearchServer, open_corpus: OpenCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    open_corpus(address=f"{server.url}?auth=sigv4&region=ap-northeast-2").create("faq")
    signature = server.headers[-1]["authorization"]
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/ap-northeast-2/es/aws4_request" in signature


def test_certificate_is_checked_unless_told_otherwise(tmp_path: Path) -> None:
    with opensearch_server(tls=_tls_context(tmp_path)) as server:
        strict = OpenSearchCorpus(server.url, HashEmbedder())
        with pytest.raises(CorpusUnavailable, match="verify=false"):
            strict.list_collections()
        trusting = OpenSearchCorpus(f"{server.url}?verify=false", HashEmbedder())
        assert trusting.list_collections() == []
        strict.close()
        trusting.close()


def _tls_context(folder: Path) -> ssl.SSLContext:
    """Of a server whose certificate it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


# Versions, engines and scores


@pytest.mark.parametrize(
    ("engine", "version", "space"),
    [
        ("lucene", (2, 12), "cosinesimil"),
        ("lucene", (2, 13), "innerproduct"),
        ("lucene", (3, 0), "innerproduct"),
        ("faiss", (2, 12), "innerproduct"),
    ],
)
def test_space_is_one_that_the_version_has(
    engine: str, version: tuple[int, int], space: Space
) -> None:
    assert space_for(engine, version) == space


@pytest.mark.parametrize("cosine", [-1.0, -0.5, -1e-6, 0.0, 1e-6, 0.25, 0.999, 1.0])
def test_scores_are_turned_back_into_cosines(cosine: float) -> None:
    distance = 1 - cosine
    assert cosine_of((2 - distance) / 2, "cosinesimil") == pytest.approx(cosine, abs=1e-12)
    score = cosine + 1 if cosine >= 0 else 1 / (1 - cosine)
    assert cosine_of(score, "innerproduct") == pytest.approx(cosine, abs=1e-12)


@pytest.mark.parametrize("engine", ["lucene", "faiss"])
@pytest.mark.parametrize("version", ["2.12.0", "2.13.0", "2.19.1", "3.2.0"])
def test_similarities_are_cosines(version: str, engine: str) -> None:
    embedder = HashEmbedder()
    with opensearch_server(version) as server:
        corpus = OpenSearchCorpus(f"{server.url}?engine={engine}", embedder)
        collection, _ = corpus.create("faq")
        collection.add([Document(str(number), f"글 {number}") for number in range(30)])
        hits = collection.search(Query("무엇", top_k=30, mode="vector")).hits
        corpus.close()
    query = embedder.embed_query("무엇")
    expected = [float(query @ embedder.embed_query(hit.document.text)) for hit in hits]
    assert len(hits) == 30
    assert min(expected) < 0
    assert [hit.similarity for hit in hits] == pytest.approx(expected, abs=1e-5)
    assert expected == sorted(expected, reverse=True)


@pytest.mark.parametrize(
    ("version", "distribution"), [("2.11.1", "opensearch"), ("7.10.2", None), ("8.15.0", None)]
)
def test_cluster_that_cannot_do_it_is_refused(version: str, distribution: str | None) -> None:
    with opensearch_server(version, distribution) as server:
        corpus = OpenSearchCorpus(server.url, HashEmbedder())
        with pytest.raises(CorpusUnavailable, match=f"2.12 or newer.* {version}"):
            corpus.create("faq")
        corpus.close()


def test_mapping_knows_the_model(server: OpenSearchServer, faq: OpenSearchCollection) -> None:
    (stored,) = server.indices.values()
    identity = HashEmbedder().identity
    assert stored.body["mappings"]["_meta"]["ssang"]["identity"]["hash"] == identity.hash
    vector = stored.properties["passages"]["properties"]["vector"]
    assert vector["dimension"] == identity.dimension
    assert vector["method"] == {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    assert stored.body["settings"]["index.knn"] is True


@pytest.mark.parametrize(("version", "known"), [("2.19.0", False), ("3.0.0", True)])
def test_setting_is_sent_only_to_versions_that_know_it(version: str, known: bool) -> None:
    with opensearch_server(version) as server:
        corpus = OpenSearchCorpus(server.url, HashEmbedder())
        corpus.create("faq")
        corpus.close()
        (stored,) = server.indices.values()
    assert ("index.knn.derived_source.enabled" in stored.body["settings"]) is known


# Collections


def test_collections_are_made_listed_and_deleted(
    server: OpenSearchServer, open_corpus: OpenCorpus
) -> None:
    corpus = open_corpus()
    assert corpus.list_collections() == []
    assert corpus.create("faq")[1] is True
    assert corpus.create("faq")[1] is False
    corpus.create("은행-faq")
    assert [info.name for info in corpus.list_collections()] == ["faq", "은행-faq"]
    corpus.delete("faq")
    assert [info.name for info in corpus.list_collections()] == ["은행-faq"]
    for call in (corpus.open, corpus.delete):
        with pytest.raises(NotFound, match="no such collection"):
            call("faq")
    with pytest.raises(InvalidInput):
        corpus.open("FAQ")


def test_collection_made_by_another_process_at_once_is_there(
    server: OpenSearchServer, open_corpus: OpenCorpus
) -> None:
    corpus, other = open_corpus(), open_corpus()

    def be_faster(method: str, path: str) -> None:
        if method == "PUT":
            server.on_request = lambda method, path: None
            other.create("faq")

    server.on_request = be_faster
    _, new = corpus.create("faq")
    assert new is False


def test_prefixes_keep_corpora_apart(server: OpenSearchServer, open_corpus: OpenCorpus) -> None:
    one = open_corpus(address=f"{server.url}/a")
    other = open_corpus(address=f"{server.url}/a-b")
    other.create("faq")
    assert one.list_collections() == []
    with pytest.raises(NotFound):
        one.open("faq")


def test_empty_collection_has_no_model(open_corpus: OpenCorpus) -> None:
    collection, _ = open_corpus().create("faq")
    info = collection.info()
    assert (info.documents, info.passages, info.identity) == (0, 0, None)
    assert collection.search(Query("대출")).hits == []
    assert collection.list_documents().documents == []


def test_documents_are_added_replaced_and_left_alone(faq: OpenSearchCollection) -> None:
    info = faq.info()
    assert (info.documents, info.passages, info.index) == (3, 5, "hnsw")
    assert info.identity == HashEmbedder().identity
    changed = Document("2", "전화로 다시 발급합니다.", "인증서를 잃어버렸어요")
    added = faq.add([DOCUMENTS[0], Document("4", "하나"), changed, Document("4", "둘")])
    assert (added.added, added.replaced, added.unchanged) == (["4"], ["2"], ["1"])
    assert faq.get("2") == changed
    assert faq.get("4").text == "둘"
    assert [one.id for one in faq.list_documents().documents] == ["1", "2", "3", "4"]
    assert found(faq, "발급", mode="keyword") == ["2"]
    assert found(faq, "영업점", mode="keyword") == []


def test_documents_come_back_as_they_were(open_corpus: OpenCorpus) -> None:
    collection, _ = open_corpus().create("faq")
    document = Document(
        "가" * 256,
        "본문\n둘째 줄 😀",
        "제목",
        {"a.b": 1, "a": ["x", 2.5, True], "빈": "", "큰": 2**60},
    )
    collection.add([document])
    assert collection.get("가" * 256) == document
    assert list(collection.iterate()) == [document]


def test_documents_are_removed(faq: OpenSearchCollection) -> None:
    assert faq.remove(["2", "2", "none"]) == 1
    assert faq.remove(["2"]) == 0
    with pytest.raises(NotFound, match="no such document"):
        faq.get("2")
    assert faq.info().passages == 3


def test_pages_of_documents_are_in_order_however_deep(
    faq: OpenSearchCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    faq.add([Document(f"{number}", "글") for number in range(4, 15)])
    monkeypatch.setattr(opensearch_store, "WINDOW", 4)
    ids = []
    for offset in range(0, 16, 2):
        page = faq.list_documents(offset=offset, limit=2)
        assert page.total == 14
        ids += [one.id for one in page.documents]
    assert ids == [str(number) for number in range(1, 15)]


def test_iteration_is_of_one_moment(server: OpenSearchServer, faq: OpenSearchCollection) -> None:
    documents = faq.iterate()
    ids = [next(documents).id]
    faq.remove(["3"])
    faq.add([Document("4", "새 글")])
    ids += [one.id for one in documents]
    assert ids == ["1", "2", "3"]
    assert server.scrolls == {}


# Searching


def test_hit_is_the_document_once_with_its_best_passage(faq: OpenSearchCollection) -> None:
    (first, *others) = faq.search(Query("인증서를 잃어버렸어요", mode="vector")).hits
    assert first.document == DOCUMENTS[1]
    assert first.score == pytest.approx(1, abs=1e-6)
    assert (first.passage.field, first.passage.start, first.passage.end) == ("title", 0, 11)
    assert {hit.document.id for hit in others} == {"1", "3"}


@pytest.mark.parametrize(
    ("text", "ids"),
    [("대출", ["1"]), ("인증서", ["2"]), ("집", ["3"]), ("없는말", []), ("?!", [])],
)
def test_words_are_found_by_their_syllables(
    faq: OpenSearchCollection, text: str, ids: list[str]
) -> None:
    result = faq.search(Query(text, mode="keyword"))
    assert [hit.document.id for hit in result.hits] == ids
    assert all(hit.similarity is None for hit in result.hits)


def test_hybrid_fuses_both_and_knows_all_cosines(faq: OpenSearchCollection) -> None:
    hits = faq.search(Query("집", mode="hybrid")).hits
    assert len(hits) == 3
    assert "3" in [hit.document.id for hit in hits[:2]]
    embedder = HashEmbedder()
    for hit in hits:
        passage = hit.document.part(hit.passage.field)[hit.passage.start : hit.passage.end]
        cosine = float(embedder.embed_query("집") @ embedder.embed_query(passage))
        assert hit.similarity == pytest.approx(cosine, abs=1e-5)


def test_hybrid_compares_what_only_words_found(
    open_corpus: OpenCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusion, "_LEAST_DEPTH", 10)
    collection, _ = open_corpus().create("faq")
    collection.add([Document(f"{number}", f"글 {number}") for number in range(40)])
    hits = collection.search(Query("무엇", mode="vector", top_k=40)).hits
    far = [hit.document.id for hit in hits[-3:]]
    # The only ones with the word, and not among the nearest.
    collection.add([Document(one, f"글 {one} 무엇보다") for one in far])
    hits = collection.search(Query("무엇", mode="hybrid", top_k=13)).hits
    assert {hit.document.id for hit in hits} >= set(far)
    embedder = HashEmbedder()
    for hit in hits:
        cosine = float(embedder.embed_query("무엇") @ embedder.embed_query(hit.document.text))
        assert hit.similarity == pytest.approx(cosine, abs=1e-5)


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_min_score_is_a_cosine(faq: OpenSearchCollection, mode: str) -> None:
    assert found(faq, "집 근처 창구로 오세요.", mode=mode, min_score=0.99) == ["3"]


@pytest.mark.parametrize("mode", MODES)
def test_pages_of_a_search_hold_every_hit_once(open_corpus: OpenCorpus, mode: Mode) -> None:
    collection, _ = open_corpus().create("faq")
    collection.add([Document(f"{number}", f"대출 {number}") for number in range(25)])
    whole = found(collection, "대출", mode=mode, top_k=25)
    pages = [found(collection, "대출", mode=mode, top_k=7, offset=at) for at in range(0, 28, 7)]
    assert [one for page in pages for one in page] == whole
    assert len(set(whole)) == 25


FILTERED = [
    Document("1", "가", metadata={"type": "인증서", "year": 2020}),
    Document("2", "나", metadata={"type": ["대출", "인증서"], "year": "2021.5"}),
    Document("3", "다", metadata={"typ": "e=인증서", "year": -3, "open": True}),
    Document("4", "라", metadata={"year": "내년", "date": "2024-03-01"}),
    Document("5", "마", metadata={"zear": 2020, "date": ["2023-01-01", "2025-01-01"]}),
]


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"type": "인증서"}, "12"),
        ({"type": ["대출", "없음"]}, "2"),
        ({"typ": "e=인증서"}, "3"),
        ({"year": "2020"}, "1"),
        ({"open": "true"}, "3"),
        ({"year": {"gte": 2020, "lt": 2021.5}}, "1"),
        ({"year": {"gt": 2020}}, "2"),
        ({"year": {"lt": 0}}, "3"),
        ({"year": {"lte": 2021.5}}, "123"),
        ({"year": {"gte": "가"}}, "4"),
        ({"date": {"gt": "2024"}}, "45"),
        ({"date": {"lt": "2024"}}, "5"),
        ({"type": "인증서", "year": {"gt": 2020}}, "2"),
        ({"none": "x"}, ""),
    ],
)
def test_filters_hold_in_all_modes_and_lists(
    open_corpus: OpenCorpus, where: dict[str, object], ids: str
) -> None:
    collection, _ = open_corpus().create("faq")
    collection.add([*FILTERED, Document("6", "가 나 다 라 마")])
    listed = collection.list_documents(where=where)
    assert ("".join(one.id for one in listed.documents), listed.total) == (ids, len(ids))
    for mode in MODES:
        hits = collection.search(Query("가 나 다 라 마", filter=where, mode=mode)).hits
        assert sorted(hit.document.id for hit in hits) == list(ids)


def test_filter_in_a_nearest_search_says_whose_it_is(
    server: OpenSearchServer, faq: OpenSearchCollection
) -> None:
    """OpenSearch before 3.5 took ranges for conditions on passages, where they find nothing."""
    found(faq, "대출", mode="vector", filter={"floor": {"lt": 0}})
    knn = json.loads(server.requests[-1][3])["query"]["nested"]["query"]["knn"]
    anchor, condition = knn["passages.vector"]["filter"]["bool"]["filter"]
    assert anchor == {"term": {"kind": "document"}}
    assert condition["bool"]["filter"][0] == anchor


def test_sortable_words_are_in_the_order_of_their_numbers() -> None:
    numbers = [-1e300, -2.5, -2.0, -1e-9, 0.0, 1e-9, 1.0, 9.0, 10.0, 2020.0, 1e300]
    assert sorted(numbers, key=sortable) == numbers
    assert sortable(-0.0) == sortable(0.0)


# Writing


def test_busy_cluster_is_asked_again(server: OpenSearchServer, faq: OpenSearchCollection) -> None:
    server.busy["5"] = 1
    added = faq.add([Document("4", "하나"), Document("5", "둘")])
    assert added.added == ["4", "5"]
    assert faq.info().documents == 5
    sent = [body for _, path, _, body in server.requests if path == "/_bulk"]
    assert sent[-1].count("\n") == 2, "only what was refused is sent again"


def test_busy_node_is_asked_again(server: OpenSearchServer, faq: OpenSearchCollection) -> None:
    server.faults = [429]
    faq.add([Document("4", "하나")])
    assert faq.get("4").text == "하나"


def test_cluster_that_stays_busy_is_left_alone(server: OpenSearchServer) -> None:
    cluster = Cluster(parse_address(server.url), backoff_s=(0.001, 0.001))
    corpus = OpenSearchCorpus(server.url, HashEmbedder())
    corpus._cluster = cluster
    collection, _ = corpus.create("faq")
    server.busy["2"] = 3
    with pytest.raises(Overloaded):
        collection.add([Document("1", "하나"), Document("2", "둘")])
    assert collection.add([Document("1", "하나"), Document("2", "둘")]).unchanged == ["1"]
    corpus.close()


def test_refused_documents_are_named_and_not_quoted(
    server: OpenSearchServer, faq: OpenSearchCollection
) -> None:
    server.refused = {"5", "6"}
    documents = [Document("4", "하나"), Document("5", "비밀 글"), Document("6", "비밀 글")]
    with pytest.raises(InvalidInput) as caught:
        faq.add(documents)
    assert caught.value.message == (
        "OpenSearch refused 2 of 3 documents, the first, '5', by mapper_parsing_exception; the "
        "others are stored."
    )
    assert [fault["item"] for fault in caught.value.details] == ["document 5", "document 6"]
    assert "비밀" not in str(caught.value.details)
    server.refused = set()
    assert faq.add(documents).unchanged == ["4"]


def test_full_cluster_is_named_and_another_try_goes_on(
    server: OpenSearchServer, faq: OpenSearchCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opensearch_client, "_BULK_DOCUMENTS", 2)
    documents = [Document(f"{number}", f"글 {number}") for number in range(1, 7)]
    bulks = 0

    def fill(method: str, path: str) -> None:
        nonlocal bulks
        bulks += path == "/_bulk"
        server.full = bulks > 1

    server.on_request = fill
    with pytest.raises(StorageFull, match="no room"):
        faq.add(documents)
    # Each document is whole, as it was or as it shall be.
    assert {faq.get(str(number)).text for number in (1, 2)} == {"글 1", "글 2"}
    assert faq.get("3") == DOCUMENTS[2]
    server.on_request, server.full = lambda method, path: None, False
    added = faq.add(documents)
    assert (added.added, added.replaced, added.unchanged) == (["4", "5", "6"], ["3"], ["1", "2"])
    assert faq.add(documents).unchanged == [str(number) for number in range(1, 7)]


def test_cluster_that_does_not_answer_is_named() -> None:
    with opensearch_server() as server:
        url = server.url
    corpus = OpenSearchCorpus(url.replace("http://", "http://me:secret@"), HashEmbedder())
    with pytest.raises(CorpusUnavailable, match="does not answer") as caught:
        corpus.list_collections()
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__cause__)
    corpus.close()


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [(401, "security_exception", CorpusUnavailable), (400, "validation_exception", StorageFull)],
)
def test_refused_creation_is_explained(
    server: OpenSearchServer,
    open_corpus: OpenCorpus,
    status: int,
    kind: str,
    error: type[SsangError],
) -> None:
    server.creation_fault = (status, kind, "cluster has [1000]/[1000] maximum shards open")
    if status == 401:
        server.creation_fault = (status, kind, "no permissions")
    with pytest.raises(error):
        open_corpus().create("faq")


# Other models


def test_other_model_is_a_conflict_that_names_both(
    faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    other = open_corpus("second").open("faq")
    for call in (
        lambda: other.search(Query("대출", mode="vector")),
        lambda: other.search(Query("대출", mode="hybrid")),
        lambda: other.add([Document("4", "하나")]),
    ):
        with pytest.raises(Conflict, match="of the model first, and the model second is loaded"):
            call()
    assert found(other, "대출", mode="keyword") == ["1"]


def test_empty_collection_takes_any_model(open_corpus: OpenCorpus) -> None:
    open_corpus().create("faq")
    collection = open_corpus("second").open("faq")
    collection.add(DOCUMENTS)
    identity = collection.info().identity
    assert identity is not None
    assert identity.model == "second"


def test_reembedding_serves_the_old_vectors_until_it_is_done(
    server: OpenSearchServer, faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    created = faq.info().created
    new = open_corpus("second").open("faq")
    steps = []

    def watch(done: int, total: int) -> None:
        steps.append((done, total))
        assert found(faq, "대출", mode="vector")
        # What is written meanwhile is not lost.
        faq.add([Document("4", "그 사이에 쓴 글"), Document("1", "그 사이에 바꾼 글")])
        faq.remove(["2"])

    new.reembed(watch)
    assert steps == [(3, 3)]
    assert [one.id for one in new.list_documents().documents] == ["1", "3", "4"]
    assert new.get("1").text == "그 사이에 바꾼 글"
    assert found(new, "그 사이에 쓴 글", mode="vector", min_score=0.99) == ["4"]
    assert list(server.indices) == ["ssang.faq.1"]
    info = new.info()
    assert (info.created, info.reembedded) == (created, None)
    with pytest.raises(Conflict, match="of the model second"):
        found(faq, "대출")
    new.reembed()
    assert list(server.indices) == ["ssang.faq.1"], "there is nothing to do"


class CountingEmbedder(HashEmbedder):
    """Counts the documents that it embeds."""

    embedded = 0

    def embed_documents(self, documents):  # type: ignore[no-untyped-def]
        self.embedded += len(documents)
        return super().embed_documents(documents)


def test_stopped_reembedding_goes_on_where_it_was(
    server: OpenSearchServer, faq: OpenSearchCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opensearch_store, "_BATCH", 2)
    embedder = CountingEmbedder("second")
    corpus = OpenSearchCorpus(server.url, embedder)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus.open("faq").reembed(stop)
    assert faq.info().reembedded == pytest.approx(2 / 3)
    assert found(faq, "대출", mode="keyword") == ["1"]
    corpus.open("faq").reembed()
    assert embedder.embedded == 3
    assert len(found(corpus.open("faq"), "대출", mode="vector")) == 3
    corpus.close()


def test_half_made_vectors_of_a_third_model_are_dropped(
    server: OpenSearchServer, faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_corpus("second").open("faq").reembed(stop)
    third = open_corpus("third").open("faq")
    third.reembed()
    assert found(third, DOCUMENTS[2].text, mode="vector", min_score=0.99) == ["3"]
    assert len(server.indices) == 1


def test_writes_wait_while_the_indices_change_places(
    server: OpenSearchServer, faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    def write(method: str, path: str) -> None:
        if path == "/_aliases":
            server.on_request = lambda method, path: None
            with pytest.raises(Conflict, match="send again in a minute"):
                faq.add([Document("4", "하나")])

    server.on_request = write
    open_corpus("second").open("faq").reembed()
    assert server.on_request is not write
    assert open_corpus("second").open("faq").info().documents == 3


def test_writes_go_on_after_a_change_that_failed(
    server: OpenSearchServer, faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    def fail(method: str, path: str) -> None:
        if path == "/_aliases":
            server.on_request = lambda method, path: None
            server.indices["ssang.faq.1"].aliases.clear()

    server.on_request = fail
    with pytest.raises(Conflict, match="meanwhile"):
        open_corpus("second").open("faq").reembed()
    assert faq.add([Document("4", "하나")]).added == ["4"]


def test_slow_writer_brings_no_old_index_back(
    server: OpenSearchServer, faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    """It has looked up the index, and writes when that is gone."""

    def overtake(method: str, path: str) -> None:
        if path == "/_bulk":
            server.on_request = lambda method, path: None
            open_corpus("second").open("faq").reembed()

    server.on_request = overtake
    with pytest.raises(Conflict, match="send again"):
        faq.add([Document("4", "하나")])
    assert list(server.indices) == ["ssang.faq.1"]
    assert open_corpus("second").open("faq").info().documents == 3


def test_slow_reembedding_brings_nothing_back(
    server: OpenSearchServer, faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    """Two processes are at it; the one that is overtaken writes nothing more."""

    def overtake(done: int, total: int) -> None:
        fast = open_corpus("second").open("faq")
        fast.reembed()
        fast.remove(["1"])

    with pytest.raises(Conflict, match="meanwhile"):
        open_corpus("second").open("faq").reembed(overtake)
    served = open_corpus("second").open("faq")
    assert [one.id for one in served.iterate()] == ["2", "3"]
    assert served.add([Document("4", "하나")]).added == ["4"]


def test_search_survives_the_change_of_indices(
    server: OpenSearchServer, faq: OpenSearchCollection, open_corpus: OpenCorpus
) -> None:
    def overtake(method: str, path: str) -> None:
        if path.endswith("/_search"):
            server.on_request = lambda method, path: None
            open_corpus("second").open("faq").reembed()

    server.on_request = overtake
    assert found(faq, "대출", mode="keyword") == ["1"]
    assert list(server.indices) == ["ssang.faq.1"]


def test_vectors_are_sent_with_the_digits_they_have(
    server: OpenSearchServer, faq: OpenSearchCollection
) -> None:
    """A vector of float32 read as the doubles it equals would be twice as long."""
    (body,) = [body for _, path, _, body in server.requests if path == "/_bulk"]
    record = json.loads(body.splitlines()[1])
    vector: Vectors = HashEmbedder().embed_query(DOCUMENTS[0].title)
    written = record["passages"][0]["vector"]
    np.testing.assert_array_equal(np.array(written, dtype=np.float32), vector)
    assert max(len(str(number)) for number in written) < 16
