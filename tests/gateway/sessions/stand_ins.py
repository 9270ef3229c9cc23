"""Stand-ins for what a session stands on; each records what it is asked for."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway.delivery.hub import LocalChat
from gateway.delivery.subscription import Subscription
from gateway.dialects.base import EchoPolicy, Request
from gateway.interfaces.presence import Seat
from gateway.interfaces.rate_limits import Admitted
from gateway.protocol.claim import Claim
from gateway.protocol.ids import Since
from gateway.protocol.replies import ErrorReply, UserPresence
from gateway.sessions.command_limits import CommandLimits, CommandRates
from gateway.sessions.context import SessionContext
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import (
    Admission,
    ChatKind,
    ChatPosition,
    Member,
    NewEvent,
    Outcome,
    Person,
    PublicChat,
    Refusal,
    Role,
)

ANN = Person(1, "ann")
GROUP, PUBLIC, UNKNOWN = 5, 6, 7


class Dialect:
    """Reads commands from a list, and keeps the replies."""

    name = "stub"
    echo = EchoPolicy.ALL

    def __init__(self) -> None:
        self.incoming: list[Request | ErrorReply] = []
        self.replies: list[tuple[object, Request | None]] = []

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        return self.incoming.pop(0)

    def push(self, push: object) -> bytes | None:
        return None

    def reply(self, reply: object, request: Request | None) -> bytes | None:
        self.replies.append((reply, request))
        return b"{}"


class Connection:
    """Records what is done to the socket."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.buffered = 0
        self.has_room = self.is_open = True
        self.served: object = None

    def attach(self, listener: object, bytes_per_cost: int = 0) -> None:
        self.calls.append(("attach", listener))

    def serve(self, outlet: object) -> None:
        self.served = outlet

    def write(self, frames: bytes, limit: int = 0) -> bool:
        if self.has_room:
            self.calls.append(frames)
        return self.has_room

    async def drained(self) -> bool:
        return self.is_open

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def close(self, code: int, reason: str = "") -> None:
        self.calls.append(("close", code, reason))

    @property
    def closes(self) -> list[Any]:
        return [call for call in self.calls if isinstance(call, tuple) and call[0] == "close"]


class Watch:
    """The sockets that watch users."""

    def __init__(self, asked: list[tuple[object, ...]]) -> None:
        self._asked = asked

    def watch(self, *fields: object) -> None:
        self._asked.append(("watch", *fields))

    def unwatch(self, client: object) -> None:
        """Not of interest here."""


class Node:
    """The core: records what it is asked for; `gate` holds reads back, `error` fails them."""

    epoch = "e1"
    node_id = "n1"

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.asked: list[tuple[object, ...]] = []
        self.begun: list[tuple[Subscription, Since | None, str]] = []
        self.online: list[tuple[str, int]] = []
        """The calls that say which users have sockets: the method and the user."""
        self.senders: list[Person] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_limited = True
        """Whether events wait for their admission."""

    def arrive(self, user_id: int) -> None:
        self.online.append(("arrive", user_id))

    def depart(self, user_id: int) -> None:
        self.online.append(("depart", user_id))

    @property
    def watch(self) -> "Watch":
        return Watch(self.asked)

    async def states(self, user_ids: Sequence[int], viewer_id: int | None) -> list[Any]:
        return await self._read("states", *user_ids, viewer_id)

    async def _read(self, *fields: object) -> list[Any]:
        self.asked.append(fields)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return []

    def register(self, session: Any, seat: Seat, claim: Claim, *, is_reader: bool = False, **_: object) -> Subscription:
        local = LocalChat(seat.chat_id)
        local.reorder_buffer.start(9)
        local.epoch = "e of the node"
        self.asked.append(("register", seat, claim))
        subscription = Subscription(session, local, seat, claim)
        subscription.is_reader = is_reader
        return subscription

    def leave(self, subscription: Subscription, *, at_once: bool) -> None:
        self.asked.append(("leave", subscription, at_once))

    def begin(self, subscription: Subscription, since: Since | None, epoch: str) -> bool:
        self.begun.append((subscription, since, epoch))
        return False

    async def go_live(self, subscription: Subscription, since: Since | None, epoch: str) -> None:
        await self._read("go live", subscription, since, epoch)

    def admit(self, event: NewEvent, on_admission: Callable[[object], None]) -> None:
        if self.is_limited:
            self.tasks.spawn(self._admit(event, on_admission), "admission")
        else:
            on_admission(Admitted(is_new=False))

    async def _admit(self, event: NewEvent, on_admission: Callable[[object], None]) -> None:
        try:
            on_admission(await self._read("admit", event.text))
        except StorageUnavailable:
            on_admission(Refusal.UNAVAILABLE)

    def submit(self, event: NewEvent, done: Callable[[Outcome], None], *, admitted: object, by: object) -> None:
        self.asked.append(("submit", event.kind, event.text, by))
        self.senders.append(event.sender)
        done(Refusal.UNAVAILABLE)

    def publish_typing(self, chat_id: int, person: Person, is_typing: bool) -> None:
        self.asked.append(("typing", chat_id, is_typing))

    async def mark_read(self, chat_id: int, person: Person, seq: int, connection_id: str) -> None:
        await self._read("read", chat_id, seq, connection_id)

    async def after(self, *fields: object) -> list[Any]:
        return await self._read("after", *fields)

    async def own_reactions(self, *fields: object) -> dict[int, list[str]]:
        return {}

    async def members(self, chat_id: int) -> list[Any]:
        return await self._read("members", chat_id)


def context_of(node: Node, counts: "Counts", local_clients: Any = None, feed: Any = None) -> SessionContext:
    """What a session is made of, with `node` in the place of its other parts too."""
    core: Any = node
    metrics: Any = counts
    return SessionContext(
        node=core,
        membership=core,
        present_people=core,
        online=core,
        history=core,
        local_clients=local_clients,
        feed=feed,
        tasks=node.tasks,
        metrics=metrics,
        limits=CommandLimits(CommandRates()),
    )


class Counts:
    """The metrics, as calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.slow_consumers = self
        self.slow = 0

    def inc(self) -> None:
        self.slow += 1

    def handled(self, *fields: object) -> None:
        self.calls.append(("handled", *fields))

    def answered(self, dialect: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.calls.append(("answered", dialect))

    def refused(self, *fields: object) -> None:
        self.calls.append(("refused", *fields))


class MemberNode(Node):
    """Ann is a member of every chat but PUBLIC, which is open to all, and UNKNOWN."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up: list[int] = []
        self.during_look: Callable[[], None] = lambda: None

    def admit(self, *fields: Any) -> Any:
        """Either an event to the log, or a user to a chat."""
        return super().admit(*fields) if isinstance(fields[0], NewEvent) else self._enter(fields[0])

    async def _enter(self, chat_id: int) -> Admission | None:
        self.looked_up.append(chat_id)
        if chat_id in (PUBLIC, UNKNOWN):
            return None
        return Admission(chat_id, ChatKind.GROUP, Member(ANN, Role.MEMBER, 0), ChatPosition(9, 1), "e1")

    async def look(self, user_ids: Sequence[int], viewer_id: int) -> tuple[list[UserPresence], list[UserPresence]]:
        """Of the first user alone ann may know."""
        self.asked.append(("look", *user_ids, viewer_id))
        self.during_look()
        users = [UserPresence(user_id, user_id == user_ids[0], None) for user_id in user_ids]
        return users, users[:1]

    async def public(self, chat_id: int) -> PublicChat | None:
        return PublicChat(chat_id, 8, "e1") if chat_id == PUBLIC else None

    async def enter(self, seat: Any) -> Claim:
        self.asked.append(("seat", seat.chat_id, seat.user_id))
        return Claim.settled(3)

    def visit(self, session: Any, chat_id: int) -> Subscription:
        subscription = self.register(session, _Visitor(chat_id), Claim.settled(0))  # type: ignore[arg-type]
        subscription.seat = None
        return subscription


class _Visitor:
    def __init__(self, chat_id: int) -> None:
        self.chat_id = chat_id


class Clients:
    """The registers of a node's clients and of followed users."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *fields: self.calls.append((name, *fields))


class NoRegistry:
    """Takes everybody."""

    def enter(self, user_id: int) -> None: ...

    def leave(self, user_id: int) -> None: ...


class LocalClientsStub:
    """Takes everybody."""

    def add(self, socket: object) -> None: ...

    def remove(self, socket: object) -> None: ...
