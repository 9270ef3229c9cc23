"""The page, the operator's page and the JavaScript client: files, compressed for clients that ask for it.

Caches ask before they use a file again, so that no page mixes modules of two versions; only the client's files under
its version never change, and are kept for a year.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.config.settings import CLIENT_FOLDER, PAGE_FOLDER
from gateway.http.kept_files import content_of, is_kept
from httpapi.security_headers import HEADERS

_ASK: Final = "no-cache"
_A_YEAR: Final = "public, max-age=31536000, immutable"
_NO_IMAGE_SOURCES: Final = '<meta name="image-sources" content="">'
"""What the page has without PAGE_IMAGE_SOURCES."""


class _Files(StaticFiles):
    """The files of a folder, with the time for which caches keep them."""

    def __init__(self, folder: Path, cache_control: str = _ASK) -> None:
        super().__init__(directory=folder)
        self._cache_control = cache_control

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """The file with this path, if there is one; Starlette calls this in a thread, so its content is kept here."""
        file, status = super().lookup_path(path)
        if status is not None and is_kept(status):
            content_of(file, status)
        return file, status

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file, or 304; a part of a file, or a large one, comes from the disk."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if isinstance(response, FileResponse) and is_kept(stat_result) and "range" not in Headers(scope=scope):
            headers = {name: value for name, value in response.headers.items() if name != "content-length"}
            response = content_of(str(full_path), stat_result).response(Request(scope), headers)
        response.headers["Cache-Control"] = self._cache_control
        response.headers["Vary"] = "Accept-Encoding"
        return response


def client_routes(version: str) -> Sequence[BaseRoute]:
    """The JavaScript client: under its version, where it never changes, and under `current`: this node's."""
    return [
        Mount(f"/static/client/{version}", _Files(CLIENT_FOLDER, _A_YEAR)),
        Mount("/static/client/current", _Files(CLIENT_FOLDER)),
    ]


def page_routes(folder: Path, image_sources: Sequence[str]) -> Sequence[BaseRoute]:
    """The routes of the page at `/` and its static files, and of the operator's page, which is never replaced.

    `image_sources` is PAGE_IMAGE_SOURCES: what the page may load images from, beside this host.
    """
    page = _Html(folder / "index.html", image_sources)
    console = _Html(PAGE_FOLDER / "console" / "index.html")
    return [
        Route("/", page.respond, include_in_schema=False),
        Mount("/static", _Files(folder)),
        Route("/console", console.respond, include_in_schema=False),
        Mount("/console", _Files(PAGE_FOLDER)),
    ]


class _Html:
    """An HTML file, which is told the sources of its images as its policy is."""

    def __init__(self, file: Path, image_sources: Sequence[str] = ()) -> None:
        self._file = file
        self._headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": _ASK}
        self._meta = _NO_IMAGE_SOURCES
        if image_sources:
            sources = " ".join(image_sources)  # nothing in them needs to be escaped
            policy = HEADERS["Content-Security-Policy"]
            self._headers["Content-Security-Policy"] = f"{policy}; img-src 'self' {sources}"
            self._meta = f'<meta name="image-sources" content="{sources}">'

    def respond(self, request: Request) -> Response:
        """The page, in a thread of Starlette's."""
        replace = _NO_IMAGE_SOURCES.encode(), self._meta.encode()
        return content_of(self._file, self._file.stat(), replace).response(request, self._headers)
