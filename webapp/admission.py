"""The gate at the application's entry: too much work is refused before anything of it is read.

gunicorn queues what its threads cannot take without bound, so a bound on waiting tokens alone would
never be reached, and health checks would wait behind the queue. The gate admits a few requests
fewer than there are threads; the rest answer refusals and health.
"""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.wsgi import ClosingIterator, get_content_length

from inference import metrics
from inference.errors import Overloaded, TooLarge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REFUSAL = "ssang.refusal"
"""Key of the WSGI environment with the error a refused request is answered with."""

HEALTH_PATHS = frozenset({"/live", "/ready", "/health", "/ping", "/metrics"})

_RETRY_AFTER_S = 1
_STREAM_RETRY_AFTER_S = 5


def max_requests(threads: int) -> int:
    """Requests a worker admits at once; its other threads answer refusals and health."""
    return threads - max(2, threads // 8)


class Gate:
    """WSGI middleware that admits so many requests, and so many bytes of bodies, at once.

    A refused request still passes to the application, which answers it with the error under
    ``REFUSAL`` in the shape of its contract, before it reads the body.

    Args:
        app: the application behind the gate.
        max_requests: requests in flight.
        max_inflight_bytes: declared bytes of their bodies, together.
        max_body_bytes: declared bytes of one body.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        max_requests: int,
        max_inflight_bytes: int,
        max_body_bytes: int,
    ) -> None:
        self._app = app
        self._max_requests = max_requests
        self._max_inflight_bytes = max_inflight_bytes
        self._max_body_bytes = max_body_bytes
        self._lock = threading.Lock()
        self._requests = 0
        self._bytes = 0

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] in HEALTH_PATHS:
            return self._app(environ, start_response)
        size = self._declared_bytes(environ)
        refusal = self._enter(size)
        if refusal:
            environ[REFUSAL] = refusal
            return self._app(environ, start_response)
        try:
            answer = self._app(environ, start_response)
        except BaseException:
            self._leave(size)
            raise
        return ClosingIterator(answer, lambda: self._leave(size))

    def _declared_bytes(self, environ: "WSGIEnvironment") -> int:
        if environ.get("HTTP_TRANSFER_ENCODING"):
            # It does not say how long it is, so it may be as long as the longest.
            return self._max_body_bytes
        return get_content_length(environ) or 0

    def _enter(self, size: int) -> Overloaded | TooLarge | None:
        if size > self._max_body_bytes:
            metrics.REFUSALS.labels("body_size").inc()
            return TooLarge(
                f"The body has {size:,} bytes, more than the {self._max_body_bytes:,} that one "
                "request may have: send it in parts."
            )
        with self._lock:
            if self._requests >= self._max_requests:
                reason = "requests"
            elif self._requests and self._bytes + size > self._max_inflight_bytes:
                reason = "bytes"
            else:
                self._requests += 1
                self._bytes += size
                return None
        metrics.REFUSALS.labels(reason).inc()
        return Overloaded(
            "Too many requests are being answered now: try again in a moment.",
            retry_after_s=_RETRY_AFTER_S,
        )

    def _leave(self, size: int) -> None:
        with self._lock:
            self._requests -= 1
            self._bytes -= size


class StreamPlaces:
    """Places for answers that last, of which there are fewer than requests the gate admits.

    Otherwise a few people with long files would leave no thread for short requests.

    Args:
        count: streams at once.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    def take(self) -> None:
        """Takes a place.

        Raises:
            Overloaded: all are taken.
        """
        if not self._free.acquire(blocking=False):
            metrics.REFUSALS.labels("streams").inc()
            raise Overloaded(
                "Too many files and other streams are being answered now: try again later.",
                retry_after_s=_STREAM_RETRY_AFTER_S,
            )

    def give_back(self) -> None:
        """Frees a place that was taken."""
        self._free.release()
