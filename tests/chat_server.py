"""A server on a real socket that speaks OpenAI's chat completions as a test tells it to."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

USAGE = {"prompt_tokens": 120, "completion_tokens": 7, "total_tokens": 127}

Reply = Callable[["ChatHandler"], None]


@dataclass
class ChatServer:
    """What a server was asked, and what it answers.

    Attributes:
        url: base URL for clients.
        requests: bodies of the requests so far.
        headers: of the same.
        replies: what it does next; the last one again and again.
        left: set when a client was gone before its answer was.
    """

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)


class _Listener(ThreadingHTTPServer):
    # The client's end of a broken connection is what tests look at.
    daemon_threads = False
    state: ChatServer

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ChatHandler)
        self._connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """Ends connections that clients keep for their next request, and their threads."""
        for connection in self._connections:
            # Most are closed already.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.state.left.set()


class ChatHandler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        state = cast(_Listener, self.server).state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.requests.append({"path": self.path, **body})
        state.headers.append({name.lower(): value for name, value in self.headers.items()})
        reply = state.replies.pop(0) if len(state.replies) > 1 else state.replies[0]
        reply(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def begin(self, content_type: str = "text/event-stream", **headers: str) -> None:
        """Headers of a stream; ``x_name`` stands for ``x-name``."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        """Bytes of a stream, which are on their way when this returns."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def event(self, data: object) -> None:
        """One server-sent event."""
        self.chunk(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode())

    def piece(self, text: str, finish_reason: str | None = None) -> None:
        """One piece of an answer."""
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
        self.event({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})

    def end(self) -> None:
        """The end of a stream."""
        self.wfile.write(b"0\r\n\r\n")


def answering(pieces: Sequence[str], usage: Mapping[str, int] | None = USAGE) -> Reply:
    """A whole answer."""

    def reply(handler: ChatHandler) -> None:
        handler.begin()
        for text in pieces:
            handler.piece(text)
        handler.piece("", "stop")
        if usage:
            handler.event(
                {"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": usage}
            )
        handler.event("[DONE]")
        handler.end()

    return reply


def refusing(status: int, *, code: str = "", message: str = "", **headers: str) -> Reply:
    """An error, with headers such as ``retry_after``."""

    def reply(handler: ChatHandler) -> None:
        body = json.dumps({"error": {"message": message, "code": code or None}}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


@contextmanager
def chat_server(*replies: Reply) -> Iterator[ChatServer]:
    """A server that answers so, until the block is left."""
    listener = _Listener()
    state = ChatServer(f"http://127.0.0.1:{listener.server_port}/v1", replies=list(replies))
    listener.state = state
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        listener.shutdown()
        thread.join()
        listener.hang_up()
        listener.server_close()
