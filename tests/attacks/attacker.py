"""Attacks that need more than repeated bytes, as a process of its own.

`python -m tests.attacks.attacker NAME SOURCES SECONDS PLAN` connects, and begins when it reads a line. PLAN is the file
of a `Plan`. Each source has an address of 127.0.1.0/24, a user, and CONCURRENT tasks that attack as fast as they can.
The last line of the output is a JSON object: how often each status, close code or error code was received.
"""

import asyncio
import base64
import json
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.e2e.flooder import source_address
from tests.gateway.transport.wire import TEXT, frame, handshake

CONCURRENT: Final = 4
"""Tasks of one source."""
REFUSED_S: Final = 0.05
"""How long a task waits that could not connect."""
ERROR_CODE: Final = re.compile(rb'"code":"([a-z_]{1,40})"')
LENGTH: Final = re.compile(rb"content-length: (\d{1,9})", re.IGNORECASE)
_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class Plan:
    """What the attacker has: the balancer's port, tokens, a chat and a message of each user, names of victims, and the
    key of a service, whose owner floods by mistake.
    """

    port: int
    tokens: list[str]
    chats: list[int]
    messages: list[int]
    victim: str
    sprayed: list[str]
    service_key: str

    def write(self, path: Path) -> None:
        """Write it to this file."""
        path.write_text(json.dumps(asdict(self)))


class Source:
    """One source of an attack."""

    def __init__(self, number: int, sources: int, plan: Plan, counts: Counter[str]) -> None:
        at = number % len(plan.tokens)
        self.number, self.plan, self.counts = number, plan, counts
        self.address = source_address(number, sources)
        self.token, self.chat, self.message = plan.tokens[at], plan.chats[at], plan.messages[at]
        self.step = 0
        """How many requests it has made, for what must differ."""
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.kept: list[asyncio.StreamWriter] = []
        """Sockets that stay open."""

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from this source's address. Raises: OSError."""
        return await asyncio.open_connection("127.0.0.1", self.plan.port, local_addr=(self.address, 0))

    async def request(
        self, method: str, path: str, body: object = None, *headers: str, anonymous: bool = False
    ) -> None:
        """One HTTP request on a connection that is kept; its status is counted."""
        self.step += 1
        data = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.plan.port}",
            f"Content-Length: {len(data)}",
            *headers,
        ]
        if data:
            lines.append("Content-Type: application/json")
        if not anonymous:
            lines.append(f"Authorization: Bearer {self.token}")
        connection = self._idle.pop() if self._idle else await self.open()
        reader, writer = connection
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + data)
            head = await reader.readuntil(b"\r\n\r\n")
            self.counts[head[9:12].decode()] += 1
            length = LENGTH.search(head)
            if length is None or b"connection: close" in head.lower():
                writer.close()
                return
            await reader.readexactly(int(length[1]))
        except BaseException:
            writer.close()
            raise
        self._idle.append(connection)

    async def websocket(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """An open WebSocket of this source's user; None if the handshake was rejected, which is counted."""
        reader, writer = await self.open()
        writer.write(handshake(path, f"Authorization: Bearer {self.token}"))
        head = await reader.readuntil(b"\r\n\r\n")
        self.counts[head[9:12].decode()] += 1
        if head.startswith(b"HTTP/1.1 101"):
            return reader, writer
        writer.close()
        await asyncio.sleep(REFUSED_S)
        return None

    async def pour(self, path: str, command: bytes) -> None:
        """Send one frame again and again until the socket is closed, and count the error codes of the answers."""
        connection = await self.websocket(path)
        if connection is None:
            return
        reader, writer = connection
        block = frame(TEXT, command) * max(1, 16_384 // len(command))

        async def write() -> None:
            while True:
                writer.write(block)
                await writer.drain()

        writing = asyncio.create_task(write())
        try:
            while data := await reader.read(1 << 16):
                for code in ERROR_CODE.findall(data):
                    self.counts[code.decode()] += 1
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            writer.close()
        self.counts["closed"] += 1


async def _register(source: Source) -> None:
    account = {"login": f"new{source.number}-{source.step}-{time.monotonic_ns()}", "password": "correct horse battery"}
    await source.request("POST", "/register", account, anonymous=True)


async def _register_taken(source: Source) -> None:
    account = {"login": source.plan.victim, "password": "correct horse battery"}
    await source.request("POST", "/register", account, anonymous=True)


async def _guess(source: Source) -> None:
    account = {"login": source.plan.victim, "password": f"wrong {source.step}"}
    await source.request("POST", "/login", account, anonymous=True)


async def _spray(source: Source) -> None:
    login = source.plan.sprayed[(source.number + source.step) % len(source.plan.sprayed)]
    await source.request("POST", "/login", {"login": login, "password": "correct horse"}, anonymous=True)


async def _forge(source: Source) -> None:
    await source.request("GET", "/api/v1/chats", None, f"Authorization: Bearer {source.token}x", anonymous=True)


async def _forge_signatures(source: Source) -> None:
    """Each token is another one, so that no verification is remembered."""
    head, payload, signature = source.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["jti"] = f"{source.number}-{source.step}-{time.monotonic_ns()}"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    token = f"Authorization: Bearer {head}.{forged}.{signature}"
    await source.request("GET", "/api/v1/chats", None, token, anonymous=True)


async def _unknown_urls(source: Source) -> None:
    await source.request("GET", f"/api/v1/chats/{source.step}/nothing/at/all", anonymous=True)


async def _read_documentation(source: Source) -> None:
    await source.request("GET", "/docs/swagger_bundle.js", anonymous=True)


async def _page(source: Source) -> None:
    await source.request("GET", "/static/style.css", None, "Accept-Encoding: gzip", anonymous=True)


async def _commands(source: Source) -> None:
    command = {"type": "history", "id": source.step, "chat_id": source.chat, "limit": 200}
    await source.request("POST", "/api/v1/commands", command)


async def _batches(source: Source) -> None:
    """As large as they may be."""
    items = [
        {
            "chat_id": source.chat,
            "client_msg_id": f"{source.number}-{source.step}-{n}-{time.monotonic_ns()}",
            "text": "x" * 900,
        }
        for n in range(500)
    ]
    key = f"X-Service-Key: {source.plan.service_key}"
    await source.request("POST", "/api/v1/messages", {"items": items}, key, anonymous=True)


async def _create_chats(source: Source) -> None:
    await source.request("POST", "/api/v1/chats", {"kind": "group", "members": []})


async def _list_chats(source: Source) -> None:
    await source.request("GET", "/api/v1/chats")


async def _read_history(source: Source) -> None:
    await source.request("GET", f"/api/v1/chats/{source.chat}/messages?limit=100")


async def _post_messages(source: Source) -> None:
    await source.request("POST", f"/api/v1/chats/{source.chat}/messages", {"text": "spam " * 100})


async def _hostile_headers(source: Source) -> None:
    headers = (f"Idempotency-Key: {'!' * 7_000}", f"Cookie: {'a=b;' * 1_500}")
    await source.request("POST", f"/api/v1/chats/{source.chat}/messages", {"text": "x"}, *headers)


async def _deep_bodies(source: Source) -> None:
    body: object = 1
    for _ in range(900):
        body = [body]
    await source.request("POST", f"/api/v1/chats/{source.chat}/messages", {"text": body})


async def _connect(source: Source) -> None:
    connection = await source.websocket("/ws/attacker")
    if connection is not None:
        connection[1].close()


async def _hoard(source: Source) -> None:
    """Keep every socket open."""
    connection = await source.websocket("/ws/attacker")
    if connection is not None:
        source.kept.append(connection[1])


async def _take_over(source: Source) -> None:
    """Each connection to the chat takes the seat of the one before."""
    connection = await source.websocket(f"/ws/chat/{source.chat}/")
    if connection is not None:
        source.kept.append(connection[1])


def _pouring(path: str, command: Callable[[Source], dict[str, object]]) -> Callable[[Source], Awaitable[None]]:
    async def attack(source: Source) -> None:
        await source.pour(path.format(chat=source.chat), json.dumps(command(source)).encode())

    return attack


CHAT: Final = "/ws/chat/{chat}/"
ATTACKS: Final[dict[str, Callable[[Source], Awaitable[None]]]] = {
    "register": _register,
    "register-taken": _register_taken,
    "guess-password": _guess,
    "spray-passwords": _spray,
    "forged-tokens": _forge,
    "forged-signatures": _forge_signatures,
    "unknown-urls": _unknown_urls,
    "documentation": _read_documentation,
    "compressed-files": _page,
    "commands": _commands,
    "batches": _batches,
    "create-chats": _create_chats,
    "list-chats": _list_chats,
    "read-history": _read_history,
    "post-messages": _post_messages,
    "hostile-headers": _hostile_headers,
    "deep-bodies": _deep_bodies,
    "connect": _connect,
    "hoard-sockets": _hoard,
    "take-over": _take_over,
    "edits": _pouring(CHAT, lambda source: {"type": "edit_message", "id": source.message, "text": "again"}),
    "messages": _pouring(CHAT, lambda _: {"type": "message", "text": "spam " * 100}),
    "history": _pouring(CHAT, lambda _: {"type": "history", "limit": 100}),
    "presence": _pouring(CHAT, lambda _: {"type": "presence"}),
    "reads": _pouring(CHAT, lambda _: {"type": "read_messages", "seq": 1}),
    "typing-in-chat": _pouring(CHAT, lambda _: {"type": "typing", "is_typing": True}),
    "echo-megabytes": _pouring("/channels/echo", lambda _: {"message": "x" * 60_000}),
}
"""What one task does again and again."""


async def attack(name: str, sources: int, seconds: float, plan: Plan) -> Counter[str]:
    """Attack until the time is over."""
    counts: Counter[str] = Counter()
    doing = ATTACKS[name]

    async def keep_on(source: Source) -> None:
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    await doing(source)
            except (OSError, EOFError, asyncio.LimitOverrunError) as error:
                counts["cut" if not isinstance(error, TimeoutError) else "time-out"] += 1
                await asyncio.sleep(REFUSED_S)

    print("connected", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    each = [Source(number, sources, plan, counts) for number in range(sources)]
    tasks = [asyncio.create_task(keep_on(source)) for source in each for _ in range(CONCURRENT)]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done()]
        for task in failed:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
    return counts


if __name__ == "__main__":
    _, a_name, a_count, a_time, a_plan = sys.argv
    socket.setdefaulttimeout(_TIMEOUT_S)
    result = asyncio.run(attack(a_name, int(a_count), float(a_time), Plan(**json.loads(Path(a_plan).read_text()))))
    print(json.dumps({"codes": result}), flush=True)  # noqa: T201
