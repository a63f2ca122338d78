"""The pages for people. They carry no results: their scripts ask the JSON API."""

from flask import Blueprint, Response, current_app, g, render_template, request

from webapp.messages import choose_language, load_catalogue
from webapp.service import current_service

pages = Blueprint("pages", __name__)

# The script behind the language switch writes it: static/js/language.js.
_LANGUAGE_COOKIE = "ssang_language"


@pages.app_context_processor
def page_context() -> dict[str, object]:
    """What every template may read, the error page of another blueprint included."""
    g.language = choose_language(request.cookies.get(_LANGUAGE_COOKIE), request.accept_languages)
    return {
        "language": g.language,
        "t": load_catalogue(g.language),
        "version": current_app.config["VERSION"],
    }


@pages.after_app_request
def vary_by_language(response: Response) -> Response:
    """Keeps caches from handing one reader's language to another."""
    if "language" in g:
        response.vary.update(("Cookie", "Accept-Language"))
    return response


@pages.get("/")
def compare() -> str:
    """One query against one document."""
    return render_template("compare.html")


@pages.get("/rank")
def rank() -> str:
    """Queries against documents: a ranking, or a heat map."""
    return render_template("rank.html")


@pages.get("/file")
def file() -> str:
    """Every pair of a file, scored as it is read."""
    settings = current_service().settings
    return render_template("file.html", max_bytes=settings.max_body_bytes)


@pages.get("/answer")
def answer() -> str:
    """A question, and the part of a text that answers it."""
    return render_template("answer.html")


@pages.get("/chat")
def chat() -> str:
    """Questions to a collection; what is in it, and searches."""
    settings = current_service().settings
    return render_template("chat.html", max_bytes=settings.max_body_bytes)


@pages.get("/invoke")
def invoke() -> str:
    """An invocation as AWS's clients send it, and what came of the earlier ones."""
    return render_template("invoke.html", endpoint=current_service().settings.endpoint_name)
