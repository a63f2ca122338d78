"""The pages for people. They carry no results: their scripts ask the JSON API."""

from flask import Blueprint, current_app, render_template

from webapp.messages import DEFAULT_LANGUAGE, load_catalogue

pages = Blueprint("pages", __name__)


@pages.app_context_processor
def page_context() -> dict[str, object]:
    """What every template may read, the error page of another blueprint included."""
    return {
        "language": DEFAULT_LANGUAGE,
        "t": load_catalogue(DEFAULT_LANGUAGE),
        "version": current_app.config["VERSION"],
    }


@pages.get("/")
def compare() -> str:
    """One query against one document."""
    return render_template("compare.html")


@pages.get("/rank")
def rank() -> str:
    """Queries against documents: a ranking, or a heat map."""
    return render_template("rank.html")
