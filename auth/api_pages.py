"""`/openapi.json`, `/postman.json` and `/docs`: the API as programs and as people read it, from local files alone.

Swagger UI comes with the package offapi. That is never imported, since it then reads megabytes of other viewers:
only its folder is looked up.
"""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from auth.openapi import document
from auth.postman import collection
from auth.version import program_version

_DESCRIPTION = """\
Every error is problem JSON (RFC 9457) with a stable `code`. The same as a Postman collection: `/postman.json`.
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
_FILES = {"swagger_bundle.js": "text/javascript", "swagger_style.css": "text/css"}
_HEADERS = {
    "Content-Security-Policy": (  # Swagger UI styles its elements one by one, and its icons are in its style sheet
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}


def api_pages(
    routes: Iterable[BaseRoute], *, title: str, about: str, everywhere: Mapping[int, str] | None = None
) -> list[BaseRoute]:
    """The document of these routes, as OpenAPI and as a Postman collection; the page that shows it, and its files.

    `about` is said of the whole; `everywhere` are the refusals (a status and its codes) that any route may answer with.

    Raises: UndocumentedRoute.
    """
    described = document(
        routes,
        title=title,
        version=program_version(),
        description=f"{about}\n\n{_DESCRIPTION}",
        everywhere=everywhere or {},
    )
    files = Path(str((find_spec("offapi") or _missing()).origin)).parent

    async def page(_: Request) -> Response:
        return Response(_PAGE, headers=_HEADERS, media_type="text/html")

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    def file(name: str, media_type: str) -> Route:
        async def answer(_: Request) -> Response:
            return FileResponse(files / name, media_type=media_type, headers={"Cache-Control": "max-age=86400"})

        return Route(f"/docs/{name}", answer, include_in_schema=False)

    return [
        json_page("/openapi.json", described),
        json_page("/postman.json", collection(described)),
        Route("/docs", page, include_in_schema=False),
        Route("/docs/start.js", start, include_in_schema=False),
        *(file(name, media_type) for name, media_type in _FILES.items()),
    ]


def json_page(path: str, content: Mapping[str, Any]) -> Route:
    """A document for everybody, encoded once."""
    body = orjson.dumps(content)

    async def answer(_: Request) -> Response:
        return Response(body, headers={"Cache-Control": "no-cache"}, media_type="application/json")

    return Route(path, answer, include_in_schema=False)


def _missing() -> Any:
    raise ModuleNotFoundError("offapi, which has Swagger UI's files")
