import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants
from tiny_model import save_bert

from inference import reference
from inference.errors import InvalidInput, NotFound, TooLarge
from inference.reference import embedded_models, find_model, unpack


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return save_bert(tmp_path / "bert")


def _pack(archive: Path, folder: Path, inside: str = "") -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=inside or ".")
    return archive


def test_embedded_name() -> None:
    name, path = find_model("ko-mini")
    assert name == "ko-mini"
    assert (path / "config.json").is_file()
    assert "ko-mini" in embedded_models()


def test_folder(bert: Path) -> None:
    assert find_model(str(bert)) == ("bert", bert.resolve())


@pytest.mark.parametrize("inside", ["", "my-model"], ids=["at the root", "in one folder"])
def test_archive_is_unpacked_once(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.setattr(reference, "_cache", lambda: tmp_path / "cache")
    archive = _pack(tmp_path / "model.tar.gz", bert, inside)
    name, path = find_model(str(archive))
    assert name == "model"
    assert (path / "config.json").read_bytes() == (bert / "config.json").read_bytes()
    stamp = (path / "config.json").stat().st_ino
    assert (find_model(str(archive))[1] / "config.json").stat().st_ino == stamp
    assert len(list((tmp_path / "cache" / "archives").iterdir())) == 1


def test_archive_with_user_code_beside_the_model(bert: Path, tmp_path: Path) -> None:
    (bert / "code").mkdir()
    (bert / "code" / "inference.py").write_text("")
    folder = unpack(_pack(tmp_path / "model.tar.gz", bert), tmp_path / "cache")
    assert (folder / "config.json").is_file()


def test_workers_that_unpack_together_agree(bert: Path, tmp_path: Path) -> None:
    archive = _pack(tmp_path / "model.tar.gz", bert)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(unpack(archive, tmp_path / "cache")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (_member("../evil.json"), "outside"),
        (_member("/tmp/evil.json"), "outside"),
        (_member("a/../../evil.json"), "outside"),
        (_member("link", tarfile.SYMTYPE, "/etc/passwd"), "link"),
        (_member("link", tarfile.LNKTYPE, "config.json"), "link"),
        (_member("device", tarfile.CHRTYPE), "device"),
    ],
)
def test_archive_that_reaches_out_is_refused(
    tmp_path: Path, member: tarfile.TarInfo, what: str
) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(member, io.BytesIO())
    with pytest.raises(InvalidInput, match=what):
        unpack(archive, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_archive_that_grows_too_large_is_refused(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "_MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(TooLarge, match="1,000"):
        unpack(_pack(tmp_path / "model.tar.gz", bert), tmp_path / "cache")


def test_broken_archive_is_told(tmp_path: Path, bert: Path) -> None:
    whole = _pack(tmp_path / "model.tar.gz", bert).read_bytes()
    for content in (b"nothing", whole[: len(whole) // 2]):
        broken = tmp_path / "broken.tar.gz"
        broken.write_bytes(content)
        with pytest.raises(InvalidInput, match="copy it again"):
            unpack(broken, tmp_path / "cache")


@pytest.mark.parametrize("name", ["no-such-model", "./nowhere", "a/b/c", ""])
def test_unknown_reference_says_what_there_is(name: str) -> None:
    with pytest.raises(NotFound, match="ko-mini"):
        find_model(name)


REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as its client asks to fetch a snapshot."""

    folder: Path
    requests: list[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.requests.append(self.path)
        path = self.path.partition("?")[0]
        files = sorted(file.name for file in self.folder.iterdir())
        if path.startswith("/api/models/someone/bert/revision/"):
            siblings = [{"rfilename": name} for name in files]
            self._send(json.dumps({"id": "someone/bert", "sha": REVISION, "siblings": siblings}))
        elif path.startswith("/api/models/someone/bert/tree/"):
            entries = [
                {"type": "file", "path": name, "oid": name, "size": self._size(name)}
                for name in files
            ]
            self._send(json.dumps(entries))
        elif path.startswith("/someone/bert/resolve/"):
            self._send((self.folder / path.rpartition("/")[2]).read_bytes(), etag=path)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    def _send(self, body: str | bytes, etag: str = "") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", REVISION)
        if etag:
            self.send_header("ETag", f'"{etag.rpartition("/")[2]}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on this machine that the real client fetches from."""

    class LocalHub(Hub):
        folder = bert
        requests: list[str] = []  # noqa: RUF012

    server = ThreadingHTTPServer(("127.0.0.1", 0), LocalHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    yield LocalHub
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("asked", ["someone/bert", "someone/bert@v1"])
def test_hub_id_is_fetched_once(hub: type[Hub], bert: Path, asked: str) -> None:
    name, path = find_model(asked)
    assert name == "someone/bert"
    assert (path / "config.json").read_bytes() == (bert / "config.json").read_bytes()
    assert (path / "model.safetensors").is_file()
    hub.requests.clear()
    assert find_model(asked) == (name, path)
    assert hub.requests == []


def test_unknown_hub_id_is_one_sentence(hub: type[Hub]) -> None:
    with pytest.raises(NotFound, match="'someone/else' is not in the cache and cannot be fetched"):
        find_model("someone/else")


def test_offline_hub_id_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(NotFound, match=r"cannot be fetched .* check its name") as caught:
        find_model("someone/bert@v1")
    assert "\n" not in caught.value.message
