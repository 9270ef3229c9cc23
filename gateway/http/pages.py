"""The page, the operator's page and the JavaScript client: files, compressed for clients that ask for it.

Caches ask before they use a file again, so that no page mixes modules of two versions; only the client's files under
its version never change, and are kept for a year.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from gateway.config.settings import CLIENT_FOLDER, PAGE_FOLDER
from httpapi.content.files import Files
from httpapi.content.kept_files import FileContent, content_of, is_unchanged
from httpapi.security_headers import HEADERS

_ASK: Final = "no-cache"
_A_YEAR: Final = "public, max-age=31536000, immutable"
_NO_IMAGE_SOURCES: Final = '<meta name="image-sources" content="">'
"""What the page has without PAGE_IMAGE_SOURCES."""


def client_routes(version: str) -> Sequence[BaseRoute]:
    """The JavaScript client: under its version, where it never changes, and under `current`: this node's."""
    return [
        Mount(f"/static/client/{version}", Files(CLIENT_FOLDER, _A_YEAR)),
        Mount("/static/client/current", Files(CLIENT_FOLDER, _ASK)),
    ]


def page_routes(folder: Path, image_sources: Sequence[str]) -> Sequence[BaseRoute]:
    """The routes of the page at `/` and its static files, and of the operator's page, which is never replaced.

    `image_sources` is PAGE_IMAGE_SOURCES: what the page may load images from, beside this host.
    """
    page = _Html(folder / "index.html", image_sources)
    console = _Html(PAGE_FOLDER / "console" / "index.html")
    return [
        Route("/", page.respond, include_in_schema=False),
        Mount("/static", Files(folder, _ASK)),
        Route("/console", console.respond, include_in_schema=False),
        Mount("/console", Files(PAGE_FOLDER, _ASK)),
    ]


class _Html:
    """An HTML file, which is told the sources of its images as its policy is."""

    def __init__(self, file: Path, image_sources: Sequence[str] = ()) -> None:
        self._file = file
        self._headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": _ASK}
        self._meta = _NO_IMAGE_SOURCES
        self._slices = asyncio.Lock()
        self._kept: tuple[FileContent | None, os.stat_result | None] = None, None
        if image_sources:
            sources = " ".join(image_sources)  # nothing in them needs to be escaped
            policy = HEADERS["Content-Security-Policy"]
            self._headers["Content-Security-Policy"] = f"{policy}; img-src 'self' {sources}"
            self._meta = f'<meta name="image-sources" content="{sources}">'

    async def respond(self, request: Request) -> Response:
        """The page, read again in a thread if it has changed."""
        content, status = self._kept
        if content is None or status is None or not is_unchanged(self._file, status):
            content = await run_in_threadpool(self._read)
        return content.response(request, self._headers, self._slices)

    def _read(self) -> FileContent:
        status = self._file.stat()
        content = content_of(self._file, status, (_NO_IMAGE_SOURCES.encode(), self._meta.encode()))
        self._kept = content, status
        return content
