"""Standing behind a proxy: whose headers to believe, and the path the service is mounted under."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RootPath:
    """WSGI middleware for a service under a path, whether the proxy strips that path or not."""

    def __init__(self, app: "WSGIApplication", root_path: str) -> None:
        self._app = app
        self._root_path = "/" + root_path.strip("/")

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ["SCRIPT_NAME"] = self._root_path
        path = environ["PATH_INFO"]
        if path == self._root_path or path.startswith(self._root_path + "/"):
            environ["PATH_INFO"] = path[len(self._root_path) :] or "/"
        return self._app(environ, start_response)


def behind_proxy(app: "WSGIApplication", *, proxies: int, root_path: str) -> "WSGIApplication":
    """The application as seen through ``proxies`` proxies, mounted under ``root_path``."""
    if root_path.strip("/"):
        app = RootPath(app, root_path)
    if proxies:
        app = ProxyFix(app, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies)
    return app
