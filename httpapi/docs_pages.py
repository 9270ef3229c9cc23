"""`/openapi.json`, `/postman.json` and `/docs`: the API as programs and as people read it, from local files alone.

Swagger UI comes with the package offapi, which is located and never imported: its import reads megabytes of other
viewers.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from httpapi.content.files import Files
from httpapi.openapi import document
from httpapi.postman import collection, variables
from httpapi.site import Site

NAME = "chat-gateway"
"""The package, and the title of its project."""
_DESCRIPTION = """\
Every error is problem JSON (RFC 9457) with a stable `code`. Under `/api/v1`, fields and query parameters that an
operation does not have are rejected by name (`invalid_field`). The same API as a Postman collection: `/postman.json`.
"""
_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null});'
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>chat-gateway: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger_style.css">
</head>
<body>
<div id="ui"></div>
<script src="docs/swagger_bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_FILES = ("swagger_bundle.js", "swagger_style.css")
_DOCUMENT_HEADERS = {"Cache-Control": "no-cache"}
_HEADERS = {
    "Content-Security-Policy": (  # Swagger UI styles its elements one by one, and its icons are in its style sheet
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}


def api_pages(
    routes: Iterable[BaseRoute], site: Site, *, title: str, about: str, everywhere: Mapping[int, str] | None = None
) -> list[BaseRoute]:
    """The routes of the OpenAPI document, of the Postman collection, and of the page that shows the document.

    `about` describes the API; `everywhere` has the error responses that every route may give: codes by status.

    Raises: UndocumentedRoute.
    """
    described = document(
        routes,
        title=title,
        version=program_version(),
        description=f"{about}\n\n{_DESCRIPTION}",
        everywhere=everywhere or {},
        public_url=site.public_url,
    )
    requests = collection(described)
    files = Files(Path(str((find_spec("offapi") or _missing()).origin)).parent, "max-age=86400")

    async def page(_: Request) -> Response:
        return Response(_PAGE, headers=_HEADERS, media_type="text/html")

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    async def postman(request: Request) -> Response:
        body = orjson.dumps(requests | {"variable": variables(site.url(request))})
        return Response(body, headers=_DOCUMENT_HEADERS, media_type="application/json")

    def file(name: str) -> Route:
        async def answer(request: Request) -> Response:
            return await files.get_response(name, request.scope)

        return Route(f"/docs/{name}", answer, include_in_schema=False)

    return [
        json_page("/openapi.json", described),
        Route("/postman.json", postman, include_in_schema=False),
        Route("/docs", page, include_in_schema=False),
        Route("/docs/start.js", start, include_in_schema=False),
        *map(file, _FILES),
    ]


def json_page(path: str, content: Mapping[str, Any]) -> Route:
    """The route of a public JSON document, which is encoded once."""
    body = orjson.dumps(content)

    async def answer(_: Request) -> Response:
        return Response(body, headers=_DOCUMENT_HEADERS, media_type="application/json")

    return Route(path, answer, include_in_schema=False)


def _missing() -> Any:
    raise ModuleNotFoundError("offapi, which contains the files of Swagger UI")


@cache
def program_version() -> str:
    """The version of the running program.

    As pyproject.toml says where that lies beside the packages (a checkout, the image), else as it was installed.
    """
    try:
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] == NAME:
            return str(project["version"])
    except (OSError, KeyError, ValueError):  # ValueError: the file is not TOML
        pass
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "unknown"
