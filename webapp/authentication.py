"""Who may ask: API keys for programs, and a cookie for people who entered one on a page.

Once there are keys, every request needs one but for health, the page on which a key is entered, and
the files of which pages are made.
"""

import hmac
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, current_app, g, redirect, request, url_for
from flask_openapi import SecurityScheme
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp.errors import Unauthorized, wants_page
from webapp.settings import Settings, environment_name

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

COOKIE = "ssang_pass"

SECURITY_SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""The ways to send a key, for the OpenAPI document."""

_KEY = "ssang.keys"

_OPEN_PATHS = frozenset({"/live", "/ready", "/health", "/ping", "/login", "/logout"})
_OPEN_ENDPOINTS = frozenset({"static"})
_SAFE_METHODS = frozenset({"GET", "HEAD"})

# AWS's clients sign. The id of their access key travels as it is: the one key that they can send.
_AWS_KEY_ID = re.compile(r"Credential=(\S+?)/\d{8}/")

_MISSING = "An API key is needed: send it as Authorization: Bearer KEY, or as X-API-Key: KEY."
_WRONG = "The API key is not one of this service's: check it, or ask whoever runs the service."
_FOREIGN = "The page's cookie does not count for requests from another site: send an API key."


_FOREIGN_FORM = (
    "A page of another site sent this: let {} name its origin; behind a proxy, set {} as well."
)


class ApiKeys:
    """The keys of a service, of which it keeps digests only.

    Args:
        keys: the keys, at least one.

    >>> keys = ApiKeys(["first", "second"])
    >>> keys.admit("second"), keys.admit("third")
    (True, False)
    >>> keys.admit_pass(keys.pass_of("first")), keys.admit_pass("first")
    (True, False)
    """

    def __init__(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        self._keys = [_digest(key) for key in keys]
        self._passes = [_digest(self.pass_of(key)) for key in keys]

    def admit(self, key: str) -> bool:
        """Whether this is one of the keys."""
        return _is_among(_digest(key), self._keys)

    def admit_pass(self, value: str) -> bool:
        """Whether this is what :meth:`pass_of` gave for one of the keys."""
        return _is_among(_digest(value), self._passes)

    @staticmethod
    def pass_of(key: str) -> str:
        """What a browser keeps in place of a key: it opens the same doors, and is no key itself."""
        return hmac.new(key.encode(), b"ssang page", sha256).hexdigest()


def _digest(value: str) -> bytes:
    # Of equal length, whatever was sent, and thus compared in equal time.
    return sha256(value.encode("utf-8", "surrogateescape")).digest()


def _is_among(digest: bytes, known: list[bytes]) -> bool:
    # Every one is looked at, so that the time does not tell which one fits.
    return sum(hmac.compare_digest(digest, other) for other in known) > 0


PRIVATE_HEADERS = {"Cache-Control": "private"}
"""What keeps proxies from handing one caller's answer to others without a key."""


def register_authentication(app: Flask, keys: ApiKeys) -> None:
    """Asks every request of the application for one of these keys, before its body is read."""
    app.extensions[_KEY] = keys
    app.before_request(_check)
    app.after_request(_keep_private)


def current_keys() -> ApiKeys:
    """The keys of the current application."""
    keys: ApiKeys = current_app.extensions[_KEY]
    return keys


def has_pass(request: Request) -> bool:
    """Whether the browser showed a key before and keeps what it got for it."""
    return current_keys().admit_pass(request.cookies.get(COOKIE, ""))


def is_foreign(request: Request) -> bool:
    """Whether a page of another origin sent the request, as far as the browser tells.

    The browser says so in Sec-Fetch-Site where the address can be trusted (https, localhost), and
    elsewhere names the origin. Its scheme is left out, as a proxy may have taken off the https.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host


def refuse_foreign(request: Request) -> None:
    """Refuses what a page of another origin sent in a reader's name.

    Raises:
        Unauthorized: it did.
    """
    if is_foreign(request):
        raise Unauthorized(_FOREIGN)


def refuse_foreign_form(request: Request, settings: Settings) -> None:
    """Refuses what a page of an origin that is not allowed made a browser send.

    Before it sends JSON in such a page's name, a browser asks; a form it just sends.

    Raises:
        Unauthorized: it was sent so.
    """
    allowed = {"*", request.headers.get("Origin")}.intersection(settings.cors_origins)
    if is_foreign(request) and not allowed:
        names = (environment_name(name) for name in ("cors_origins", "trusted_proxies"))
        raise Unauthorized(_FOREIGN_FORM.format(*names))


def _check() -> WerkzeugResponse | None:
    if _is_open(request):
        return None
    keys = current_keys()
    sent = list(sent_keys(request.environ))
    if any(keys.admit(key) for key in sent):
        return None
    if has_pass(request):
        if request.method not in _SAFE_METHODS:
            refuse_foreign(request)
        g.signed_in = True
        return None
    if request.method in _SAFE_METHODS and wants_page():
        # 303, so that no browser remembers it.
        return redirect(url_for("login.show", next=_address(request)), 303)
    raise Unauthorized(_WRONG if sent else _MISSING)


def _is_open(request: Request) -> bool:
    return (
        # Browsers ask so, without a key, whether a page of another origin may send one.
        request.method == "OPTIONS"
        or request.path in _OPEN_PATHS
        or request.endpoint in _OPEN_ENDPOINTS
    )


def sent_keys(environ: "WSGIEnvironment") -> Iterator[str]:
    """The keys that a request carries, whichever way."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        yield token.strip()
    signed = _AWS_KEY_ID.match(token) if scheme == "AWS4-HMAC-SHA256" else None
    if signed:
        yield signed[1]
    if "HTTP_X_API_KEY" in environ:
        yield environ["HTTP_X_API_KEY"].strip()


def _address(request: Request) -> str | None:
    """Path and query below the root path; None for the first page, where a reader goes anyhow."""
    address = request.full_path.removesuffix("?")
    return None if address == "/" else address


def _keep_private(response: Response) -> Response:
    for name, value in PRIVATE_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
