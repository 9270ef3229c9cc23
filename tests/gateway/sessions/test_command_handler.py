"""Each command of a member: what the node is asked for, and the one reply and count it gets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.dialects.base import Request
from gateway.interfaces.membership import ChatAccess
from gateway.interfaces.rate_limits import RateLimited
from gateway.metrics import Metrics
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import (
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    GetUsersPresence,
    MarkRead,
    React,
    SendMessage,
    SetTyping,
)
from gateway.protocol.refusals import REFUSALS
from gateway.protocol.replies import (
    Done,
    ErrorReply,
    HistoryPage,
    PresenceState,
    Present,
    Stored,
    Unreacted,
    UserPresence,
    UsersPresence,
)
from gateway.sessions.command_handler import CommandHandler
from storage.reaction_records import OwnReactions, Reaction, Unchanged
from storage.records import ChatEvent, Committed, EventKind, NewEvent, Outcome, Person, Quota, Refusal

ANN = Person(1, "ann")
CHAT = 7
ACCESS = ChatAccess(CHAT, 9, "e1", is_member=True)
BY: Any = object()
ADMITTED: Any = object()
NO_REJECTIONS = {"edits": 0, "message_edits": 0, "reactions": 0, "message_reactions": 0}


class Node:
    """Records what it is asked for."""

    epoch = "e1"

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.verdict: object = ADMITTED
        self.done: Callable[[Outcome], None] = lambda _: None

    def admit(self, event: NewEvent, on_admission: Callable[[object], None]) -> None:
        self.asked.append(("admit", event))
        on_admission(self.verdict)

    def submit(self, event: NewEvent, done: Callable[[Outcome], None], *, admitted: object, by: object) -> None:
        self.asked.append(("submit", event, admitted, by))
        self.done = done

    def publish_typing(self, chat_id: int, person: Person, is_typing: bool) -> None:
        self.asked.append(("typing", chat_id, person, is_typing))

    async def mark_read(self, chat_id: int, person: Person, seq: int, connection_id: str) -> None:
        self.asked.append(("read", chat_id, person, seq, connection_id))

    async def after(self, *fields: object) -> list[ChatEvent]:
        self.asked.append(("after", *fields))
        return []

    async def before(self, *fields: object) -> list[ChatEvent]:
        self.asked.append(("before", *fields))
        return []

    async def own_reactions(self, user_id: int, events: list[ChatEvent]) -> OwnReactions:
        return {user_id: [str(len(events))]}

    async def states(self, user_ids: Sequence[int], viewer_id: int) -> list[UserPresence]:
        self.asked.append(("states", *user_ids, viewer_id))
        return [UserPresence(2, True, None)]

    async def members(self, chat_id: int) -> list[Present]:
        self.asked.append(("members", chat_id))
        return [Present(1, "ann", 5)]


@dataclass
class Session:
    """Keeps the replies and counts of its commands."""

    connection_id: str = "a"
    person: Person = ANN
    is_open: bool = True
    replies: list[tuple[object, Request | None]] = field(default_factory=list)
    refusals: list[tuple[ErrorReply, Request | None]] = field(default_factory=list)
    counted: list[Request] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)

    def answer(self, reply: object, request: Request | None) -> None:
        self.replies.append((reply, request))

    def refuse(self, error: ErrorReply, request: Request | None) -> None:
        self.refusals.append((error, request))

    def done(self, request: Request, seconds: float | None = None) -> None:
        self.counted.append(request)
        self.seconds.append(seconds)

    async def wait_writable(self) -> bool:
        return self.is_open


class Handler:
    """A handler with its surroundings."""

    def __init__(self) -> None:
        self.node, self.session, self.metrics = Node(), Session(), Metrics().clients
        context: Any = SimpleNamespace(
            node=self.node,
            history=self.node,
            present_people=self.node,
            online=self.node,
            metrics=self.metrics,
            traces=None,
        )
        session: Any = self.session
        self.commands = CommandHandler(context, ANN, session)
        self.proceeded = 0

    def store(self, sent: Request, command: Any, by: Any = None) -> None:
        """Store an event; the next command may follow."""
        before = self.proceeded
        self.commands.store(sent, CHAT, command, self._proceed, by=by)
        assert self.proceeded == before + 1

    def _proceed(self) -> None:
        self.proceeded += 1


@pytest.fixture
def handler() -> Handler:
    return Handler()


def request(command: Any) -> Request:
    return Request(command, "name", ref="r1")


def stored(seq: int = 3) -> ChatEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return ChatEvent(CHAT, seq, EventKind.MESSAGE, 11, ANN, "hi", at, False, False, "c1")


async def test_message_is_admitted_and_submitted(handler: Handler) -> None:
    command = SendMessage("hi", "c1")
    sent = request(command)
    handler.store(sent, command, by=BY)
    event = NewEvent(CHAT, ANN, "c1", EventKind.MESSAGE, "hi")
    assert handler.node.asked == [("admit", event), ("submit", event, ADMITTED, BY)]
    assert (handler.session.replies, handler.session.counted) == ([], [])
    handler.node.done(Committed(stored()))
    assert handler.session.replies == [(Stored(stored(), False, "e1"), sent)]


async def test_message_has_the_present_names_of_its_sender(handler: Handler) -> None:
    handler.session.person = Person(1, "ann", display_name="Ann Ray")
    handler.store(request(None), SendMessage("hi", "c1"))
    assert handler.node.asked[0] == ("admit", NewEvent(CHAT, handler.session.person, "c1", EventKind.MESSAGE, "hi"))


async def test_message_without_an_id_is_given_one(handler: Handler) -> None:
    ids = set()
    for _ in range(2):
        handler.store(request(None), SendMessage("hi", None))
        submitted: Any = handler.node.asked[-1][1]
        ids.add(submitted.client_msg_id)
    assert len(ids) == 2
    assert all(ids)


async def test_message_over_the_rate_limit_is_rejected(handler: Handler) -> None:
    handler.node.verdict = RateLimited(1.2)
    sent = request(SendMessage("hi", "c1"))
    handler.store(sent, SendMessage("hi", "c1"))
    ((error, refused),) = handler.session.refusals
    assert (error.code, error.retry_after_s, refused) == (ErrorCode.RATE_LIMITED, 2, sent)
    assert [name for name, *_ in handler.node.asked] == ["admit"]
    assert handler.metrics.rate_limited.total == 1


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (EditMessage(11, "new", "c1"), NewEvent(CHAT, ANN, "c1", EventKind.EDIT, "new", 11)),
        (DeleteMessage(11, "c1"), NewEvent(CHAT, ANN, "c1", EventKind.DELETE, "", 11)),
    ],
)
async def test_change_is_admitted_and_submitted(handler: Handler, command: Any, event: NewEvent) -> None:
    handler.store(request(command), command, by=BY)
    assert handler.node.asked == [("admit", event), ("submit", event, ADMITTED, BY)]


@pytest.mark.parametrize(
    ("command", "quota"),
    [
        (EditMessage(11, "new", "c1"), "edits"),
        (DeleteMessage(11, "c1"), "edits"),
        (React(11, "👍", False, "c1"), "reactions"),
    ],
)
async def test_change_over_the_rate_limit_is_rejected(handler: Handler, command: Any, quota: str) -> None:
    handler.node.verdict = RateLimited(1.2)
    sent = request(command)
    handler.store(sent, command)
    ((error, refused),) = handler.session.refusals
    assert (error.code, error.retry_after_s, refused) == (ErrorCode.RATE_LIMITED, 2, sent)
    assert [name for name, *_ in handler.node.asked] == ["admit"]
    assert rejections(handler) == {**NO_REJECTIONS, quota: 1}
    assert handler.metrics.rate_limited.total == 0


@pytest.mark.parametrize("duplicate", [False, True])
async def test_committed_event_is_the_reply(handler: Handler, duplicate: bool) -> None:
    sent = request(DeleteMessage(11, "c1"))
    handler.store(sent, DeleteMessage(11, "c1"))
    handler.node.epoch = "e2"
    handler.node.done(Committed(stored(), duplicate))
    assert handler.session.replies == [(Stored(stored(), duplicate, "e1"), sent)]
    assert handler.session.counted == [sent]
    assert handler.session.seconds[0] is not None
    assert 0 <= handler.session.seconds[0] < 60


async def test_reaction_that_changes_nothing_is_the_reply(handler: Handler) -> None:
    command = React(11, "👍", True, "c1")
    sent = request(command)
    handler.store(sent, command)
    handler.node.done(Unchanged(11, '{"👍": 2}'))
    assert handler.session.replies == [(Unreacted(11, Reaction(1, "👍", True, '{"👍": 2}')), sent)]
    assert handler.session.counted == [sent]
    assert handler.session.seconds[0] is not None
    assert 0 <= handler.session.seconds[0] < 60


@pytest.mark.parametrize("refusal", Refusal)
async def test_refusal_of_the_store_is_the_reply(handler: Handler, refusal: Refusal) -> None:
    sent = request(DeleteMessage(11, "c1"))
    handler.store(sent, DeleteMessage(11, "c1"))
    handler.node.done(refusal)
    assert handler.session.refusals == [(REFUSALS[refusal], sent)]
    assert (handler.session.replies, handler.session.counted) == ([], [])
    assert rejections(handler) == {
        **NO_REJECTIONS,
        "message_edits": int(refusal is Refusal.EDIT_LIMIT),
        "message_reactions": int(refusal is Refusal.REACTION_LIMIT),
    }


def rejections(handler: Handler) -> dict[str, float]:
    quotas = (Quota.EDITS, Quota.MESSAGE_EDITS, Quota.REACTIONS, Quota.MESSAGE_REACTIONS)
    return {quota: handler.metrics._quota_rejections.labels(quota).total for quota in quotas}


async def test_typing_is_published_for_each_chat(handler: Handler) -> None:
    first, second = request(SetTyping(True)), request(SetTyping(True))
    handler.commands.set_typing(first, CHAT, True)
    handler.commands.set_typing(second, 8, True)
    handler.commands.set_typing(second, 8, False)
    assert handler.node.asked == [("typing", CHAT, ANN, True), ("typing", 8, ANN, True)]
    assert handler.session.replies == [(Done(), first), (Done(), second), (Done(), second)]
    assert handler.session.counted == [first, second, second]
    handler.commands.stop_typing()
    handler.commands.set_typing(second, 8, False)
    assert handler.node.asked[-1] == ("typing", 8, ANN, False), "a new throttle"
    handler.commands.stop_typing()


async def test_read_position_is_moved_for_this_socket(handler: Handler) -> None:
    sent = request(MarkRead(5))
    await handler.commands.mark_read(sent, CHAT, 5)
    assert handler.node.asked == [("read", CHAT, ANN, 5, "a")]
    assert (handler.session.replies, handler.session.counted) == ([(Done(), sent)], [sent])


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (GetHistory(None, 0, 20), ("after", CHAT, 0, 20, 9, "e1")),
        (GetHistory(None, 4, 20), ("after", CHAT, 4, 20, 9, "e1")),
        (GetHistory(6, None, 20), ("before", CHAT, 6, 20)),
        (GetHistory(None, None, 20), ("before", CHAT, None, 20)),
    ],
)
async def test_history_is_one_page(handler: Handler, command: GetHistory, asked: tuple[object, ...]) -> None:
    sent = request(command)
    await handler.commands.history(sent, ACCESS, command)
    assert handler.node.asked == [asked]
    assert (handler.session.replies, handler.session.counted) == (
        [(HistoryPage(CHAT, [], 9, {1: ["0"]}), sent)],
        [sent],
    )


async def test_history_of_a_closed_session_is_not_read(handler: Handler) -> None:
    handler.session.is_open = False
    await handler.commands.history(request(None), ACCESS, GetHistory(None, 0, 20))
    assert (handler.node.asked, handler.session.replies, handler.session.counted) == ([], [], [])


async def test_presence_is_the_connected_users(handler: Handler) -> None:
    sent = request(GetPresence())
    await handler.commands.presence(sent, CHAT)
    assert handler.node.asked == [("members", CHAT)]
    assert handler.session.replies == [(PresenceState(CHAT, [Present(1, "ann", 5)]), sent)]
    assert handler.session.counted == [sent]


async def test_presence_of_users_is_as_far_as_the_user_may_know(handler: Handler) -> None:
    sent = request(GetUsersPresence([2, 3]))
    await handler.commands.users_presence(sent, [2, 3])
    assert handler.node.asked == [("states", 2, 3, 1)]
    assert handler.session.replies == [(UsersPresence([UserPresence(2, True, None)]), sent)]
    assert handler.session.counted == [sent]
