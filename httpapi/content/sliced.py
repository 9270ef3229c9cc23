"""Responses of files, of which one turn of the event loop writes one slice: a small file, or a part of a large one.

Keeps: however many of them with one `turn` are sent at once, all other work waits for one slice in each turn. A client
that reads slowly holds up no other response.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

SLICE_BYTES: Final = 64 * 1024
"""The kernel takes some 50 µs for it."""


class SlicedResponse(Response):
    """A body that is sent in slices.

    `turn` is held by the response that sends a slice.
    """

    def __init__(self, body: bytes, headers: Mapping[str, str], turn: asyncio.Lock) -> None:
        super().__init__(body, headers=headers)
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        body = memoryview(self.body)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for end in range(SLICE_BYTES, max(len(body), 1) + SLICE_BYTES, SLICE_BYTES):
            await send(_part(b"", is_last=False))  # waits until the client has read what came before: outside the turn
            async with self._turn:
                await send(_part(bytes(body[end - SLICE_BYTES : end]), is_last=end >= len(body)))
                await asyncio.sleep(0)


def _part(body: bytes, *, is_last: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not is_last}
