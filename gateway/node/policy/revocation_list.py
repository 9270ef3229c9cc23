"""The revoked tokens and banned users, in memory, and the end of the sessions that they concern.

Keeps: the database is the truth, Redis only wakes the reader. Every INTERVAL_S each node reads what was appended to the
log and checks all its sessions, so that a session ends within seconds also if Redis is down, and if its handshake was
verified before the entry was read.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gateway.interfaces.revocations import RevocationLog
from gateway.interfaces.session import OpenSession
from gateway.protocol.codes import Close, Disconnect
from gateway.turns import portions
from storage.auth_records import Credential, RevocationEntry, RevocationKind
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.sessions")

INTERVAL_S: Final = 2.0
PAUSE_S: Final = 0.1
"""Minimum time between two reads, however many entries are announced."""
RENEWAL_S: Final = 600.0
"""Time between two deletions of needless entries, after which the whole log is read again: memory shrinks with it."""

_REVOKED = Disconnect(Close.UNAUTHORIZED, "the token was revoked")


@dataclass(slots=True)
class _IssuedBefore:
    """The latest moment before which a user's tokens are revoked, and the digest of the one that is spared, or "".

    `other` is the latest moment of an entry that does not spare it.
    """

    moment: int = 0
    spared: str = ""
    other: int = 0

    def take(self, entry: RevocationEntry) -> None:
        moment = entry.moment or 0
        if moment >= self.moment:
            if entry.digest != self.spared:
                self.other = self.moment
            self.moment, self.spared = moment, entry.digest
        elif entry.digest != self.spared:
            self.other = max(self.other, moment)

    def of(self, credential: Credential) -> int:
        """The earliest `iat` with which this token is not revoked."""
        is_spared = self.spared and self.spared in (credential.jti_digest, credential.session_digest)
        return self.other if is_spared else self.moment


@dataclass(slots=True)
class _Known:
    """What the log says."""

    last: RevocationEntry | None = None
    digests: set[tuple[int, str]] = field(default_factory=set)
    """Pairs of a user and the digest of a revoked jti or login: two issuers may use one jti."""
    issued_before: dict[int, _IssuedBefore] = field(default_factory=dict)
    bans: dict[int, int | None] = field(default_factory=dict)

    def take(self, entry: RevocationEntry) -> None:
        self.last = entry
        match entry.kind:
            case RevocationKind.JTI | RevocationKind.SESSION:
                self.digests.add((entry.user_id, entry.digest))
            case RevocationKind.ISSUED_BEFORE:
                self.issued_before.setdefault(entry.user_id, _IssuedBefore()).take(entry)
            case RevocationKind.BAN:
                self.bans[entry.user_id] = entry.moment
            case RevocationKind.UNBAN:
                self.bans.pop(entry.user_id, None)

    def refusal(self, credential: Credential, now: float) -> Disconnect | None:
        user_id = credential.user_id
        if user_id is None:
            return None
        if user_id in self.bans:
            until = self.bans[user_id]
            if until is None or until > now:
                return Disconnect(Close.BANNED, _sentence(until))
        issued_before = self.issued_before.get(user_id)
        if issued_before is not None and credential.issued_at < issued_before.of(credential):
            return _REVOKED
        revoked = {(user_id, credential.jti_digest), (user_id, credential.session_digest)} & self.digests
        return _REVOKED if revoked else None

    @property
    def is_empty(self) -> bool:
        return not (self.digests or self.issued_before or self.bans)


class RevocationList:
    """Implements `RevocationCheck`. `run` is its owner task. Its size is that of the log: what is in effect."""

    def __init__(
        self,
        log: RevocationLog,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._now = now
        self._known = _Known()
        self._announced = asyncio.Event()

    def refusal(self, credential: Credential) -> Disconnect | None:
        """Implement `RevocationCheck.refusal`."""
        return self._known.refusal(credential, self._now())

    async def load(self) -> None:
        """Read what was appended to the log.

        Raises: StorageUnavailable.
        """
        known = self._known
        entries = await self._log.since(0 if known.last is None else known.last.id)
        if known.last is not None and (not entries or entries[0] != known.last):
            known = _Known()  # the database has another history, or the entry was purged
            entries = await self._log.since(0)
        while entries and entries[-1] != known.last:
            for entry in entries:
                known.take(entry)
            entries = await self._log.since(entries[-1].id)
        self._known = known

    def announce(self) -> None:
        """Read the log soon: a node has appended to it."""
        self._announced.set()

    async def run(self, sessions: Collection[OpenSession]) -> None:
        """Read the log and close the sessions that it concerns, until cancelled."""
        renewal_at = time.monotonic() + RENEWAL_S * random.random()  # noqa: S311 - spreads the nodes
        while True:
            try:
                if time.monotonic() >= renewal_at:
                    renewal_at = time.monotonic() + RENEWAL_S
                    await self._renew()
                await self.load()
            except StorageUnavailable:
                logger.warning("revocations_unread")
            await self._end(sessions)
            await asyncio.sleep(PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._announced.wait()
            self._announced.clear()

    async def _renew(self) -> None:
        await self._log.purge()
        fresh = RevocationList(self._log)
        await fresh.load()
        self._known = fresh._known

    async def _end(self, sessions: Collection[OpenSession]) -> None:
        if self._known.is_empty:
            return
        async for some in portions(sessions):
            for session in some:
                if refusal := self.refusal(session.credential):
                    session.close(refusal)


def _sentence(until: int | None) -> str:
    if until is None:
        return "you are banned"
    return f"you are banned until {datetime.fromtimestamp(until, UTC):%Y-%m-%dT%H:%M:%SZ}"
