"""A client of the native protocol for tests: it numbers its commands and finds the one response to each.

It shows every frame, in the order of arrival, and never reconnects, retries or drops what it has had: tests that use
it are about these frames. A test that only needs a member who talks takes `chat_gateway_client.Client`.
"""

import itertools
from collections.abc import Iterator
from urllib.parse import quote

from tests.support.chat_client import ChatClient, Frame
from tests.support.cluster import Cluster, User


class NativeClient(ChatClient):
    """One socket with many chats. `frames` has everything in order of arrival."""

    _numbers: Iterator[int] = itertools.count()

    async def ask(self, kind: str, **fields: object) -> Frame:
        """Send a command and return its response: ack, error, hello or pong. Frames before it are not skipped."""
        ref = fields.setdefault("id", next(self._numbers))
        await self.send(type=kind, **fields)
        frames = await self.until(lambda frames: any(frame.get("id") == ref for frame in frames))
        return next(frame for frame in frames if frame.get("id") == ref)

    async def ack(self, kind: str, **fields: object) -> Frame:
        """Like `ask`, for a command that must succeed."""
        answer = await self.ask(kind, **fields)
        assert answer["type"] == "ack", answer
        return answer

    def answers(self, ref: object) -> list[Frame]:
        """Every received frame with this id."""
        return [frame for frame in self.frames if "id" in frame and frame["id"] == ref]


async def native(
    cluster: Cluster,
    node: int,
    user: User | None = None,
    *,
    token: str | None = None,
    client_id: str = "a client",
    slash: str = "",
) -> NativeClient:
    """A socket on one of the nodes; closed at the end of the test."""
    url = cluster.nodes[node].ws_url(f"/ws/{quote(client_id, safe='')}{slash}")
    client = await NativeClient.connect(url, user.token if user else token)
    await cluster.sockets.enter_async_context(client)
    return client
