"""The log of revocations, on both databases."""

import asyncio

import pytest

from storage.auth_records import RevocationKind, name_digest
from storage.repositories.revocations import KEPT_S, Revocations
from tests.storage.nodes import Node


class Clock:
    """Unix seconds that a test sets."""

    seconds = 1_000_000.5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def revocations(node: Node, clock: Clock) -> Revocations:
    return Revocations(node.database, now=lambda: clock.seconds)


async def test_entries_are_read_in_their_order(revocations: Revocations) -> None:
    written = [
        await revocations.revoke_token(7, "a"),
        await revocations.revoke_issued_before(7),
        await revocations.revoke_issued_before(7, 12.7),
        await revocations.ban(8, None, "spam"),
        await revocations.ban(9, 1_000_100.9, ""),
    ]
    assert await revocations.since(0) == written
    assert await revocations.since(written[2].id) == written[2:]
    assert [entry.moment for entry in written] == [None, 1_000_001, 12, None, 1_000_100]
    assert written[0].digest == name_digest("a")
    assert await revocations.issued_before(7) == 1_000_001
    assert await revocations.issued_before(8) == 0


async def test_ban_ends_by_time_and_by_being_lifted(revocations: Revocations, clock: Clock) -> None:
    await revocations.ban(7, 1_000_100, "spam")
    ban = await revocations.ban_of(7)
    assert ban is not None
    assert (ban.reason, ban.moment, ban.created_at) == ("spam", 1_000_100, 1_000_000)
    clock.seconds = 1_000_100
    assert await revocations.ban_of(7) is None
    await revocations.ban(7, None, "again")
    assert await revocations.ban_of(7) is not None
    await revocations.unban(7)
    assert await revocations.ban_of(7) is None
    last = (await revocations.since(0))[-1]
    assert last.kind is RevocationKind.UNBAN
    await revocations.unban(7)
    assert (await revocations.since(0))[-1] == last


async def test_purge_keeps_what_is_in_effect(revocations: Revocations, clock: Clock) -> None:
    await revocations.revoke_token(7, "a", expires_at=1_000_010)
    kept = await revocations.revoke_token(7, "b")
    await revocations.ban(7, None, "replaced")
    lasting = await revocations.ban(7, None, "lasting")
    await revocations.ban(8, 1_000_050, "ended")
    newest = await revocations.ban(9, 1_000_050, "ended, but the newest")
    clock.seconds = 1_000_100
    assert await revocations.purge() == 3
    assert await revocations.since(0) == [kept, lasting, newest]
    assert await revocations.purge() == 0
    clock.seconds += KEPT_S
    await revocations.revoke_token(7, "c")
    assert await revocations.purge() == 2
    assert [entry.kind for entry in await revocations.since(0)] == [RevocationKind.BAN, RevocationKind.JTI]


async def test_reader_of_concurrent_entries_misses_none(node: Node, other_node: Node, revocations: Revocations) -> None:
    others = Revocations(other_node.database)
    seen: list[int] = []

    async def read() -> None:
        last = 0
        while len(seen) < 40:
            entries = [entry for entry in await revocations.since(last) if entry.id > last]
            seen.extend(entry.user_id for entry in entries)
            last = entries[-1].id if entries else last

    async with asyncio.timeout(60):
        await asyncio.gather(read(), *((revocations, others)[n % 2].revoke_token(n, "a") for n in range(40)))
    assert sorted(seen) == list(range(40))
