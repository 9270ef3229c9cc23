"""A client of seed 004's dialect for tests: it keeps every received frame and awaits the expected ones."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

TIMEOUT_S = 30.0

Frame = dict[str, Any]


class ChatClient:
    """One socket in one chat.

    `frames` has everything in order of arrival; `next` reads only frames that no earlier call returned or skipped.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self._arrived = asyncio.Condition()
        self._seen = 0
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url: str, token: str | None = None, *, origin: str | None = None, **options: Any) -> Self:
        """Open the socket with the token as a header; raises InvalidStatus if the handshake is rejected."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        said = None if origin is None else Origin(origin)
        options = {"open_timeout": TIMEOUT_S} | options
        return cls(await connect(url, additional_headers=headers, origin=said, proxy=None, **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> None:
        try:
            async for payload in self.socket:
                async with self._arrived:
                    self.frames.append(orjson.loads(payload))
                    self._arrived.notify_all()
        except ConnectionClosed:
            pass
        finally:
            async with self._arrived:
                self._arrived.notify_all()

    async def send(self, **frame: Any) -> None:
        """Send a command."""
        await self.send_raw(orjson.dumps(frame).decode())

    async def send_raw(self, payload: str | bytes) -> None:
        """Send this frame unchanged."""
        await self.socket.send(payload)

    async def say(self, text: str, client_msg_id: str | None = None) -> Frame:
        """Send a message and return its `data` once its own copy has arrived."""
        client_msg_id = client_msg_id or uuid.uuid4().hex
        await self.send(type="message", text=text, client_msg_id=client_msg_id)
        frame = await self.next("message", lambda frame: frame["data"]["client_msg_id"] == client_msg_id)
        data: Frame = frame["data"]
        return data

    async def next(self, kind: str, where: Callable[[Frame], bool] = lambda _: True) -> Frame:
        """The next frame of this type; raises TimeoutError, or ConnectionError if the socket closes before it."""
        async with asyncio.timeout(TIMEOUT_S), self._arrived:
            while True:
                while self._seen < len(self.frames):
                    frame = self.frames[self._seen]
                    self._seen += 1
                    if frame["type"] == kind and where(frame):
                        return frame
                if self._reader.done() or self.socket.close_code is not None:
                    raise ConnectionError(f"closed with {self.socket.close_code} before a {kind} came: {self.frames}")
                await self._arrived.wait()

    async def until(self, condition: Callable[[list[Frame]], bool], *, timeout_s: float = TIMEOUT_S) -> list[Frame]:
        """Return all frames once they meet the condition."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: condition(self.frames))
            return list(self.frames)

    def of_type(self, kind: str) -> list[Frame]:
        """All frames of this type received so far."""
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def seqs(self) -> list[int]:
        """The seq of every message push, in order of arrival."""
        return [frame["data"]["seq"] for frame in self.of_type("message") if "duplicate" not in frame]

    async def closed(self) -> tuple[int | None, str | None]:
        """The close code and reason once the socket is closed by the server."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason

    async def close(self) -> None:
        """Close the socket."""
        await self.socket.close()
        await self._reader
