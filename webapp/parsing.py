"""Request bodies: media types, sizes, JSON of any text."""

import json
from typing import Any, TypeVar

import orjson
from flask import Request as FlaskRequest
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from inference.errors import InvalidInput
from inference.tokenizer import replace_surrogates

Body = TypeVar("Body", bound=BaseModel)

_MAX_FAULTS = 20

# What pydantic says of these does not tell what to do.
_MESSAGES = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field: remove it, or check its spelling.",
    "tuple_type": "This must be a list.",
    "too_short": "The list is empty: give at least one item.",
}


class Request(FlaskRequest):
    """A request whose JSON body is read strictly, with errors that say what to mend."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as a JSON object.

        Raises:
            UnsupportedMediaType: it is declared as something else.
            BadRequest: it is not JSON.
            InvalidInput: it is JSON, but no object.
        """
        if not (force or self.is_json):
            raise UnsupportedMediaType(
                "The body must be JSON: send the header Content-Type: application/json."
            )
        value = parse_json(whole_body(self))
        if not isinstance(value, dict):
            raise InvalidInput("The body must be a JSON object, such as {...}.", item="body")
        return value


def whole_body(request: FlaskRequest) -> bytes:
    """The body as it came. Werkzeug cuts one of unknown length at the limit without a word.

    Raises:
        RequestEntityTooLarge: it is longer than a body may be.
    """
    body = request.get_data()
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(body) >= limit:
        raise RequestEntityTooLarge
    return body


def parse_json(body: bytes, *, what: str = "body") -> Any:
    """The value of a JSON document in UTF-8; lone surrogates in it become U+FFFD.

    orjson refuses the surrogates that JavaScript and Python let through, so the standard library
    reads what it refuses.

    Raises:
        BadRequest: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
            return orjson.loads(replace_surrogates(text))
        except (ValueError, RecursionError):
            raise BadRequest(f"The {what} is not JSON: {error.msg} at byte {error.pos}.") from None


def read_body(model: type[Body], value: Any) -> Body:
    """A body that is parsed already, as ``model``.

    Raises:
        InvalidInput: it is none; see :func:`describe_validation_error`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise describe_validation_error(error) from None


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a body, for where the OpenAPI document has no place for parts of it."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def put_in(value: Any) -> Any:
        if isinstance(value, list):
            return [put_in(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return put_in(parts[value["$ref"].rpartition("/")[2]])
        return {name: put_in(one) for name, one in value.items()}

    inlined: dict[str, Any] = put_in(schema)
    return inlined


def describe_validation_error(error: ValidationError) -> InvalidInput:
    """What pydantic found, with each item named as the sender wrote it: ``pairs[3].query``."""
    faults = [
        (_item(fault["loc"]), _MESSAGES.get(fault["type"], f"{fault['msg']}."))
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    item, message = faults[0]
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    return InvalidInput(f"{item}: {message}{more}", faults=faults[:_MAX_FAULTS])


def _item(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".") or "body"
