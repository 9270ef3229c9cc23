"""The files of a folder, kept in memory and compressed for clients that ask for it."""

import asyncio
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from httpapi.content.kept_files import MAX_FILES, content_of, is_kept, is_unchanged


class Files(StaticFiles):
    """The files of a folder, with the time for which caches keep them.

    A file that is kept costs a request one look at its status, in the event loop; the first request of it, and one of
    a file that is not kept, goes to the disk in a thread.
    """

    def __init__(self, folder: Path, cache_control: str) -> None:
        super().__init__(directory=folder)
        self._cache_control = cache_control
        self._kept: dict[str, tuple[str, os.stat_result]] = {}
        """The file that was found for a path, and its status when its content was read."""
        self._slices = asyncio.Lock()
        """The turn of responses with a large file."""
        self._reading = asyncio.Lock()
        """Held while a thread looks for a file: a herd of first requests reads and compresses it once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file with this path below the folder. Raises: HTTPException."""
        response = self._from_memory(path, scope)
        if response is None:
            async with self._reading:
                response = self._from_memory(path, scope) or await super().get_response(path, scope)
        return response

    def _from_memory(self, path: str, scope: Scope) -> Response | None:
        file, status = self._kept.get(path, ("", None))
        if status is None or scope["method"] not in ("GET", "HEAD") or not is_unchanged(file, status):
            return None
        return self.file_response(file, status, scope)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """The file with this path, if there is one; Starlette calls this in a thread, so its content is kept here."""
        file, status = super().lookup_path(path)
        if status is not None and is_kept(status):
            content_of(file, status)
            if len(self._kept) < MAX_FILES or path in self._kept:
                self._kept[path] = file, status
        return file, status

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file, or 304; a part of a file, or a large one, comes from the disk."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if isinstance(response, FileResponse) and is_kept(stat_result) and "range" not in Headers(scope=scope):
            headers = {name: value for name, value in response.headers.items() if name != "content-length"}
            response = content_of(str(full_path), stat_result).response(Request(scope), headers, self._slices)
        response.headers["Cache-Control"] = self._cache_control
        response.headers["Vary"] = "Accept-Encoding"
        return response
