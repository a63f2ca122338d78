"""The documents say what is true of the code."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import MapAdapter

from webapp.settings import Settings, environment_name

ROOT = Path(__file__).parent.parent
READMES = ["README.md", "README.ko.md"]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _default(value: Any) -> str:
    if value in ("", (), None):
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


@pytest.mark.parametrize("readme", READMES)
def test_settings_table_has_every_setting_with_its_default(readme: str) -> None:
    rows = re.findall(r"^\| `--([\w-]+)` \| `(\w+)` \| (.*?) \| (.+) \|$", _read(readme), re.M)
    documented = [(flag, variable, default.strip()) for flag, variable, default, _ in rows]
    assert documented == [
        (name.replace("_", "-"), environment_name(name), _default(row.default))
        for name, row in Settings.model_fields.items()
    ]


def test_english_settings_table_has_the_help_of_the_flags() -> None:
    for row in Settings.model_fields.values():
        assert f"| {row.description} |" in _read("README.md")


def test_env_example_has_every_setting() -> None:
    names = re.findall(r"^#(SSANG_\w+)=", _read(".env.example"), re.M)
    assert names == [environment_name(name) for name in Settings.model_fields]


@pytest.mark.parametrize("readme", READMES)
def test_documented_routes_exist(readme: str, app: Flask) -> None:
    routes: MapAdapter = app.url_map.bind("localhost")
    rows = re.findall(r"^\| (`(?:GET|POST) .*?) \|", _read(readme), re.M)
    assert len(rows) >= 9
    for row in rows:
        method = row[1:].split()[0]
        for path in re.findall(r"(/[\w./]+)`", row):
            assert routes.match(path, method=method)


@pytest.mark.parametrize("document", [*READMES, "models/ko-mini/README.md"])
def test_local_links_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)|src=\"([^\"]+)\"", _read(document))
    for link in (markdown or image for markdown, image in links):
        assert (folder / link).exists(), link


def test_the_house_names_every_module() -> None:
    house = _read("README.md").partition("## The house")[2]
    for package in ("inference", "webapp"):
        for module in (ROOT / package).rglob("*.py"):
            if module.name != "__init__.py":
                assert module.name in house, module


def test_changelog_knows_the_version() -> None:
    version = tomllib.loads(_read("pyproject.toml"))["project"]["version"]
    assert f"## {version}" in _read("CHANGELOG.md")


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in _pins()}
    for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
        assert re.split(r"[<>=\[]", requirement)[0].lower() in pinned


def _pins() -> list[str]:
    return [line for line in _read("constraints.txt").splitlines() if "==" in line]
