"""`chat-gateway webhooks`: what waits for endpoints, and their dead letters, as lines of text."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.interfaces.outbox import OutboxQueue
from storage.outbox_records import DeadLetter

PAGE: Final = 500


async def run(outbox: OutboxQueue, action: str, endpoint: str | None, endpoints: Sequence[str]) -> list[str]:
    """The lines of `status` of these endpoints, of `dead-letters` or of `replay`, of one endpoint or of all.

    Raises: StorageUnavailable.
    """
    if action == "replay":
        return [f"{await _replay(outbox, endpoint)} events are delivered again."]
    lines = _dead_letters(outbox, endpoint) if action == "dead-letters" else _backlogs(outbox, endpoints)
    return [line async for line in lines]


async def _backlogs(outbox: OutboxQueue, endpoints: Sequence[str]) -> AsyncIterator[str]:
    for name in endpoints:
        waits = await outbox.backlog(name)
        yield (
            f"{name}: {waits.events} events of {waits.streams} chats wait, {waits.failing} of them failing,"
            f" the oldest for {waits.lag_s:.0f} s; {waits.dead} dead letters"
        )


async def _dead_letters(outbox: OutboxQueue, endpoint: str | None) -> AsyncIterator[str]:
    async for letters in _pages(outbox, endpoint):
        for letter in letters:
            given_up_at = datetime.fromtimestamp(letter.dead_at / 1000, UTC)
            where = f"chat {letter.stream}" if letter.stream > 0 else f"user {-letter.stream}"
            yield (
                f"{letter.id}: {letter.endpoint} {letter.type} of {where} seq {letter.after_seq},"
                f" given up at {given_up_at:%Y-%m-%dT%H:%M:%SZ}: {letter.error}"
            )


async def _replay(outbox: OutboxQueue, endpoint: str | None) -> int:
    return sum([await outbox.replay([letter.id for letter in page]) async for page in _pages(outbox, endpoint)])


async def _pages(outbox: OutboxQueue, endpoint: str | None) -> AsyncIterator[list[DeadLetter]]:
    after = 0
    while letters := await outbox.dead_letters(endpoint, after, PAGE):
        yield letters
        after = letters[-1].id
