"""A program that answers as ngrok's agent does, for one tunnel: its log lines and its local API.

Its public address is the service's own, so that whoever is told it reaches the service.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LAUNCHER = '#!/bin/sh\nexec {python} {program} "$@"\n'


def install(folder: Path) -> Path:
    """Puts the program where a test wants it; its notes are in ``ngrok.json`` beside it."""
    program = folder / "ngrok"
    program.write_text(LAUNCHER.format(python=sys.executable, program=Path(__file__).resolve()))
    program.chmod(0o755)
    return program


class Api(BaseHTTPRequestHandler):
    """The agent's API, https://ngrok.com/docs/agent/api/, as far as pyngrok asks it."""

    def do_GET(self) -> None:
        self._answer(200, {"endpoints": [], "tunnels": []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        upstream = asked.get("upstream", {}).get("url") or f"http://localhost:{asked['addr']}"
        port = upstream.rpartition(":")[2]
        self._answer(201, {"name": asked["name"], "url": f"http://localhost:{port}"})

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: standard output is for the agent's own lines."""


def main() -> None:
    token = os.environ.get("NGROK_AUTHTOKEN")
    notes = {"arguments": sys.argv[1:], "token": token, "pid": os.getpid()}
    Path(os.environ["PYNGROK_NGROK_PATH"]).with_name("ngrok.json").write_text(json.dumps(notes))
    if token == "bad":
        print(
            't=2026-01-01T00:00:00+0000 lvl=eror msg="session closing" err="authentication failed"'
        )
        sys.exit(1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    line = "t=2026-01-01T00:00:00+0000 lvl=info"
    print(f'{line} msg="starting web service" obj=web addr=127.0.0.1:{server.server_port}')
    print(f'{line} msg="tunnel session started" obj=tunnels.session')
    print(f'{line} msg="client session established" obj=csess', flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
