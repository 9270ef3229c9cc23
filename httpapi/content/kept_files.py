"""Files that are kept in memory as they are sent: read and compressed once, and again after they have changed.

Keeps: a file that is requested again and again is not compressed again; MAX_FILES of MAX_BYTES are kept at most.
"""

import asyncio
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from httpapi.content.accept_encoding import MIN_BYTES, accepts_gzip
from httpapi.content.sliced import SlicedResponse

MAX_FILES: Final = 128
"""The page, the operator's page and the JavaScript client have 50, and the page of the API has 2."""
MAX_BYTES: Final = 2 * 1024 * 1024
"""Larger files are neither kept nor compressed. Swagger UI has 1.6 MB."""
_LEVEL: Final = 9
_GZIP: Final = 31
"""zlib's code for the format of gzip with the largest window."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """What is sent of a file. `compressed` is None if it is too small or too large for that."""

    plain: bytes
    compressed: bytes | None

    def response(self, request: Request, headers: Mapping[str, str], turn: asyncio.Lock) -> Response:
        """The content, compressed if the request accepts that; `headers` say of what media type it is.

        A large one is sent in slices, of which all responses with this `turn` send one in a turn of the event loop.
        """
        compressed = self.compressed if accepts_gzip(request.headers.get("accept-encoding", "")) else None
        response = SlicedResponse(self.plain if compressed is None else compressed, headers, turn)
        response.headers["Vary"] = "Accept-Encoding"
        if compressed is not None:
            response.headers["Content-Encoding"] = "gzip"
        return response


def is_kept(status: os.stat_result) -> bool:
    """Whether files like this are kept."""
    return stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES


def content_of(path: str | Path, status: os.stat_result, replace: tuple[bytes, bytes] = (b"", b"")) -> FileContent:
    """The content of the file that has this status, with the second of `replace` in the place of the first.

    Unless it is kept this reads and compresses it: call it in a thread first. Raises: OSError.
    """
    if is_kept(status):
        return _kept(str(path), status.st_mtime_ns, status.st_size, replace)
    return FileContent(_read(path, replace), None)


def is_unchanged(path: str | Path, status: os.stat_result) -> bool:
    """Whether the file still has this status.

    Of a file that is kept the kernel has it in memory, which takes less time than a thread to read it in.
    """
    try:
        now = Path(path).stat()
    except (OSError, ValueError):
        return False
    return (now.st_mtime_ns, now.st_size) == (status.st_mtime_ns, status.st_size)


@lru_cache(MAX_FILES)
def _kept(path: str, _modified_ns: int, _size: int, replace: tuple[bytes, bytes]) -> FileContent:
    plain = _read(path, replace)
    return FileContent(plain, _gzip(plain) if len(plain) >= MIN_BYTES else None)


def _read(path: str | Path, replace: tuple[bytes, bytes]) -> bytes:
    content = Path(path).read_bytes()
    return content.replace(*replace) if replace[0] else content


def _gzip(content: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
    return compressor.compress(content) + compressor.flush()
