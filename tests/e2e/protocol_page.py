"""Runs the examples of docs/protocol.md: who connects or calls, what is sent, and what has to be received."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

TIMEOUT_S: Final = 20.0
USERS: Final = {"ann": 1001, "bob": 1002}
PASSWORD: Final = "correct horse"
_CLIENT: Final = {"login": "ann", "role": "client"}
VARYING: Final = frozenset({"node", "epoch", "timestamp", "created_at", "connected_at", "access_token", "expires_at"})
NEWER_TOKEN: Final = "<a newer token>"
"""Keys whose values are any string."""
FEED: Final = frozenset({"chat_added", "chat_activity", "chat_read"})
"""They come at any moment, so an example shows only those that it is about."""
_BLOCK: Final = re.compile(r"(?ms)^```(text|json)\n(.*?)^```$")
_REQUEST: Final = re.compile(r"(?:(\w+) )?(GET|POST|PUT|PATCH|DELETE) (\S+)(?: (.+))?")
_STATUS: Final = re.compile(r"(\d{3})(?: (.+))?")
_PAGE_ID: Final = re.compile(r"\b[1-9]\d{3}\b")
_SOCKET: Final = re.compile(r"([\w-]+) (/\S+)")


@dataclass(frozen=True)
class Example:
    """A fenced block; `line` is the page's line on which it starts."""

    kind: str
    line: int
    lines: tuple[str, ...]


def examples(page: str) -> list[Example]:
    """All of the page."""
    return [
        Example(block[1], page.count("\n", 0, block.start()) + 2, tuple(block[2].splitlines()))
        for block in _BLOCK.finditer(page)
    ]


def table(page: str, section: str) -> dict[str, tuple[str, ...]]:
    """The rows of a section's last table, by their first cell."""
    text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: tuple(row[1:]) for row in rows}


@dataclass
class Script:
    """One run of one example. `ids` are the system's ids by the page's."""

    http: httpx.AsyncClient
    service_key: str
    ids: dict[int, int] = field(default_factory=dict)
    _sockets: dict[str, ClientConnection] = field(default_factory=dict)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _name: str = ""
    _response: httpx.Response | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def prepare(self) -> None:
        """The chats that every example has. Needs the users ann and bob."""
        for id_, owner, body in (
            (2001, "ann", {"kind": "group", "members": [{"login": "bob"}]}),
            (2003, "bob", {"kind": "service", "members": [{"login": "bob", "role": "master"}, _CLIENT]}),
            (2004, "bob", {"kind": "support", "members": [{"login": "bob", "role": "support"}, _CLIENT]}),
        ):
            response = await self.http.post("/api/v1/chats", json=body, headers=await self._headers(owner))
            assert response.status_code == 201, response.text
            chat = response.json()
            self.ids[id_] = chat["id"]
            self.ids |= {USERS[member["username"]]: member["user_id"] for member in chat["members"]}

    async def run(self, line: str) -> None:
        """Do what a line says; raises AssertionError, TimeoutError or a library's own error if it does not hold."""
        if not line:
            return
        if line.startswith("> "):
            sent = self._sent(line[2:])
            if NEWER_TOKEN in sent:
                bearer = (await self._headers(self._name.partition("-")[0]))["Authorization"]
                sent = sent.replace(NEWER_TOKEN, bearer.removeprefix("Bearer "))
            await self._sockets[self._name].send(sent)
        elif line.startswith("< close "):
            socket = self._sockets[self._name]
            async with asyncio.timeout(TIMEOUT_S):
                await socket.wait_closed()
            assert f"< close {socket.close_code}" == line
        elif line.startswith("< "):
            await self._receive(line[2:])
        elif status := _STATUS.fullmatch(line):
            response = self._response
            assert response is not None
            assert response.status_code == int(status[1]), response.text
            if status[2]:
                self._match(orjson.loads(status[2]), response.json())
        elif request := _REQUEST.fullmatch(line):
            await self._call(*request.groups())
        elif socket_line := _SOCKET.fullmatch(line):
            await self._connect(socket_line[1], socket_line[2])
        elif line.endswith(" closes"):
            await self._sockets[line.removesuffix(" closes")].close()
        else:
            assert line in self._sockets, f"not a line of an example: {line}"
            self._name = line

    async def _connect(self, name: str, path: str) -> None:
        user = name.partition("-")[0]
        url = f"ws{str(self.http.base_url).rstrip('/').removeprefix('http')}{self._path(path)}"
        headers = (
            {"Authorization": f"Bearer {await self._guest(path)}"} if user == "guest" else await self._headers(user)
        )
        self._sockets[name] = await connect(url, additional_headers=headers, proxy=None)
        self._open.push_async_callback(self._sockets[name].close)
        self._name = name

    async def _call(self, user: str | None, method: str, path: str, body: str | None) -> None:
        content = self._sent(body) if body else None
        headers = {"Content-Type": "application/json"} | await self._headers(user)
        self._response = await self.http.request(method, self._path(path), content=content, headers=headers)

    async def _headers(self, user: str | None) -> dict[str, str]:
        if user == "service":
            return {"X-Service-Key": self.service_key}
        if user in (None, "anonymous"):
            return {}
        response = await self.http.post("/login", json={"login": user, "password": PASSWORD})
        self.http.cookies.clear()
        return {"Authorization": f"Bearer {response.json()['access_token']}"}

    async def _guest(self, path: str) -> str:
        room_id = path.partition("?")[0].rpartition("/")[2]
        body = {"username": "guest", "email": "guest@example.com", "room_id": room_id}
        token: str = (await self.http.post("/generate-token", json=body)).json()["token"]
        return token

    async def _receive(self, payload: str) -> None:
        if not payload.startswith("{"):
            assert await self._next() == payload
            return
        expected = orjson.loads(payload)
        while True:
            received = orjson.loads(await self._next())
            try:
                self._match(expected, received)
            except AssertionError:
                if received["type"] not in FEED:
                    raise
            else:
                return

    async def _next(self) -> str | bytes:
        async with asyncio.timeout(TIMEOUT_S):
            try:
                return await self._sockets[self._name].recv()
            except ConnectionClosed as closed:
                raise AssertionError(f"closed: {closed}") from None

    def _match(self, expected: Any, received: Any, key: str = "") -> None:
        """Every key of the example is there, with its value; what the page says differs has the right type."""
        if isinstance(expected, dict):
            assert isinstance(received, dict), f"{key}: {received!r}"
            for each, value in expected.items():
                assert each in received, f"{each} is missing: {received!r}"
                self._match(value, received[each], each)
        elif isinstance(expected, list):
            assert isinstance(received, list), f"{key}: {received!r}"
            assert len(received) == len(expected), f"{key}: {received!r}"
            for item, other in zip(expected, received, strict=True):
                self._match(item, other, key)
        elif key in VARYING:
            assert isinstance(received, str), f"{key}: {received!r}"
        elif _is_id(key, expected):
            assert self.ids.setdefault(expected, received) == received, f"{key}: {received!r}"
        else:
            assert (type(expected), expected) == (type(received), received), f"{key}: {received!r}"

    def _sent(self, payload: str) -> str:
        """The payload with the system's ids."""
        if not payload.startswith("{"):
            return payload
        return orjson.dumps({key: self._known(key, value) for key, value in orjson.loads(payload).items()}).decode()

    def _known(self, key: str, value: Any) -> Any:
        if key in ("mentions", "user_ids"):
            return [self.ids.get(user_id, user_id) for user_id in value]
        return self.ids.get(value, value) if _is_id(key, value) else value

    def _path(self, path: str) -> str:
        return _PAGE_ID.sub(lambda match: str(self.ids.get(int(match[0]), match[0])), path)


def _is_id(key: str, value: object) -> bool:
    return (key in {"id", "reply_to", "mentions"} or key.endswith("_id")) and type(value) is int and value > 1000


def payloads(example: Example) -> Iterator[tuple[str, str, Any]]:
    """Every JSON object on a socket in a `text` example: the socket's path, `>` or `<`, and the object."""
    paths: dict[str, str] = {}
    name = ""
    for line in example.lines:
        if socket_line := _SOCKET.fullmatch(line):
            name = socket_line[1]
            paths[name] = socket_line[2]
        elif line in paths:
            name = line
        elif line[:3] in ("> {", "< {"):
            yield paths[name], line[0], orjson.loads(line[2:])
