"""The token of a session: the warning before it ends, and the next one."""

import dataclasses
import time
from typing import Any

import pytest

from gateway.dialects.base import Request
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import Refresh
from gateway.protocol.refusals import NOT_REFRESHED, REFRESHED_TOO_OFTEN
from gateway.protocol.replies import Refreshed, TokenExpiring
from gateway.sessions import session as sessions
from gateway.sessions.context import Peer
from gateway.sessions.native import NativeSession
from storage.auth_records import Credential
from storage.records import Person
from tests.gateway.sessions.stand_ins import Connection, Counts, Dialect, Node, context_of

ENDS_AT = 1000.0
NEXT = Credential(1, 2000)


class World:
    """A session of user 1; `tokens` are those that are valid."""

    def __init__(self, *, wants_warning: bool = True) -> None:
        self.dialect, self.counts = Dialect(), Counts()
        self.tokens = {"next": NEXT, "another user's": Credential(2, 2000), "guest's": Credential(None, 2000)}
        self.read: list[str] = []
        context = dataclasses.replace(context_of(Node(), self.counts), renew=self._renew)
        connection: Any = Connection()
        peer = Peer(self.dialect, Person(1, "ann"), Credential(1, ENDS_AT), "a", wants_warning)
        self.session = NativeSession(context, peer, "c", connection, lambda *_: None)

    async def _renew(self, token: str) -> Credential | None:
        self.read.append(token)
        return self.tokens.get(token)

    async def refresh(self, token: str) -> Request:
        request = Request(Refresh(token), "refresh")
        await self.session.refresh(request, Refresh(token))
        return request

    @property
    def replies(self) -> list[object]:
        return [reply for reply, _ in self.dialect.replies]


def test_client_is_warned_once_of_the_end_of_its_token() -> None:
    world = World()
    world.session.warn_of_expiry(ENDS_AT - 30.1)
    assert world.replies == []
    world.session.warn_of_expiry(ENDS_AT - 30)
    world.session.warn_of_expiry(ENDS_AT - 20)
    assert world.dialect.replies == [(TokenExpiring(30), None)]
    world.session.credential = NEXT
    world.session.warn_of_expiry(2000 - 10.5)
    world.session.credential = Credential(1, 1500)
    world.session.warn_of_expiry(1501)
    assert world.replies[1:] == [TokenExpiring(10), TokenExpiring(0)]


def test_client_that_wants_no_warning_gets_none() -> None:
    world = World(wants_warning=False)
    world.session.warn_of_expiry(ENDS_AT)
    assert world.replies == []


async def test_session_continues_with_the_next_token() -> None:
    world = World()
    request = await world.refresh("next")
    assert world.session.credential is NEXT
    assert world.dialect.replies == [(Refreshed(2000), request)]
    assert [call[:3] for call in world.counts.calls] == [("handled", "stub", "refresh"), ("answered", "stub")]


@pytest.mark.parametrize("token", ["unknown", "another user's", "guest's"])
async def test_token_that_is_not_the_users_changes_nothing(token: str) -> None:
    world = World()
    request = await world.refresh(token)
    assert world.session.credential == Credential(1, ENDS_AT)
    assert world.dialect.replies == [(NOT_REFRESHED, request)]
    assert world.counts.calls == [("refused", "stub", "refresh", ErrorCode.FORBIDDEN)]


async def test_token_is_read_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    world, now = World(), time.monotonic()
    for at, token in ((now, "unknown"), (now + 0.9, "next"), (now + 1, "next")):
        monkeypatch.setattr(sessions.time, "monotonic", lambda at=at: at)
        await world.refresh(token)
    assert world.replies == [NOT_REFRESHED, REFRESHED_TOO_OFTEN, Refreshed(2000)]
    assert world.read == ["unknown", "next"]
