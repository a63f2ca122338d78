"""The page on which people enter an API key once; there is none where no keys are set."""

import re

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.authentication import (
    COOKIE,
    ApiKeys,
    current_keys,
    has_pass,
    is_foreign,
    refuse_foreign,
)
from webapp.errors import Unauthorized

login = Blueprint("login", __name__)

_COOKIE_S = 30 * 24 * 60 * 60

_MAX_FORM_BYTES = 16_384

# A second slash, a backslash or white space could lead to another host.
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20]*")


@login.get("/login")
def show() -> Response | str:
    """The form, or the page that was asked for where a key was entered before."""
    if has_pass(request):
        return redirect(_next_page(), 303)
    return render_template("login.html")


@login.post("/login")
def sign_in() -> Response:
    """Takes a key and gives the browser a cookie in its place; a wrong key gets the form again."""
    refuse_foreign(request)
    request.max_content_length = _MAX_FORM_BYTES
    key = request.form.get("key", "").strip()
    if not current_keys().admit(key):
        raise Unauthorized("The API key is not one of this service's: check it.", item="key")
    response = redirect(_next_page(), 303)
    response.set_cookie(
        COOKIE,
        ApiKeys.pass_of(key),
        max_age=_COOKIE_S,
        path=_cookie_path(),
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


@login.post("/logout")
def sign_out() -> Response:
    """Takes the cookie back."""
    response = redirect(url_for("login.show"), 303)
    if not is_foreign(request):
        response.delete_cookie(COOKIE, path=_cookie_path())
    return response


def _next_page() -> str:
    path = request.args.get("next", "")
    return request.script_root + (path if _LOCAL_PATH.fullmatch(path) else "/")


def _cookie_path() -> str:
    return request.script_root or "/"
