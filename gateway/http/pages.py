"""The page, the operator's page and the JavaScript client: files, compressed for clients that ask for it.

Caches ask before they use a file again, so that no page mixes modules of two versions; only the client's files under
its version never change, and are kept for a year.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.config.settings import CLIENT_FOLDER, PAGE_FOLDER
from httpapi.security_headers import HEADERS

_ASK: Final = "no-cache"
_A_YEAR: Final = "public, max-age=31536000, immutable"
_NO_IMAGE_SOURCES: Final = '<meta name="image-sources" content="">'
"""What the page has without PAGE_IMAGE_SOURCES."""
_COMPRESSED: Final = [Middleware(GZipMiddleware, minimum_size=1024, compresslevel=6)]


class _Files(StaticFiles):
    """The files of a folder, with the time for which caches keep them."""

    def __init__(self, folder: Path, cache_control: str = _ASK) -> None:
        super().__init__(directory=folder)
        self._cache_control = cache_control

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or 404."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = self._cache_control
        return response


def client_routes(version: str) -> Sequence[BaseRoute]:
    """The JavaScript client: under its version, where it never changes, and under `current`: this node's."""
    return [
        Mount(f"/static/client/{version}", _Files(CLIENT_FOLDER, _A_YEAR), middleware=_COMPRESSED),
        Mount("/static/client/current", _Files(CLIENT_FOLDER), middleware=_COMPRESSED),
    ]


def page_routes(folder: Path, image_sources: Sequence[str]) -> Sequence[BaseRoute]:
    """The routes of the page at `/` and its static files, and of the operator's page, which is never replaced.

    `image_sources` is PAGE_IMAGE_SOURCES: what the page may load images from, beside this host.
    """
    page = _Html(folder / "index.html", image_sources)
    console = _Html(PAGE_FOLDER / "console" / "index.html")
    return [
        Route("/", page.respond, include_in_schema=False, middleware=_COMPRESSED),
        Mount("/static", _Files(folder), middleware=_COMPRESSED),
        Route("/console", console.respond, include_in_schema=False, middleware=_COMPRESSED),
        Mount("/console", _Files(PAGE_FOLDER), middleware=_COMPRESSED),
    ]


class _Html:
    """An HTML file, which is told the sources of its images as its policy is."""

    def __init__(self, file: Path, image_sources: Sequence[str] = ()) -> None:
        self._file = file
        self._headers = {"Cache-Control": _ASK}
        self._meta = _NO_IMAGE_SOURCES
        if image_sources:
            sources = " ".join(image_sources)  # nothing in them needs to be escaped
            policy = HEADERS["Content-Security-Policy"]
            self._headers["Content-Security-Policy"] = f"{policy}; img-src 'self' {sources}"
            self._meta = f'<meta name="image-sources" content="{sources}">'

    def respond(self, _: Request) -> Response:
        """The page; reads the file, in a thread of Starlette's."""
        html = self._file.read_text(encoding="utf-8")
        return HTMLResponse(html.replace(_NO_IMAGE_SOURCES, self._meta), headers=self._headers)
