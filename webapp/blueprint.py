"""Blueprints whose part of the OpenAPI document is made when somebody reads it.

flask-openapi makes the schemas of every route's bodies where the route is declared, which took half
of the time in which a worker starts.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from flask_openapi import APIBlueprint, OpenAPI
from flask_openapi.utils import parse_parameters

# Blueprints are shared by the applications of a process.
_describing = threading.Lock()


class ApiBlueprint(APIBlueprint):
    """A blueprint that validates requests at once, and describes itself later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._undescribed: list[Callable[[], object]] = []

    def _collect_openapi_info(self, rule: str, func: Any, **described: Any) -> Any:
        collect = super()._collect_openapi_info
        self._undescribed.append(partial(collect, rule, func, **described))
        return parse_parameters(func, doc_ui=False)

    def describe(self) -> None:
        """Makes its tags, paths and schemas, once."""
        with _describing:
            while self._undescribed:
                self._undescribed[0]()
                del self._undescribed[0]


class ApiApplication(OpenAPI):
    """An application of such blueprints."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._apis: list[ApiBlueprint] = []

    def register_api(self, api: APIBlueprint, **options: Any) -> None:
        assert isinstance(api, ApiBlueprint)
        self._apis.append(api)
        self.register_blueprint(api, **options)

    def generate_spec_json(self) -> None:
        for api in self._apis:
            api.describe()
            self.tags += [tag for tag in api.tags if tag not in self.tags]
            self.paths.update(api.paths)
            self.components_schemas.update(api.components_schemas)
        super().generate_spec_json()  # type: ignore[no-untyped-call]
