"""HTTP/1.1 from the server's side (RFC 9112), strictly: the requests in the bytes of one connection.

What is not strict is UNSURE where a server may be lenient, and BAD where leniency is how requests are smuggled: where
another parser might see the request end elsewhere, or another host.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

_LINE: Final = re.compile(rb"(GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) (/[!-\"$-~]*) HTTP/1\.([01])")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")
_CHUNK: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_SINGLE: Final = {b"host", b"content-length"}


class Rest(Enum):
    """What follows the last complete request."""

    PARTIAL = auto()
    """The beginning of a valid request, or nothing."""
    CLOSED = auto()
    """The last request was the last one: what follows is ignored."""
    UNSURE = auto()
    BAD = auto()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request."""

    method: bytes
    target: bytes
    body: bytes


@dataclass
class Parsed:
    """The requests of one connection."""

    requests: list[HttpRequest] = field(default_factory=list)
    rest: Rest = Rest.PARTIAL


class _Ended(Exception):
    """The requests end here."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest


class HttpModel:
    """Parses one connection's input."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def run(self) -> Parsed:
        """The requests, and what follows them."""
        parsed = Parsed()
        try:
            while True:
                request, is_last = self._request()
                parsed.requests.append(request)
                if is_last:
                    raise _Ended(Rest.CLOSED)
        except _Ended as ended:
            parsed.rest = ended.rest
        return parsed

    def _request(self) -> tuple[HttpRequest, bool]:
        line = _LINE.fullmatch(self._line())
        if line is None:
            raise _Ended(Rest.UNSURE)
        fields: dict[bytes, bytes] = {}
        names: list[bytes] = []
        while header := self._line():
            name, colon, value = header.partition(b":")
            if not colon or not _NAME.fullmatch(name):
                is_folded = header[:1] in b" \t" and names  # RFC 9112 §5.2: may be read as a part of the value
                raise _Ended(Rest.UNSURE if is_folded else Rest.BAD)
            if not _VALUE.fullmatch(value):
                raise _Ended(Rest.BAD)
            if name.lower() == b"transfer-encoding" and not value.strip(b" \t"):
                raise _Ended(Rest.BAD)  # whatever follows: it names no coding
            if name.lower() == b"transfer-encoding" and value.endswith(b"\t"):
                raise _Ended(Rest.UNSURE)  # RFC 9110 §5.5 allows the tab, llhttp rejects the request
            names.append(name.lower())
            before = fields.get(name.lower(), b"")
            fields[name.lower()] = before + (b", " if before else b"") + value.strip(b" \t")
        is_new = line[3] == b"1"
        self._check_fields(fields, names, is_new=is_new)
        body = self._body(fields)
        connection = fields.get(b"connection", b"").lower()
        if connection not in (b"", b"close", b"keep-alive", b"upgrade", b"upgrade, http2-settings"):
            raise _Ended(Rest.UNSURE)
        is_last = connection == b"close" or not is_new
        return HttpRequest(line[1], line[2], body), is_last

    def _check_fields(self, fields: dict[bytes, bytes], names: list[bytes], *, is_new: bool) -> None:
        if b"content-length" in fields and b"transfer-encoding" in fields:
            raise _Ended(Rest.BAD)
        if any(names.count(name) > 1 for name in _SINGLE):
            raise _Ended(Rest.BAD)
        if not _HOST.fullmatch(fields.get(b"host", b"" if not is_new else b" ")):
            raise _Ended(Rest.BAD)
        is_websocket = b"websocket" in fields.get(b"upgrade", b"").lower()  # any other is ignored (RFC 9110 §7.8)
        if names.count(b"connection") > 1 or is_websocket or b"expect" in names:
            raise _Ended(Rest.UNSURE)
        if not is_new and b"transfer-encoding" in fields:
            raise _Ended(Rest.UNSURE)

    def _body(self, fields: dict[bytes, bytes]) -> bytes:
        encoding = fields.get(b"transfer-encoding")
        if encoding is not None:
            if encoding.lower() == b"chunked":
                return self._chunks()
            last = encoding.lower().rpartition(b",")[2].strip(b" \t")
            raise _Ended(Rest.UNSURE if last == b"chunked" else Rest.BAD)
        length = fields.get(b"content-length", b"0")
        if not re.fullmatch(rb"[0-9]{1,15}", length):
            raise _Ended(Rest.UNSURE if re.fullmatch(rb"[0-9]+", length) else Rest.BAD)
        return self._take(int(length))

    def _chunks(self) -> bytes:
        body = []
        while True:
            line = self._line()
            if not _CHUNK.fullmatch(line):
                raise _Ended(Rest.UNSURE if _CHUNK.match(line) else Rest.BAD)
            size = int(line, 16)
            if size == 0:
                break
            body.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise _Ended(Rest.BAD)
        if self._line():
            raise _Ended(Rest.UNSURE)  # trailers
        return b"".join(body)

    def _line(self) -> bytes:
        end = self._data.find(b"\r\n", self._at)
        line = self._data[self._at : end if end >= 0 else None]
        if b"\n" in line or b"\r" in line.removesuffix(b"\r"):
            raise _Ended(Rest.UNSURE)
        if end < 0:
            raise _Ended(Rest.UNSURE if line else Rest.PARTIAL)  # it may already be wrong
        self._at = end + 2
        return line

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise _Ended(Rest.PARTIAL)
        self._at += size
        return taken
