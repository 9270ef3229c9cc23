"""The OpenAPI 3.1 document of a list of routes, from what their endpoints say of themselves (`auth.operation`).

Whoever adds a route without saying what it takes gets an error here, and not a document that lacks it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import msgspec
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, Operation, Parameter
from auth.rules import BrokenRule

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
UNSAID = frozenset({"HEAD", "OPTIONS"})
_SCHEMA = "#/components/schemas/{name}"

_SECURITY: dict[Caller, list[dict[str, list[str]]]] = {
    Caller.ANYBODY: [],
    Caller.USER: [{"bearer": []}, {"query": []}, {"cookie": []}],
    Caller.SERVICE: [{"service": []}],
    Caller.GUEST: [{}, {"service": []}],
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "query": {"type": "apiKey", "in": "query", "name": "token"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "access_token"},
    "service": {"type": "apiKey", "in": "header", "name": "X-Service-Key"},
}
_CALLER_REFUSALS: dict[Caller, dict[int, str]] = {
    Caller.ANYBODY: {},
    Caller.USER: {400: "ambiguous_token", 401: "unauthorized", 503: "unavailable"},
    Caller.SERVICE: {403: "forbidden", 503: "unavailable"},
    Caller.GUEST: {403: "forbidden", 503: "unavailable"},
}
_BODY_REFUSALS = {400: "incomplete", 408: "timeout", 413: "too_large", 415: "unsupported_media_type"}
_FORM_REFUSALS = _BODY_REFUSALS | {400: "incomplete, invalid_form"}
_JSON_REFUSALS = _BODY_REFUSALS | {400: "incomplete, invalid_json", 422: "invalid_field"}
_MEANINGS = {
    200: "Done.",
    201: "Made.",
    202: "Accepted.",
    204: "Done; there is nothing to say.",
    400: "The request cannot be read.",
    401: "Who calls is not known.",
    403: "Not for this caller, or not from this page.",
    404: "There is no such thing, or the caller may not see it.",
    408: "The body took too long.",
    409: "It contradicts what is there.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "A value is not what it must be.",
    429: "Too often; `Retry-After` says when again.",
    503: "Not possible at the moment; `Retry-After` says when again.",
}
_RETRY_AFTER = {"Retry-After": {"required": True, "description": "in seconds", "schema": {"type": "integer"}}}


class Problem(TypedDict):
    """Every answer but success (RFC 9457). `code` is stable; `detail` is for people.

    `retry_after_s` is in whole seconds; `errors` names every rule that a new account breaks.
    """

    title: str
    status: int
    code: str
    detail: str
    retry_after_s: NotRequired[int]
    errors: NotRequired[list[BrokenRule]]


class UndocumentedRoute(Exception):
    """A route whose endpoint does not say what it takes and answers."""


def document(
    routes: Iterable[BaseRoute], *, title: str, version: str, description: str, everywhere: Mapping[int, str]
) -> dict[str, Any]:
    """The document of every route that is for programs; `everywhere` are refusals that each may answer with.

    Raises: UndocumentedRoute.
    """
    paths: dict[str, dict[str, Any]] = {}
    said = [one for route in routes for one in _of(route)]
    shapes = {shape for _, _, operation in said for shape in _shapes(operation)} | {Problem}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_SCHEMA)
    names = dict(zip(ordered, schemas, strict=True))
    for path, method, operation in said:
        template = re.sub(r"{(\w+):\w+}", r"{\1}", path)
        paths.setdefault(template, {})[method.lower()] = _operation(method, template, operation, names, everywhere)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def _of(route: BaseRoute) -> Iterable[tuple[str, str, Operation]]:
    """The path, method and operation of each method of a route; none if it is for people.

    Raises: UndocumentedRoute.
    """
    if not isinstance(route, Route):
        raise UndocumentedRoute(repr(route))
    if not route.include_in_schema:
        return
    by_method: Mapping[str, Any] = getattr(route.endpoint, "endpoints", {})
    for method in sorted((route.methods or set()) - UNSAID):
        operation = getattr(by_method.get(method, route.endpoint), "operation", None)
        if operation is None:
            raise UndocumentedRoute(f"{method} {route.path}")
        yield route.path, method, operation


def _shapes(operation: Operation) -> Sequence[type]:
    answers = [answer for answer in operation.answers.values() if isinstance(answer, type)]
    return answers if operation.body is None else [*answers, operation.body]


def _operation(
    method: str, path: str, operation: Operation, schemas: Mapping[type, Any], everywhere: Mapping[int, str]
) -> dict[str, Any]:
    refusals = _codes(operation, everywhere)
    described: dict[str, Any] = {
        "operationId": _identifier(method, path),
        "summary": operation.summary,
        "tags": [_tag(path)],
        "security": _SECURITY[operation.caller],
        "responses": {
            **{str(status): _answer(status, shape, schemas) for status, shape in operation.answers.items()},
            **{str(status): _refusal(status, codes, schemas) for status, codes in sorted(refusals.items())},
        },
    }
    if operation.details:
        described["description"] = operation.details
    if parameters := [*_in_path(path), *map(_parameter, operation.parameters)]:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schemas[operation.body]}
        if operation.example is not None:
            content["example"] = operation.example
        media_type = FORM if operation.is_form else JSON
        described["requestBody"] = {"required": True, "content": {media_type: content}}
    return described


def _codes(operation: Operation, everywhere: Mapping[int, str]) -> dict[int, list[str]]:
    """The codes of each status but success, each once."""
    refusals = [everywhere, _CALLER_REFUSALS[operation.caller]]
    if operation.body is not None:
        refusals.append(_FORM_REFUSALS if operation.is_form else _JSON_REFUSALS)
    found: dict[int, list[str]] = {}
    for status, codes in (refusal for some in [*refusals, operation.refusals] for refusal in some.items()):
        known = found.setdefault(status, [])
        known += [code for code in codes.split(", ") if code not in known]
    return found


def _answer(status: int, shape: type | str | None, schemas: Mapping[type, Any]) -> dict[str, Any]:
    if shape is None:
        return {"description": _MEANINGS[status]}
    if isinstance(shape, str):
        return {"description": _MEANINGS[status], "content": {shape: {"schema": {"type": "string"}}}}
    return {"description": _MEANINGS[status], "content": {JSON: {"schema": schemas[shape]}}}


def _refusal(status: int, codes: Sequence[str], schemas: Mapping[type, Any]) -> dict[str, Any]:
    these = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    described: dict[str, Any] = {
        "description": f"{_MEANINGS[status]} `code`: {', '.join(codes)}.",
        "content": {PROBLEM: {"schema": {"allOf": [schemas[Problem], these]}}},
    }
    if status in (429, 503):
        described["headers"] = _RETRY_AFTER
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    said = {"name": parameter.name, "in": parameter.place, "description": parameter.meaning}
    return said | {"schema": dict(parameter.schema)}


def _in_path(path: str) -> list[dict[str, Any]]:
    """Ids of what is stored are integers; other names are any text."""
    number, text = {"type": "integer", "minimum": 1}, {"type": "string", "minLength": 1}
    ids = {"chat_id": 1, "user_id": 2}
    return [
        {"name": name, "in": "path", "required": True}
        | {"schema": number if name in ids else text, "example": ids.get(name, f"a-{name}")}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _identifier(method: str, path: str) -> str:
    return "_".join([method.lower(), *re.findall(r"\w+", path.removeprefix("/api/v1"))])


def _tag(path: str) -> str:
    """Operations are shown by what they are about."""
    first: str = re.findall(r"[\w-]+", path.removeprefix("/api/v1"))[0]
    return _TAGS.get(first, first)


_TAGS = {
    "register": "accounts and tokens",
    "login": "accounts and tokens",
    "logout": "accounts and tokens",
    "generate-token": "rooms (seed 002)",
    "message": "rooms (seed 002)",
    "well-known": "accounts and tokens",
    "echo_ws": "channels (seed 003)",
    "pub_ws": "channels (seed 003)",
    "history": "channels (seed 003)",
    "users": "clients",
    "livez": "operation",
    "readyz": "operation",
    "metrics": "operation",
}
