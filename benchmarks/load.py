"""The load side: runs `native/load.c`, built once, with a plan of sockets; its commands are methods."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

NATIVE = Path(__file__).parent / "native"
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Socket:
    """One client: its port and request; `times` is the number of the writer whose messages it measures."""

    port: int
    request: bytes
    is_writer: bool = False
    times: int = -1
    hello: bytes = b""
    """The frame that it sends once it is connected, if not that of all."""
    message: bytes = b""
    """The frame of its message, if not that of all."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Centrifugo's protocol: several lines a frame. `load.c` says what the two starts of lines mean."""

    ack: str
    ready: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The result of connecting: number of open sockets and of refused attempts."""

    count: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Latencies in milliseconds."""

    p50: float
    p99: float
    worst: float


@dataclass(frozen=True, slots=True)
class Written:
    """The result of sending."""

    acked: int
    delivered: int
    errors: int
    seconds: float
    ack: Spread
    delivery: Spread


class LoadFailed(Exception):
    """The load side did not execute a command."""


class Load:
    """The process with all clients of a measurement."""

    def __init__(
        self,
        sockets: Sequence[Socket],
        folder: Path,
        *,
        prefix: str = "",
        message: bytes = b"",
        hello: bytes = b"",
        lines: Lines | None = None,
    ) -> None:
        """`message` and `hello` are those of the sockets without their own."""
        plan = folder / "plan"
        with plan.open("wb") as file:
            frames = {0: b"", -1: b""}  # those of the sockets that follow, by the port of their record
            for socket in sockets:
                for port, frame in ((0, socket.message or message), (-1, socket.hello or hello)):
                    if frame != frames[port]:
                        file.write(b"%d r -1 %d\n" % (port, len(frame)) + frame)
                        frames[port] = frame
                role = "w" if socket.is_writer else "r"
                file.write(b"%d %s %d %d\n" % (socket.port, role.encode(), socket.times, len(socket.request)))
                file.write(socket.request)
        self.count = len(sockets)
        command = [build("load", folder), str(plan), prefix, *((lines.ack, lines.ready) if lines else ())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()  # closes its pipes, and waits

    @property
    def busy_s(self) -> float:
        """Seconds that it has been busy. It keeps reading between commands; polling without work does not count."""
        return int(self._ask("until 0 0", "frames")[4]) / 1e9

    def _ask(self, command: str, answer: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        words = self._process.stdout.readline().split()
        if not words or words[0] != answer:
            raise LoadFailed(f"{command}: {' '.join(words) or 'the load side has ended'}")
        return words[1:]

    def open(self, concurrency: int = 64, *, retry_s: float = 0) -> Opened:
        """Connect every socket; refused ones retry for at most `retry_s`."""
        count, failed, ns, _ = map(int, self._ask(f"open {concurrency} {round(retry_s * 1000)}", "opened"))
        return Opened(count, failed, ns / 1e9)

    def frames(self) -> int:
        """Number of messages received by all sockets so far."""
        return int(self._ask("until 0 0", "frames")[0])

    def until(self, frames: int) -> None:
        """Return once all sockets together have received this number of messages since the start."""
        got, _, closed, _, _ = map(int, self._ask(f"until {frames} {int(TIMEOUT_S * 1000)}", "frames"))
        if got < frames:
            raise LoadFailed(f"{got} of {frames} messages came, and {closed} sockets were closed")

    def until_caught_up(self, count: int) -> float:
        """Return once this number of sockets has received `caught_up`; the seconds that it took."""
        start = time.monotonic()
        got, *_ = map(int, self._ask(f"caught {count} {int(TIMEOUT_S * 1000)}", "caught"))
        if got < count:
            raise LoadFailed(f"{got} of {count} sockets caught up")
        return time.monotonic() - start

    def send(self, writer: int, count: int) -> None:
        """Send the message this number of times, in one write."""
        self._ask(f"send {writer} {count}", "sent")

    def write(self, seconds: float, writers: int, *, rate: float = 0) -> Written:
        """Let this number of writers send: after each acknowledgement, or at `rate` messages per second in total."""
        words = self._ask(f"write {round(seconds * 1000)} {writers} {round(rate)}", "wrote")
        acked, delivered, errors, ns = map(int, words[:4])
        ack, delivery = (Spread(*(int(us) / 1000 for us in words[at : at + 3])) for at in (6, 10))
        return Written(acked, delivered, errors, ns / 1e9, ack, delivery)

    def shut(self) -> None:
        """Close every socket; `open` connects them again."""
        self._ask("shut", "shut")


def build(name: str, folder: Path) -> str:
    """Compile one of the C programs; returns its path.

    Raises: LoadFailed if there is no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LoadFailed("The load side is written in C: install a compiler (Debian: gcc).")
    program = folder / name
    if not program.exists():
        subprocess.run([compiler, "-O2", "-o", str(program), str(NATIVE / f"{name}.c")], check=True)
    return str(program)


def handshake(port: int, path: str, **headers: str) -> bytes:
    """The request that opens a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def masked_frame(payload: bytes) -> bytes:
    """A client's text frame, masked with zeros."""
    length = len(payload)
    head = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return head + bytes(4) + payload
