"""Large bodies, which are sent in slices, over ASGI."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Message

from httpapi.content.sliced import SLICE_BYTES, SlicedResponse

SLICES = 5
BODY = bytes(range(256)) * (SLICE_BYTES // 256 * (SLICES - 1)) + b"the end"


async def _receive() -> Message:
    raise NotImplementedError


async def _send(
    body: bytes, turn: asyncio.Lock, *, on_bytes: Callable[[bytes], None], may_go_on: asyncio.Event
) -> None:
    """Send a response to a client that reads only while it may, as a server does: it waits before it writes."""

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            return
        await may_go_on.wait()
        on_bytes(message["body"])

    await SlicedResponse(body, {}, turn)({"type": "http"}, _receive, send)


async def test_one_turn_of_the_loop_sends_one_slice_of_all_responses() -> None:
    may_go_on, lock, turn = asyncio.Event(), asyncio.Lock(), 0
    may_go_on.set()
    received: list[list[bytes]] = [[], [], []]
    turns: list[int] = []

    def note(parts: list[bytes], part: bytes) -> None:
        if part:
            parts.append(part)
            turns.append(turn)

    responses = asyncio.gather(
        *(
            _send(BODY, lock, on_bytes=lambda part, parts=parts: note(parts, part), may_go_on=may_go_on)  # type: ignore[misc]
            for parts in received
        )
    )
    while not responses.done():
        await asyncio.sleep(0)
        turn += 1
    assert [b"".join(parts) for parts in received] == [BODY] * 3
    assert [len(parts) for parts in received] == [SLICES] * 3
    assert len(set(turns)) == len(turns)


async def test_slow_reader_holds_up_no_other_response() -> None:
    slow, fast, lock = asyncio.Event(), asyncio.Event(), asyncio.Lock()
    fast.set()
    parts: list[bytes] = []
    waiting = asyncio.create_task(_send(BODY, lock, on_bytes=lambda _: None, may_go_on=slow))
    await asyncio.sleep(0)
    await _send(BODY, lock, on_bytes=parts.append, may_go_on=fast)
    assert b"".join(parts) == BODY
    assert not waiting.done()
    slow.set()
    await waiting


@pytest.mark.parametrize("body", [b"", b"x", b"x" * SLICE_BYTES])
async def test_small_bodies_take_turns_too(body: bytes) -> None:
    lock, may_go_on, parts = asyncio.Lock(), asyncio.Event(), list[bytes]()
    may_go_on.set()
    await lock.acquire()
    sending = asyncio.create_task(_send(body, lock, on_bytes=parts.append, may_go_on=may_go_on))
    await asyncio.sleep(0)
    assert not sending.done()
    lock.release()
    await sending
    assert b"".join(parts) == body
