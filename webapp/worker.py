"""gunicorn's threaded worker, but for connections that are kept alive and answers that are short.

gunicorn hands a connection back to the worker's main thread after each answer, and that one gives
the next request on it to a thread again: two changes of threads a request, which cost more than
reading it. Programs that ask one thing after the other send their next request at once. So here
the thread stays with its connection for a moment.
"""

import select
import threading
from typing import Any

from gunicorn.http import wsgi
from gunicorn.workers.gthread import TConn, ThreadWorker

# How long a thread stays: longer than a busy client takes to ask again, and it costs nothing.
_LINGER_MS = 100

# A body up to this size leaves in one piece with its headers; a larger one is not worth the copy.
_JOINED_BYTES = 2**16


class Worker(ThreadWorker):
    """Threads wait for the next request of their connection for a moment, half of them at most.

    The other half is always there for other connections.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = threading.Semaphore(self.cfg.threads // 2)

    def handle(self, conn: TConn) -> Any:
        """Answers the requests of a connection that come at once; what then becomes of it."""
        keep = super().handle(conn)
        while keep is True and self.alive and self._has_next(conn):
            keep = super().handle(conn)
        return keep

    def _has_next(self, conn: TConn) -> bool:
        # What TLS has read already does not show in the socket.
        if self.cfg.is_ssl or not self._places.acquire(blocking=False):
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(_LINGER_MS))
        finally:
            self._places.release()


class Response(wsgi.Response):
    """Sends its headers and a short body in one piece: one system call, one packet."""

    _head = b""

    def write(self, arg: bytes) -> None:
        if not self.headers_sent and not self.chunked:
            lines = (
                *self.default_headers(),
                *(f"{name}: {value}\r\n" for name, value in self.headers),
            )
            self._head = "".join((*lines, "\r\n")).encode("latin-1")
            self.headers_sent = True
        super().write(arg)
        # There was no body to go with.
        self._send_head()

    def _emit_body(self, data: bytes) -> None:
        if self._head and len(data) <= _JOINED_BYTES:
            self._head, data = b"", self._head + data
        self._send_head()
        super()._emit_body(data)  # type: ignore[misc]

    def _send_head(self) -> None:
        if self._head:
            self.sock.sendall(self._head)
            self._head = b""


# gunicorn's workers make their answers of this class, and have no setting for another.
wsgi.Response = Response  # type: ignore[misc]
