"""Generates HTTP/1.1 requests, and what might be taken for two where another parser sees one."""

from random import Random
from typing import Final

from tests.fuzz.byte_mutations import cut, mutated
from tests.fuzz.case import Case

SEEDS: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /x?y=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
)
_UPGRADE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_METHODS: Final = (b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH")
_ODD_LINES: Final = (
    b"CONNECT a:1 HTTP/1.1",
    b"GET http://b/ HTTP/1.1",
    b"GET //b/ HTTP/1.1",
    b"GET / HTTP/2.0",
    b"GET / HTTP/1.2",
    b"GET  / HTTP/1.1",
    b"get / HTTP/1.1",
    b"GET /\x80 HTTP/1.1",
    b"GET /%00%ff HTTP/1.1",
    b"GET /a\tb HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"OPTIONS * HTTP/1.1",
    b"NONSENSE",
    b"",
)
_ODD_HEADERS: Final = (
    b"Content-Length: 3\r\nContent-Length: 4",
    b"Content-Length: 3\r\nContent-Length: 3",
    b"Content-Length: 3, 3",
    b"Content-Length: +3",
    b"Content-Length: -3",
    b"Content-Length: 0x3",
    b"Content-Length:\t3 ",
    b"Content-Length : 3",
    b"Content-Length: ",
    b"Content-Length: 18446744073709551619",
    b"Content_Length: 3",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Content-Length: 30\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"X: y\r\n folded",
    b" Leading: space",
    b"X: a\nTransfer-Encoding: chunked",
    b"X: a\rTransfer-Encoding: chunked",
    b"X: \x00",
    b"X\x00: y",
    b": no name",
    b"no colon",
    b"Host: b",
    b"Host: a, b",
    b"Connection: close",
    b"Connection: keep-alive, Transfer-Encoding",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    b"Upgrade: anything\r\nConnection: upgrade",
    b"Connection: upgrade\r\nUpgrade: websocket",
    b"Expect: 100-continue",
    b"X: " + b"x" * 9000,
)
_ODD_CHUNKS: Final = (
    b"3;a=b\r\nabc\r\n0\r\n\r\n",
    b"3 \r\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"3\nabc\n0\n\n",
    b"ffffffffffffffff3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"3\r\nabc\r\n00000\r\n\r\n",
    b"\r\n0\r\n\r\n",
)


def connection(random: Random) -> Case:
    """The reads of one connection: requests one behind the other, and whatever is wrong with them."""
    data = b"".join(_request(random) for _ in range(random.choice((1, 2, 2, 3, 6))))
    if random.random() < 0.02:
        data += _UPGRADE + random.choice((b"", b"\x81\x80\0\0\0\0"))
    if random.random() < 0.3:
        data = mutated(random, data, (*SEEDS, *_ODD_HEADERS))
    return cut(random, data)


def _request(random: Random) -> bytes:
    method = random.choice(_METHODS)
    line = method + b" /" + random.randbytes(2).hex().encode() + random.choice((b"", b"?a=b")) + b" HTTP/1.1"
    headers = [random.choice((b"Host: a", b"host: a:80", b"HOST:a"))]
    body = b""
    match random.randrange(4):
        case 0:
            body = random.choice((b"abc", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"x" * 3000))
            headers.append(b"Content-Length: %d" % len(body))
        case 1:
            headers.append(b"Transfer-Encoding: chunked")
            body = _chunked(random)
    if random.random() < 0.2:
        headers.append(random.choice(_ODD_HEADERS))
    if random.random() < 0.05:
        line = random.choice(_ODD_LINES)
    if random.random() < 0.05:
        headers.pop(0)
    if random.random() < 0.02:
        headers += [b"X-%d: y" % number for number in range(random.choice((50, 200, 4000)))]
    random.shuffle(headers)
    return b"\r\n".join([line, *headers, b"", body])


def _chunked(random: Random) -> bytes:
    if random.random() < 0.3:
        return random.choice(_ODD_CHUNKS)
    pieces = [random.choice((b"abc", b"x" * 300, b"0\r\n\r\n")) for _ in range(random.randrange(3))]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
