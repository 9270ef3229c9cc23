"""The API as a Postman collection (format v2.1), made from the OpenAPI document."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import orjson

from httpapi.openapi import FORM, JSON

_KEEP_TOKEN = {
    "listen": "test",
    "script": {
        "type": "text/javascript",
        "exec": [
            "if (pm.response.code === 200) {",
            '    pm.collectionVariables.set("token", pm.response.json().access_token);',
            "}",
        ],
    },
}
"""A script that Postman runs after the response; the other requests send `{{token}}`."""
SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """One folder per tag, one request per operation. The caller adds the `variables`."""
    folders: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            folders[operation["tags"][0]].append(_item(method.upper(), path, operation))
    return {
        "info": {"name": document["info"]["title"], "version": document["info"]["version"], "schema": SCHEMA},
        "item": [{"name": name, "item": items} for name, items in sorted(folders.items())],
    }


def variables(base_url: str | None) -> list[dict[str, str]]:
    """`baseUrl` is the URL of the gateway, if known; the logins set `token`; people fill in `serviceKey`."""
    return [
        {"key": "baseUrl", "value": base_url or "http://127.0.0.1:8000"},
        {"key": "token", "value": ""},
        {"key": "serviceKey", "value": ""},
    ]


def _item(method: str, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    headers: list[dict[str, Any]] = []
    request: dict[str, Any] = {
        "method": method,
        "header": headers,
        "url": _url(path, operation.get("parameters", ())),
        "description": operation.get("description", operation["summary"]),
    }
    if {"bearer": []} in operation["security"]:
        request["auth"] = {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]}
    if {"service": []} in operation["security"]:
        is_optional = len(operation["security"]) > 1
        headers.append({"key": "X-Service-Key", "value": "{{serviceKey}}", "disabled": is_optional})
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        headers.append({"key": "Content-Type", "value": media_type})
        request["body"] = _body(media_type, _example(content))
    item = {"name": operation["summary"], "request": request}
    return item | {"event": [_KEEP_TOKEN]} if _grants_token(operation) else item


def _grants_token(operation: Mapping[str, Any]) -> bool:
    content = operation["responses"].get("200", {}).get("content", {})
    return bool(content.get(JSON, {}).get("schema", {}).get("$ref", "").endswith("/AccessToken"))


def _url(path: str, parameters: Any) -> dict[str, Any]:
    template = re.sub(r"{(\w+)}", r":\1", path)
    query = [
        {"key": one["name"], "value": "", "description": one["description"], "disabled": True}
        for one in parameters
        if one["in"] == "query"
    ]
    variables = [{"key": one["name"], "value": str(one["example"])} for one in parameters if one["in"] == "path"]
    return {
        "raw": "{{baseUrl}}" + template,
        "host": ["{{baseUrl}}"],
        "path": template.strip("/").split("/"),
        "query": query,
        "variable": variables,
    }


def _example(content: Mapping[str, Any]) -> Any:
    for named in content.get("examples", {}).values():
        return named["value"]
    return content.get("example", {})


def _body(media_type: str, example: Any) -> dict[str, Any]:
    if media_type == FORM:
        return {"mode": "urlencoded", "urlencoded": [{"key": key, "value": value} for key, value in example.items()]}
    assert media_type == JSON  # noqa: S101 - the API has no other
    raw = orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
    return {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
