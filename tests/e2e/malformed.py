"""Sends malformed frames to a node over several sockets, as a process of its own.

`python -m tests.e2e.malformed PORT SOCKETS SECONDS SEED` generates sessions, connects, and begins when it reads a line.
A session is up to some hundred commands that a dialect rejects, and then frames that RFC 6455 forbids. Each socket
sends one session after the other, over a new connection each. The last line of the output is a JSON object: the frames
of the sessions that the node has ended, and how often each close code was received (`cut`: none).
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

from gateway.dialects.native import NativeDialect
from gateway.protocol.replies import ErrorReply
from tests.fuzz.targets.frame_grammar import reads
from tests.fuzz.targets.frame_model import OPEN, Model
from tests.fuzz.targets.json_texts import nearly_json
from tests.gateway.transport.wire import BINARY, CLOSE, TEXT, frame, handshake

SESSIONS: Final = 60
COMMANDS: Final = 220
"""More than a node rejects before it closes the socket."""
MAX_COMMAND_BYTES: Final = 4096
MAX_BYTES: Final = 65_536
WAIT_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Session:
    """What one connection sends after its handshake."""

    data: bytes
    frames: int


def _command(random: Random, dialect: NativeDialect) -> bytes:
    """A frame with what the native dialect rejects."""
    while True:
        payload = nearly_json(random)[:MAX_COMMAND_BYTES].decode("utf-8", "replace").encode()
        if isinstance(dialect.decode(payload, is_text=True), ErrorReply):
            return frame(TEXT, payload) if random.random() < 0.9 else frame(BINARY, payload)


def _forbidden(random: Random) -> bytes:
    """Frames of which one ends the connection."""
    while True:
        data = b"".join(reads(random))
        if OPEN not in Model(data, MAX_BYTES, 1024).run().codes:
            return data


def _session(random: Random) -> Session:
    count = random.choice((0, 3, 50, COMMANDS, COMMANDS, COMMANDS))
    dialect = NativeDialect()
    commands = [_command(random, dialect) for _ in range(count)]
    return Session(b"".join([*commands, _forbidden(random)]), count + 1)


class Sender:
    """One socket at a time."""

    def __init__(self, port: int, random: Random, sessions: list[Session], codes: Counter[str]) -> None:
        self._port, self._random, self._sessions, self._codes = port, random, sessions, codes

    def open(self) -> None:
        """Connect, and begin a session with the handshake."""
        self._session = self._random.choice(self._sessions)
        self._is_open, self._tail = False, b""
        self._left, self._rest = handshake("/ws/malformed"), self._session.data
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    @property
    def wanted(self) -> int:
        """The events to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._left else 0)

    def write(self) -> None:
        """Send what the kernel takes; a node that has closed takes nothing."""
        try:
            self._left = self._left[self.socket.send(self._left) :]
        except BlockingIOError:
            pass
        except OSError:
            self._left = b""

    def read(self) -> bool:
        """Read, and send the session once the handshake is accepted; False after a CLOSE or the end of the stream."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self._tail = (self._tail + data)[-200:]
        if not self._is_open and data:
            assert data.startswith(b"HTTP/1.1 101 "), data
            self._is_open, self._left, self._rest = True, self._rest, b""
        return bool(data) and self._close_code is None

    @property
    def _close_code(self) -> str | None:
        """The code of the CLOSE with which the stream ends so far."""
        at = self._tail.rfind(bytes([0x80 | CLOSE]))
        if 0 <= at < len(self._tail) - 3 and at + 2 + self._tail[at + 1] == len(self._tail):
            return str(int.from_bytes(self._tail[at + 2 : at + 4]))
        return None

    def end(self) -> int:
        """The connection is over: the number of frames that the node was given."""
        self.socket.close()
        self._codes[self._close_code or "cut"] += 1
        return self._session.frames


def send(port: int, sockets: int, seconds: float, seed: int) -> None:
    """Until the time is over."""
    random, codes, frames = Random(seed), Counter[str](), 0
    sessions = [_session(random) for _ in range(SESSIONS)]
    selector = selectors.DefaultSelector()
    for _ in range(sockets):
        sender = Sender(port, random, sessions, codes)
        sender.open()
        selector.register(sender.socket, sender.wanted, sender)
    print("connected", flush=True)  # noqa: T201
    sys.stdin.readline()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, events in selector.select(WAIT_S):
            sender = key.data
            if events & selectors.EVENT_WRITE:
                sender.write()
            if events & selectors.EVENT_READ and not sender.read():
                selector.unregister(sender.socket)
                frames += sender.end()
                sender.open()
                selector.register(sender.socket, sender.wanted, sender)
            else:
                selector.modify(sender.socket, sender.wanted, sender)
    print(json.dumps({"frames": frames, "codes": codes}), flush=True)  # noqa: T201


if __name__ == "__main__":
    send(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
