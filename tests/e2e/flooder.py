"""Floods a node over several sockets as fast as it takes the bytes, as a process of its own that costs little itself.

`python -m tests.e2e.flooder PORT KIND SOCKETS SECONDS TOKEN SOURCES` connects, and begins when it reads a line. Each
socket connects again when it is closed. TOKEN is `-` for anonymous sockets; with SOURCES the sockets are spread over so
many loopback addresses. The last line of the output is a JSON object: bytes sent, and how often each close code
(`cut`: none) and each status of a rejected handshake was received.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from typing import Final

from tests.gateway.transport.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, frame, handshake

BLOB_BYTES: Final = 256 * 1024
RETRY_S: Final = 0.1
"""Between two attempts of a socket whose handshake was rejected."""


def _command(**fields: object) -> bytes:
    return frame(TEXT, json.dumps(fields).encode())


def _fragmented() -> bytes:
    """A `hello` in 1,000 fragments, nearly all of them empty."""
    return frame(TEXT, b'{"type":"hello",', fin=False) + frame(CONT, fin=False) * 998 + frame(CONT, b'"message":"x"}')


NATIVE: Final = "/ws/flooder"
ECHO: Final = "/channels/echo"
KINDS: Final[dict[str, tuple[str, bytes]]] = {
    "ping": (NATIVE, frame(TEXT, b'{"type":"ping"}')),
    "control-ping": (NATIVE, frame(PING)),
    "control-pong": (NATIVE, frame(PONG)),
    "hello": (NATIVE, _command(type="hello", message="x" * 860)),
    "long-hello": (NATIVE, _command(type="hello", message="x" * 60_000)),
    "objects": (NATIVE, _command(type="hello", **{f"k{n}": {"a": [1] * 20} for n in range(700)})),
    "brackets": (NATIVE, frame(TEXT, b'{"type":' + b"[" * 30_000)),
    "surrogates": (NATIVE, frame(TEXT, b'{"a":"\\ud800",' + b",".join(b'"%x":0' % n for n in range(6_000)) + b"}")),
    "fragments": (NATIVE, _fragmented()),
    "endless-fragments": (NATIVE, frame(CONT, fin=False)),
    "unknown-type": (NATIVE, _command(type="nonsense")),
    "invalid-json": (NATIVE, frame(TEXT, b"{")),
    "binary": (NATIVE, frame(BINARY, b"x")),
    "subscribe": (NATIVE, _command(type="subscribe", chat_id=1) + _command(type="unsubscribe", chat_id=1)),
    "subscribe-and-ping": (NATIVE, _command(type="subscribe", chat_id=1) + frame(TEXT, b'{"type":"ping"}') * 60),
    "typing": (NATIVE, _command(type="typing", chat_id=1, is_typing=True)),
    "echo": (ECHO, frame(TEXT, b"x")),
    "echo-control-ping": (ECHO, frame(PING)),
    "pipelined-http": ("", b"GET /livez HTTP/1.1\r\nHost: node\r\n\r\n"),
    "pipelined-files": ("", b"GET / HTTP/1.1\r\nHost: node\r\n\r\n"),
    "pipelined-compressed-files": (
        "",
        b"GET /static/style.css HTTP/1.1\r\nHost: node\r\nAccept-Encoding: gzip\r\n\r\n",
    ),
    "pipelined-nonsense": ("", b"GET /x HTTP/1.1\r\n\r\n"),
    "close": (NATIVE, close(1000)),
}
"""The path of the WebSocket, or none, and what is sent there again and again."""


class Flood:
    """One socket; it connects again when it is closed."""

    def __init__(self, port: int, kind: str, token: str | None, source: str, codes: Counter[str]) -> None:
        self._port, self._source, self._codes = port, source, codes
        path, unit = KINDS[kind]
        self._hello = handshake(path, *([f"Authorization: Bearer {token}"] if token else [])) if path else b""
        self._blob = unit if kind == "close" else unit * max(1, BLOB_BYTES // len(unit))
        self._first = frame(TEXT, b'"', fin=False) if kind == "endless-fragments" else b""
        self.sent = 0

    def open(self) -> bool:
        """Connect, and complete the handshake; False if it was rejected."""
        try:
            self.socket = socket.create_connection(
                ("127.0.0.1", self._port), timeout=60, source_address=(self._source, 0)
            )
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._hello:
                self.socket.sendall(self._hello)
                answer = b""
                while b"\r\n\r\n" not in answer and (data := self.socket.recv(1)):
                    answer += data
                if not answer.startswith(b"HTTP/1.1 101"):
                    self._codes[answer[9:12].decode() or "cut"] += 1
                    self.socket.close()
                    return False
        except OSError:
            self._codes["refused"] += 1
            return False
        self.socket.setblocking(False)
        self._at, self._left, self._tail = 0, self._first + self._blob, b""
        return True

    def write(self) -> None:
        """Send what the kernel takes. Raises: OSError."""
        taken = self.socket.send(self._left[self._at :] if self._at else self._left)
        self.sent += taken
        self._at += taken
        if self._at == len(self._left):
            self._at, self._left = 0, self._blob

    def read(self) -> bool:
        """Drop what came but for its end; False if that is the end of the stream."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self._tail = (self._tail + data)[-200:]
        return bool(data)

    def end(self) -> None:
        """The connection is over: note how it was closed."""
        at = self._tail.rfind(bytes([0x80 | CLOSE]))
        is_close = 0 <= at < len(self._tail) - 3 and at + 2 + self._tail[at + 1] == len(self._tail)
        self._codes[str(int.from_bytes(self._tail[at + 2 : at + 4])) if is_close else "cut"] += 1
        self.socket.close()


def source_address(number: int, sources: int) -> str:
    """The loopback address of a source; "" lets the kernel choose."""
    return f"127.0.1.{number % sources + 1}" if sources else ""


def flood(port: int, kind: str, sockets: int, seconds: float, token: str | None, sources: int) -> None:
    """Until the time is over."""
    codes: Counter[str] = Counter()
    selector = selectors.DefaultSelector()
    both = selectors.EVENT_READ | selectors.EVENT_WRITE
    floods = [Flood(port, kind, token, source_address(number, sources), codes) for number in range(sockets)]
    closed: list[Flood] = []

    def open_again(one: Flood) -> None:
        if one.open():
            selector.register(one.socket, both, one)
        else:
            closed.append(one)

    for one in floods:
        open_again(one)
    print("connected", flush=True)  # noqa: T201
    sys.stdin.readline()
    end = time.monotonic() + seconds
    retry_at = 0.0
    while (now := time.monotonic()) < end:
        if closed and now >= retry_at:
            retry_at = now + RETRY_S
            waiting, closed[:] = closed[:], []
            for one in waiting:
                open_again(one)
        for key, events in selector.select(RETRY_S):
            one = key.data
            try:
                is_open = not events & selectors.EVENT_READ or one.read()
                if is_open and events & selectors.EVENT_WRITE:
                    one.write()
            except BlockingIOError:
                continue
            except OSError:
                is_open = one.read()
            if not is_open:
                selector.unregister(one.socket)
                one.end()
                open_again(one)
    print(json.dumps({"bytes": sum(one.sent for one in floods), "codes": codes}), flush=True)  # noqa: T201


if __name__ == "__main__":
    _, a_port, a_kind, a_count, a_time, a_token, its_sources = sys.argv
    flood(int(a_port), a_kind, int(a_count), float(a_time), a_token if a_token != "-" else None, int(its_sources))
