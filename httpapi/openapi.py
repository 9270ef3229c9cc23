"""The OpenAPI 3.1 document of routes, generated from the descriptions of their endpoints (`httpapi.operation`).

A route without a description is an error, so the document cannot be incomplete.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import msgspec
from starlette.routing import BaseRoute, Route

from httpapi.errors import BrokenRule, UndocumentedRoute
from httpapi.operation import ON_BEHALF_OF, TOKEN_PARAMETER, Audience, Operation, Parameter

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
FORM_LOGIN = "/api/v1/login/access-token"
_UNDOCUMENTED = frozenset({"HEAD", "OPTIONS"})
_SCHEMA = "#/components/schemas/{name}"

_SECURITY: dict[Audience, list[dict[str, list[str]]]] = {
    Audience.ANYBODY: [],
    Audience.USER: [{"password": []}, {"bearer": []}, {"query": []}, {"cookie": []}],
    Audience.SERVICE: [{"service": []}],
    Audience.GUEST: [{}, {"service": []}],
    Audience.USER_OR_SERVICE: [{"password": []}, {"bearer": []}, {"query": []}, {"cookie": []}, {"service": []}],
}
_CALLER_REFUSALS: dict[Audience, dict[int, str]] = {
    Audience.ANYBODY: {},
    Audience.USER: {400: "ambiguous_token", 401: "unauthorized", 403: "banned", 503: "unavailable"},
    Audience.SERVICE: {403: "forbidden", 503: "unavailable"},
    Audience.GUEST: {403: "forbidden", 503: "unavailable"},
    Audience.USER_OR_SERVICE: {
        400: "ambiguous_token",
        401: "unauthorized",
        403: "forbidden, banned",
        404: "not_found",
        422: "invalid_field",
        503: "unavailable",
    },
}
_BODY_REFUSALS = {400: "incomplete", 408: "timeout", 413: "too_large", 415: "unsupported_media_type"}
_FORM_REFUSALS = _BODY_REFUSALS | {400: "incomplete, invalid_form"}
_JSON_REFUSALS = _BODY_REFUSALS | {400: "incomplete, invalid_json", 422: "invalid_field, invalid_text"}
_MEANINGS = {
    200: "Success.",
    201: "Created.",
    202: "Accepted.",
    204: "Success, without content.",
    400: "The request is malformed.",
    401: "The credentials are missing or invalid.",
    403: "Not allowed for this caller, or for pages of this origin.",
    404: "Not found, or not visible to the caller.",
    408: "The body took too long.",
    409: "Conflicts with the current state.",
    413: "The body is too large.",
    415: "The body has another media type.",
    421: "The request names no host of this service.",
    422: "A value is invalid.",
    429: "Too many requests; `Retry-After` says when to try again.",
    503: "Temporarily unavailable; `Retry-After` says when to try again.",
}
_RETRY_AFTER = {"Retry-After": {"required": True, "description": "in seconds", "schema": {"type": "integer"}}}


class ProblemDocument(TypedDict):
    """The body of every error response (RFC 9457). `code` is stable; `detail` is for people.

    `retry_after_s` is in whole seconds; `errors` names the fields that break a rule of accounts or chats.
    """

    title: str
    status: int
    code: str
    detail: str
    retry_after_s: NotRequired[int]
    errors: NotRequired[list[BrokenRule]]


def document(
    routes: Iterable[BaseRoute],
    *,
    title: str,
    version: str,
    description: str,
    everywhere: Mapping[int, str],
    public_url: str = "",
) -> dict[str, Any]:
    """The document; `everywhere` has the error responses that every route may give: codes by status.

    `public_url` is the URL of the service; "" is the root of the host that serves the document.

    Raises: UndocumentedRoute.
    """
    paths: dict[str, dict[str, Any]] = {}
    operations = [one for route in routes for one in _of(route)]
    shapes = {shape for _, _, operation in operations for shape in _shapes(operation)} | {ProblemDocument}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_SCHEMA)
    names = dict(zip(ordered, schemas, strict=True))
    for path, method, operation in operations:
        template = re.sub(r"{(\w+):\w+}", r"{\1}", path)
        paths.setdefault(template, {})[method.lower()] = _operation(method, template, operation, names, everywhere)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": public_url or "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": components, "securitySchemes": _schemes(public_url)},
    }


def _schemes(public_url: str) -> dict[str, Any]:
    return {
        "password": {
            "type": "oauth2",
            "description": "Log in with the login and password of an account. Leave the client's fields empty.",
            "flows": {"password": {"tokenUrl": f"{public_url}{FORM_LOGIN}", "scopes": {}}},
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token that you already have.",
        },
        "query": {
            "type": "apiKey",
            "in": "query",
            "name": TOKEN_PARAMETER,
            "description": "The same, or a one-use ticket.",
        },
        "cookie": {"type": "apiKey", "in": "cookie", "name": "access_token", "description": "Set by `POST /login`."},
        "service": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Service-Key",
            "description": "One of the keys in the setting `SERVICE_KEYS`.",
        },
    }


def _of(route: BaseRoute) -> Iterable[tuple[str, str, Operation]]:
    """The path, method and description of each method of a route; nothing for a page (`include_in_schema=False`).

    Raises: UndocumentedRoute.
    """
    if not isinstance(route, Route):
        raise UndocumentedRoute(repr(route))
    if not route.include_in_schema:
        return
    by_method: Mapping[str, Any] = getattr(route.endpoint, "endpoints", {})
    for method in sorted((route.methods or set()) - _UNDOCUMENTED):
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
    texts = [operation.details] if operation.details else []
    if operation.scope is not None:
        texts.append(f"A service key needs the scope `{operation.scope}`.")
    if texts:
        described["description"] = " ".join(texts)
    shared = [ON_BEHALF_OF] if operation.caller is Audience.USER_OR_SERVICE else []
    if parameters := [*_in_path(path), *map(_parameter, (*operation.parameters, *shared))]:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schemas[operation.body]}
        if len(operation.examples) == 1:
            (content["example"],) = operation.examples.values()
        elif operation.examples:
            content["examples"] = {name: {"value": body} for name, body in operation.examples.items()}
        media_type = FORM if operation.is_form else JSON
        described["requestBody"] = {"required": not operation.body_is_optional, "content": {media_type: content}}
    return described


def _codes(operation: Operation, everywhere: Mapping[int, str]) -> dict[int, list[str]]:
    """The codes of each error status, without duplicates."""
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
        "content": {PROBLEM: {"schema": {"allOf": [schemas[ProblemDocument], these]}}},
    }
    if status in (429, 503):
        described["headers"] = _RETRY_AFTER
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described = {"name": parameter.name, "in": parameter.place, "description": parameter.meaning}
    return described | {"schema": dict(parameter.schema)}


def _in_path(path: str) -> list[dict[str, Any]]:
    """The parameters in the path: ids of stored objects are integers, other names any text."""
    number, text = {"type": "integer", "minimum": 1}, {"type": "string", "minLength": 1}
    ids = {"chat_id": 1, "user_id": 2}
    return [
        {"name": name, "in": "path", "required": True}
        | {"schema": number if name in ids else text, "example": ids.get(name, f"my-{name.removesuffix('_id')}")}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _identifier(method: str, path: str) -> str:
    return "_".join([method.lower(), *re.findall(r"\w+", path.removeprefix("/api/v1"))])


def _tag(path: str) -> str:
    """The group in which the documents show an operation: its subject."""
    first: str = re.findall(r"[\w-]+", path.removeprefix("/api/v1"))[0]
    return _TAGS.get(first, first)


_TAGS = {
    "register": "accounts and tokens",
    "login": "accounts and tokens",
    "logout": "accounts and tokens",
    "generate-token": "rooms",
    "message": "rooms",
    "well-known": "accounts and tokens",
    "echo_ws": "echo and public channels",
    "pub_ws": "echo and public channels",
    "history": "echo and public channels",
    "users": "clients",
    "livez": "operation",
    "readyz": "operation",
    "metrics": "operation",
}
