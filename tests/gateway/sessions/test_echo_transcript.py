import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.sessions.echo_quota import LINE_BYTES
from gateway.sessions.echo_transcript import MESSAGE_BYTES, WINDOW_BYTES, Conversation, Message
from storage.records import Direction, NewLine, Quota


class Transcripts:
    """Keeps what is submitted until the test says whether it is stored."""

    def __init__(self) -> None:
        self.is_busy = False
        self.submitted: list[tuple[list[NewLine], Callable[[bool], None]]] = []

    def submit(self, lines: Sequence[NewLine], done: Callable[[bool], None]) -> None:
        self.submitted.append((list(lines), done))

    def store(self, is_stored: bool = True) -> None:
        self.submitted.pop(0)[1](is_stored)


class Limits:
    """The allowance: `left` bytes, and requests that the test answers."""

    def __init__(self) -> None:
        self.left = 1_000_000
        self.requests: list[tuple[int, Callable[[Quota | None], None]]] = []

    def take(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True

    def request(self, size: int, done: Callable[[Quota | None], None]) -> None:
        self.requests.append((size, done))

    def answer(self, left: int = 0, exceeded: Quota | None = None) -> None:
        self.left += left
        self.requests.pop(0)[1](exceeded)


class Desk:
    """A conversation and what it called."""

    def __init__(self) -> None:
        self.transcripts = Transcripts()
        self.calls: list[str] = []
        transcripts: Any = self.transcripts
        self.limits = Limits()
        allowance: Any = self.limits
        self.conversation = Conversation(
            transcripts, 5, allowance, lambda: self.calls.append("lost"), lambda quota: self.calls.append(quota)
        )

    def keep(self, text: bytes, *directions: Direction) -> None:
        self.conversation.keep(Message(text, True), *directions, then=lambda: self.calls.append(text.decode()))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_message_is_one_line_per_direction(desk: Desk) -> None:
    desk.keep(b"a", Direction.IN, Direction.OUT)
    desk.keep(b"b", Direction.IN)
    lines = [line for submitted, _ in desk.transcripts.submitted for line in submitted]
    session_id = desk.conversation.session_id
    assert lines == [
        NewLine(5, session_id, 1, Direction.IN, b"a", True),
        NewLine(5, session_id, 2, Direction.OUT, b"a", True),
        NewLine(5, session_id, 3, Direction.IN, b"b", True),
    ]


def test_message_is_processed_once_it_is_stored(desk: Desk) -> None:
    desk.keep(b"a", Direction.IN)
    assert desk.calls == []
    desk.transcripts.store()
    assert desk.calls == ["a"]


def test_nothing_is_processed_after_a_lost_message(desk: Desk) -> None:
    for text in (b"a", b"b", b"c"):
        desk.keep(text, Direction.IN)
    desk.transcripts.store(False)
    desk.transcripts.store()
    desk.transcripts.store(False)
    desk.keep(b"d", Direction.IN)
    assert (desk.calls, desk.transcripts.submitted) == (["lost"], [])


def test_conversation_is_full_beyond_its_window(desk: Desk) -> None:
    desk.keep(b"x" * (WINDOW_BYTES - MESSAGE_BYTES), Direction.IN)
    assert not desk.conversation.is_full
    desk.keep(b"", Direction.IN)
    assert desk.conversation.is_full
    desk.transcripts.store()
    assert not desk.conversation.is_full


def test_conversation_is_full_while_the_writer_is_busy(desk: Desk) -> None:
    desk.transcripts.is_busy = True
    assert not desk.conversation.is_full
    desk.keep(b"", Direction.IN)
    assert desk.conversation.is_full


async def test_settled_waits_for_the_last_message(desk: Desk) -> None:
    async with asyncio.timeout(5):
        await desk.conversation.settled()
        for text in (b"a", b"b"):
            desk.keep(text, Direction.IN)
        waiting = asyncio.create_task(desk.conversation.settled())
        desk.transcripts.store()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        desk.transcripts.store(False)
        await waiting


def test_message_waits_until_the_limits_allow_it(desk: Desk) -> None:
    desk.limits.left = 1 + LINE_BYTES
    for text in (b"a", b"b", b"c"):
        desk.keep(text, Direction.IN)
    assert [size for size, _ in desk.limits.requests] == [1 + LINE_BYTES], "one request at a time"
    desk.limits.answer(left=1 + LINE_BYTES)
    desk.limits.answer(left=1 + LINE_BYTES)
    for _ in range(3):
        desk.transcripts.store()
    assert (desk.calls, desk.limits.requests) == (["a", "b", "c"], [])


def test_nothing_is_stored_beyond_a_limit(desk: Desk) -> None:
    desk.limits.left = 1 + LINE_BYTES
    for text in (b"a", b"b", b"c"):
        desk.keep(text, Direction.IN)
    desk.limits.answer(exceeded=Quota.ECHO_USER)
    desk.limits.left = 1_000_000
    desk.keep(b"d", Direction.IN)
    assert (desk.calls, len(desk.transcripts.submitted)) == ([], 1)
    desk.transcripts.store()
    assert desk.calls == ["a", Quota.ECHO_USER], "what was stored is processed before the end"


def test_lost_message_before_a_limit_is_reported_once(desk: Desk) -> None:
    desk.limits.left = 1 + LINE_BYTES
    for text in (b"a", b"b"):
        desk.keep(text, Direction.IN)
    desk.limits.answer(exceeded=Quota.ECHO_USER)
    desk.transcripts.store(False)
    assert desk.calls == ["lost"]


async def test_waiting_message_counts_towards_the_window(desk: Desk) -> None:
    desk.limits.left = 0
    desk.keep(b"x" * WINDOW_BYTES, Direction.IN)
    assert desk.conversation.is_full
    desk.limits.answer(exceeded=Quota.ECHO_SESSION)
    assert not desk.conversation.is_full
    async with asyncio.timeout(5):
        await desk.conversation.settled()
