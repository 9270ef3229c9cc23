"""The log of revocations in memory: what it refuses, and when a node learns of it."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.node.policy import revocation_list
from gateway.node.policy.revocation_list import RevocationList
from gateway.protocol.codes import Close, Disconnect
from storage.auth_records import Credential, RevocationEntry, RevocationKind, name_digest
from storage.errors import StorageUnavailable

NOW = 1_000_000.0
JTI = name_digest("one")


class Log:
    """A log in memory, in pages of two entries."""

    def __init__(self) -> None:
        self.entries: list[RevocationEntry] = []
        self.is_down = False
        self.reads = 0

    def add(self, user_id: int, kind: RevocationKind, moment: int | None = None, jti: str = "") -> None:
        entry_id = self.entries[-1].id + 1 if self.entries else 1
        self.entries.append(RevocationEntry(entry_id, user_id, kind, jti, moment, "", int(NOW)))

    async def since(self, entry_id: int) -> Sequence[RevocationEntry]:
        self.reads += 1
        if self.is_down:
            raise StorageUnavailable
        return [entry for entry in self.entries if entry.id >= entry_id][:2]

    async def purge(self) -> int:
        return 0


class OpenSocket:
    """A session with this credential."""

    def __init__(self, credential: Credential) -> None:
        self.credential = credential
        self.closed: list[Disconnect] = []

    def close(self, disconnect: Disconnect) -> None:
        self.closed.append(disconnect)


def known(log: Log) -> RevocationList:
    return RevocationList(log, now=lambda: NOW)  # type: ignore[arg-type]


def code(revocations: RevocationList, credential: Credential) -> Close | None:
    refusal = revocations.refusal(credential)
    return refusal.code if refusal else None


@pytest.mark.parametrize(
    ("kind", "moment", "credential", "expected"),
    [
        (RevocationKind.JTI, None, Credential(7, 0, 5, JTI), Close.UNAUTHORIZED),
        (RevocationKind.JTI, None, Credential(8, 0, 5, JTI), None),
        (RevocationKind.JTI, None, Credential(7, 0, 5, name_digest("two")), None),
        (RevocationKind.ISSUED_BEFORE, 6, Credential(7, 0, 5), Close.UNAUTHORIZED),
        (RevocationKind.ISSUED_BEFORE, 6, Credential(7, 0, 6), None),
        (RevocationKind.ISSUED_BEFORE, 6, Credential(8, 0, 5), None),
        (RevocationKind.BAN, None, Credential(7, 0, 5), Close.BANNED),
        (RevocationKind.BAN, int(NOW) + 1, Credential(7, 0, 5), Close.BANNED),
        (RevocationKind.BAN, int(NOW), Credential(7, 0, 5), None),
        (RevocationKind.BAN, None, Credential(None, 0, 5), None),
    ],
)
async def test_entry_refuses_what_it_concerns(
    kind: RevocationKind, moment: int | None, credential: Credential, expected: Close | None
) -> None:
    log = Log()
    log.add(7, kind, moment, JTI if kind is RevocationKind.JTI else "")
    revocations = known(log)
    assert code(revocations, credential) is None
    await revocations.load()
    assert code(revocations, credential) is expected


async def test_later_entries_replace_earlier_ones() -> None:
    log = Log()
    log.add(7, RevocationKind.BAN)
    log.add(7, RevocationKind.UNBAN)
    log.add(8, RevocationKind.BAN)
    log.add(8, RevocationKind.UNBAN)
    log.add(8, RevocationKind.BAN)
    log.add(9, RevocationKind.ISSUED_BEFORE, 9)
    log.add(9, RevocationKind.ISSUED_BEFORE, 4)
    revocations = known(log)
    await revocations.load()
    assert code(revocations, Credential(7, 0, 1)) is None
    assert code(revocations, Credential(8, 0, 1)) is Close.BANNED
    assert code(revocations, Credential(9, 0, 8)) is Close.UNAUTHORIZED
    log.add(8, RevocationKind.UNBAN)
    await revocations.load()
    assert code(revocations, Credential(8, 0, 1)) is None


async def test_other_history_is_read_from_its_start() -> None:
    log = Log()
    log.add(7, RevocationKind.BAN)
    log.add(8, RevocationKind.BAN)
    revocations = known(log)
    await revocations.load()
    log.entries.clear()  # a backup was restored
    log.add(9, RevocationKind.BAN)
    await revocations.load()
    assert [code(revocations, Credential(user_id, 0)) for user_id in (7, 8, 9)] == [None, None, Close.BANNED]


async def test_purged_last_entry_loses_nothing() -> None:
    log = Log()
    log.add(7, RevocationKind.BAN)
    log.add(8, RevocationKind.BAN, 1)
    revocations = known(log)
    await revocations.load()
    log.add(9, RevocationKind.BAN)
    del log.entries[1]
    await revocations.load()
    assert [code(revocations, Credential(user_id, 0)) for user_id in (7, 9)] == [Close.BANNED, Close.BANNED]


async def test_outage_keeps_what_is_known_and_announcement_ends_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation_list, "INTERVAL_S", 3600.0)
    log = Log()
    log.add(7, RevocationKind.BAN)
    revocations = known(log)
    banned, other = OpenSocket(Credential(7, 0, 1)), OpenSocket(Credential(8, 0, 1))
    sessions: list[object] = [banned, other]
    task = asyncio.create_task(revocations.run(sessions))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(10):
            while not banned.closed:
                await asyncio.sleep(0.01)
            log.is_down = True
            late = OpenSocket(Credential(7, 0, 1))
            sessions.append(late)
            revocations.announce()
            while not late.closed:
                await asyncio.sleep(0.01)
            log.is_down = False
            log.add(8, RevocationKind.ISSUED_BEFORE, 2)
            revocations.announce()
            while not other.closed:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
    assert {each.code for each in (*banned.closed, *late.closed)} == {Close.BANNED}
    assert other.closed == [Disconnect(Close.UNAUTHORIZED, "the token was revoked")]


async def test_token_is_spared_by_each_entry_that_names_it() -> None:
    """Two changes of a password, each of which spares another login, in either order of their moments."""
    mine, other = name_digest("mine"), name_digest("other")
    old = Credential(7, NOW + 60, 10, "", mine)
    for entries, expected in (
        ([(20, mine)], None),
        ([(20, mine), (30, mine)], None),
        ([(20, mine), (30, other)], Close.UNAUTHORIZED),
        ([(30, mine), (20, other)], Close.UNAUTHORIZED),
        ([(20, other), (30, mine)], Close.UNAUTHORIZED),
        ([(20, mine), (30, "")], Close.UNAUTHORIZED),
        ([(9, other), (10, ""), (30, mine)], None),
    ):
        log = Log()
        for moment, digest in entries:
            log.add(7, RevocationKind.ISSUED_BEFORE, moment, digest)
        revocations = known(log)
        await revocations.load()
        assert code(revocations, old) is expected, entries
        assert code(revocations, Credential(7, NOW + 60, 30, "", other)) is None
        assert code(revocations, Credential(7, NOW + 60, 8)) is Close.UNAUTHORIZED
        assert code(revocations, Credential(8, NOW + 60, 8)) is None
