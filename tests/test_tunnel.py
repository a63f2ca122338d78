"""Services behind a tunnel, with a stand-in for ngrok's agent."""

import json
import re
import signal
import socket
import sys
from pathlib import Path

import ngrok
import pytest
import requests
from running_service import RunningService, StartService, free_port, wait_until
from ssang_command import refusal

TOKEN = "token-of-the-tests"
SERVE = [sys.executable, "-m", "webapp.cli", "serve", "--tunnel", "ngrok"]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's notes: how it was called."""
    program = ngrok.install(tmp_path)
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(program))
    monkeypatch.setenv("NGROK_AUTHTOKEN", TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    return program.with_name("ngrok.json")


def _link(service: RunningService) -> str:
    """The address that the service prints when it is ready."""
    pattern = re.compile(r"^Public address: (\S+)$", re.M)

    def printed() -> bool:
        assert service.process.poll() is None, service.log
        return bool(pattern.search(service.log))

    wait_until(printed)
    (link,) = pattern.findall(service.log)
    return str(link)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _command_lines() -> str:
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


def test_key_is_made_and_tunnel_ends_with_the_service(
    agent: Path, start_service: StartService
) -> None:
    service = start_service(SERVE, wait=False, workers=1, log_format="json")
    address, key = _link(service).split("#key=")
    assert address == service.url.replace("127.0.0.1", "localhost") + "/"
    assert len(key) >= 32
    info = f"{service.url}/api/info"
    assert requests.get(info, timeout=10).status_code == 401
    sent = {"Authorization": f"Bearer {key}", "X-Forwarded-Proto": "https"}
    assert requests.get(info, headers=sent, timeout=10).status_code == 200
    signed_in = requests.post(
        f"{service.url}/login",
        data={"key": key},
        headers={"X-Forwarded-Proto": "https"},
        timeout=10,
        allow_redirects=False,
    )
    assert "Secure" in signed_in.headers["Set-Cookie"]
    assert service.log.count(key) == 1
    notes = json.loads(agent.read_text())
    assert notes["token"] == TOKEN
    commands = _command_lines()
    assert TOKEN not in commands
    assert key not in commands
    assert _is_alive(notes["pid"])
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=60) == 0
    assert not _is_alive(notes["pid"])


def test_tunnel_ends_when_the_service_does(agent: Path, start_service: StartService) -> None:
    service = start_service(SERVE, wait=False, model="no-such-model")
    assert service.process.wait(timeout=60) != 0
    assert "There is no model 'no-such-model'" in service.log
    assert "Public address" not in service.log
    assert not _is_alive(json.loads(agent.read_text())["pid"])


@pytest.mark.parametrize(
    ("flags", "settings", "status"),
    [(["--no-auth"], {}, 200), ([], {"api_keys": "key-of-the-tests"}, 401)],
)
def test_no_key_is_made_where_none_is_wanted_or_some_are_set(
    agent: Path,
    start_service: StartService,
    flags: list[str],
    settings: dict[str, str],
    status: int,
) -> None:
    service = start_service([*SERVE, *flags], wait=False, workers=1, **settings)
    assert _link(service).endswith("/")
    assert requests.get(f"{service.url}/api/info", timeout=10).status_code == status
    assert "key-of-the-tests" not in service.log


def test_missing_token_tells_the_two_steps_before_anything_starts(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NGROK_AUTHTOKEN")
    sentence = refusal("serve", "--tunnel", "ngrok")
    assert re.search(r"\(1\) Sign up at https://\S+.*\(2\) Copy the token from https://", sentence)
    assert not agent.exists()


def test_refused_token_ends_with_one_sentence(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGROK_AUTHTOKEN", "bad")
    sentence = refusal("serve", "--tunnel", "ngrok", "--port", free_port())
    assert "authentication failed" in sentence
    assert "NGROK_AUTHTOKEN" in sentence
    assert not _is_alive(json.loads(agent.read_text())["pid"])


def test_port_of_another_service_is_not_made_public(agent: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"Port {port}" in refusal("serve", "--tunnel", "ngrok", "--port", port)
    assert not agent.exists()


def test_unknown_tunnel_is_refused() -> None:
    assert "SSANG_TUNNEL=other" in refusal("serve", "--tunnel", "other")
