"""`chat-gateway webhooks`: what waits for endpoints, and their dead letters, as lines of text; drops what is left."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.errors import CommandError
from gateway.interfaces.outbox import OutboxQueue
from gateway.webhooks.outlet import removed_endpoints
from storage.outbox_records import DeadLetter

PAGE: Final = 500


async def run(outbox: OutboxQueue, action: str, endpoint: str | None, endpoints: Sequence[str]) -> list[str]:
    """The lines of `status`, of `dead-letters` or `replay` of one endpoint or of all, or of `drop` of a removed one.

    `endpoints` are those that are set up. Raises: CommandError, StorageUnavailable.
    """
    if action == "replay":
        return [f"{await _replay(outbox, endpoint)} events are delivered again."]
    if action == "drop":
        return [f"{await _drop(outbox, endpoint, endpoints)} events are dropped."]
    lines = _dead_letters(outbox, endpoint) if action == "dead-letters" else _backlogs(outbox, endpoints)
    return [line async for line in lines]


async def _backlogs(outbox: OutboxQueue, endpoints: Sequence[str]) -> AsyncIterator[str]:
    removed = await removed_endpoints(outbox, endpoints)
    for name in [*endpoints, *removed]:
        waits = await outbox.backlog(name)
        reason = f" ({waits.error})" if waits.error else ""
        yield (
            f"{name}: {'removed, ' if name in removed else ''}{waits.events} events of {waits.streams} chats wait,"
            f" {waits.failing} of them failing{reason}, the oldest for {waits.lag_s:.0f} s; {waits.dead} dead letters"
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


async def _drop(outbox: OutboxQueue, endpoint: str | None, endpoints: Sequence[str]) -> int:
    if endpoint is None:
        raise CommandError("Say which: --webhook NAME.")
    if endpoint in endpoints:
        raise CommandError(f"{endpoint} is set up. Remove it from WEBHOOKS on all nodes first.")
    if endpoint not in await outbox.endpoints():
        raise CommandError(f"The outbox has nothing of a webhook {endpoint}.")
    events, is_all = 0, False
    while not is_all:
        dropped = await outbox.drop(endpoint)
        events, is_all = events + dropped.events, dropped.is_all
    return events


async def _pages(outbox: OutboxQueue, endpoint: str | None) -> AsyncIterator[list[DeadLetter]]:
    after = 0
    while letters := await outbox.dead_letters(endpoint, after, PAGE):
        yield letters
        after = letters[-1].id
