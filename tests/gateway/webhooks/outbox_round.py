"""One random round of changes to chats, of nodes that deliver them and die, and a check of what arrived."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from typing import Any, Final, NamedTuple

from gateway.errors import SendFailed
from gateway.interfaces.outbox import OutsideEvent
from gateway.webhooks.delivery import EndpointDelivery
from gateway.webhooks.loads import Loader
from storage.database.database import Database, open_database
from storage.errors import InvalidMembers, NotAllowed, UnknownUser
from storage.log.chat_log import open_chat_log
from storage.log.event_ranges import EventRanges
from storage.outbox.queue import Outbox
from storage.outbox_records import TYPES_OF_KINDS, EventType, Head, Wanted
from storage.records import ChatEvent, Committed, EventKind, NewEvent, NewMember, Person, Role
from storage.repositories.chat_setup.details import ChatDetailsRepository
from storage.repositories.chat_setup.roles import StoredRoles
from storage.repositories.chats import Chats
from storage.repositories.users.present_users import PresentUsers
from tests.gateway.webhooks.interleaver import Interleaver
from tests.storage.nodes import Node, deletion, edit, message, node_over, reaction

CHANGES: Final = 12
"""Of each writer."""
SLOW_COMMIT: Final = """
    SELECT * FROM chat_log_commit(ARRAY[$1]::bigint[], ARRAY[$2]::bigint[], ARRAY[$3]::text[], ARRAY['message'],
        ARRAY[NULL]::bigint[], ARRAY[''::bytea], ARRAY['slow'], true)"""
PASS_TIME: Final = """
    UPDATE outbox SET due_at = 1 WHERE id IN (
        SELECT id FROM outbox WHERE due_at > 0 AND endpoint IN ($1, $2) {skip_locked}) RETURNING id"""


class Arrival(NamedTuple):
    """An event of a stream, in the order of its commit: after the log's event `seq`, or this event itself."""

    stream: int
    seq: int
    number: int
    """Of an event that the log does not have: among those of its stream."""
    type: str
    data: str


class _Unused:
    """Counts nothing."""

    def delivered(self, count: int) -> None: ...

    def failed(self, reason: str) -> None: ...

    def given_up(self, count: int) -> None: ...

    def lost(self, count: int) -> None: ...


class _Sender:
    """Takes events, or fails, before or after it has taken them."""

    def __init__(self, interleaver: Interleaver, seen: list[dict[str, Any]]) -> None:
        self._interleaver = interleaver
        self._seen = seen
        self.fails = 0.25

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        await self._interleaver.step("send")
        is_taken = self._interleaver.dice.random() >= self.fails / 2
        if is_taken:
            self._seen += [json.loads(event.json) for event in events]
        await self._interleaver.step("sent" if is_taken else "refused")
        if not is_taken or self._interleaver.dice.random() < self.fails / 2:
            raise SendFailed("500")


class _Outbox(Outbox):
    """Notes what became a dead letter: it has lost its place in the order."""

    buried: set[tuple[int, int, int]]

    async def bury(
        self, endpoint: str, head: Head, logged: Sequence[tuple[int, str]], extra_ids: Sequence[int], error: str
    ) -> None:
        self.buried |= {(head.stream, seq, 0) for seq, _ in logged} | {(head.stream, 0, id_) for id_ in extra_ids}
        await super().bury(endpoint, head, logged, extra_ids, error)


class _Deliverer:
    """A node that delivers to the endpoints, until it crashes and starts again."""

    def __init__(
        self, interleaver: Interleaver, name: str, database: Database, endpoints: "Sequence[_Endpoint]"
    ) -> None:
        self._interleaver = interleaver
        self.name = name
        self._database = database
        self._endpoints = endpoints
        self._tasks: list[asyncio.Task[None]] = []
        self._deliveries: list[EndpointDelivery] = []

    def start(self) -> None:
        self._deliveries, self._tasks = [], []
        for endpoint in self._endpoints:
            outbox = _Outbox(self._database, Wanted({endpoint.name: endpoint.types}))
            outbox.buried = endpoint.buried
            loader = Loader(endpoint.name, endpoint.types, outbox, EventRanges(self._database))
            delivery = EndpointDelivery(
                endpoint.name, endpoint.sender, outbox, loader, _Unused(), give_up_s=endpoint.give_up_s
            )
            self._deliveries.append(delivery)
            self._tasks += [asyncio.create_task(self._run(run)) for run in (delivery.run_fresh, delivery.run_late)]

    async def _run(self, run: Callable[[], Awaitable[None]]) -> None:
        self._interleaver.act_as(self.name)
        await run()

    def stir(self) -> None:
        for delivery in self._deliveries:
            delivery.stir()

    async def crash(self) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended


class _Endpoint:
    def __init__(self, interleaver: Interleaver, name: str, types: frozenset[str], give_up_s: float | None) -> None:
        self.name = name
        self.types = types
        self.give_up_s = give_up_s
        self.seen: list[dict[str, Any]] = []
        self.buried: set[tuple[int, int, int]] = set()
        self.sender = _Sender(interleaver, self.seen)


class Round:
    """Writers and deliverers take turns as the seed decides."""

    def __init__(self, interleaver: Interleaver, name: str, node: Node, databases: Sequence[Database]) -> None:
        """`node` writes, and `databases` are those of the deliverers; `name` is no other round's."""
        self._interleaver = interleaver
        self._node = node
        dice = interleaver.dice
        some = frozenset(dice.sample(list(EventType), 5))
        self._endpoints = [
            _Endpoint(interleaver, f"all-{name}", frozenset(EventType), None),
            _Endpoint(interleaver, f"some-{name}", some, dice.choice([None, 0.0])),
        ]
        self._shadow = f"none-{name}"
        """It is delivered nothing, so that all events that the log does not have stay."""
        types = {one.name: one.types for one in self._endpoints}
        wanted = Wanted({**types, self._shadow: frozenset(EventType)})
        database = node.database
        self._outbox = Outbox(database, wanted)
        self._chats = Chats(database, wanted=wanted)
        self._details = ChatDetailsRepository(database, wanted)
        self._roles = StoredRoles(database, wanted)
        self._present = PresentUsers(database, wanted)
        self._deliverers = [
            _Deliverer(interleaver, f"node {number}", one, self._endpoints)
            for number, one in enumerate(databases, start=1)
        ]
        self._names = (f"{name}-{number}" for number in count(1))
        self._people: list[Person] = []
        self._chat_ids: list[int] = []

    async def run(self) -> list[str]:
        """What was wrong."""
        await self._outbox.begin()
        self._people = [await self._node.person(next(self._names)) for _ in range(3)]
        for _ in range(2):
            chat, _ = await self._chats.create_chat(
                self._people[0].id, "group", "", [NewMember(user_id=self._people[1].id)]
            )
            self._chat_ids.append(chat.id)
        for one in self._deliverers:
            one.start()
        writers = [asyncio.create_task(self._write(f"writer {number}")) for number in (1, 2)]
        others = [asyncio.create_task(run()) for run in (self._pass_time, self._replay_at_times)]
        try:
            while not all(writer.done() for writer in writers):
                await self._interleaver.let_on()
                if self._interleaver.dice.random() < 0.005:
                    crashed = self._interleaver.dice.choice(self._deliverers)
                    self._interleaver.trace.append((crashed.name, "crash"))
                    await crashed.crash()
                    crashed.start()
            await asyncio.gather(*writers)
            for endpoint in self._endpoints:
                endpoint.sender.fails = 0.0
            wrong = await self._drain()
            await self._replay()
            wrong += await self._drain()
            assert not any(task.done() for task in others), others
        finally:
            for task in (*others, *writers):
                task.cancel()
            await asyncio.gather(*others, *writers, return_exceptions=True)
            for one in self._deliverers:
                await one.crash()
        return wrong + await self._check()

    async def _drain(self) -> list[str]:
        """Deliver until nothing is left."""
        for _ in range(300):
            for one in self._deliverers:
                one.stir()
            for _ in range(20):
                await self._interleaver.let_on()
            waits = [await self._outbox.backlog(one.name) for one in self._endpoints]
            if not any(one.events or one.streams for one in waits):
                return []
        return [f"nothing moves on: {waits}"]

    async def _pass_time(self) -> None:
        """Leases and delays end, also those of deliveries that are under way, as if their node had been paused."""
        self._interleaver.act_as("clock")
        skip_locked = "FOR UPDATE SKIP LOCKED" if self._node.database.postgres is not None else ""
        sql = PASS_TIME.format(skip_locked=skip_locked)
        while True:
            await self._interleaver.step("wait")
            if self._interleaver.dice.random() < 0.3:
                await self._node.database.write(sql, *(one.name for one in self._endpoints))

    async def _replay_at_times(self) -> None:
        """The operator replays dead letters."""
        self._interleaver.act_as("operator")
        while True:
            await self._interleaver.step("wait")
            if self._interleaver.dice.random() < 0.3:
                await self._replay()

    async def _replay(self) -> None:
        for endpoint in self._endpoints:
            if endpoint.give_up_s is not None:
                letters = await self._outbox.dead_letters(endpoint.name, 0, 1000)
                await self._outbox.replay([letter.id for letter in letters])

    async def _write(self, actor: str) -> None:
        self._interleaver.act_as(actor)
        lease = await self._present.take_lease()
        messages: list[ChatEvent] = []
        for _ in range(CHANGES):
            with suppress(NotAllowed, UnknownUser, InvalidMembers):
                await self._change(lease, messages)
            for one in self._deliverers:
                one.stir()

    async def _change(self, lease: int, messages: list[ChatEvent]) -> None:
        dice, owner = self._interleaver.dice, self._people[0]
        chat_id, other, text = dice.choice(self._chat_ids), dice.choice(self._people[1:]), next(self._names)
        kinds = ["message"] * 5 + ["member"] * 4 + ["title", "role", "present", "absent"]
        if messages:
            kinds += ["edit", "reaction", "deletion"]
        if self._node.database.postgres is not None:
            kinds += ["slow"] * 2
        match dice.choice(kinds):
            case "message":
                messages += await self._say(message(chat_id, owner, text, text))
            case "edit":
                await self._say(edit(dice.choice(messages), text))
            case "reaction":
                await self._say(reaction(dice.choice(messages), owner, removed=dice.random() < 0.3))
            case "deletion":
                await self._say(deletion(messages.pop(dice.randrange(len(messages)))))
            case "member":
                try:
                    await self._chats.remove_member(chat_id, owner.id, other.id)
                except UnknownUser:
                    await self._chats.add_member(chat_id, owner.id, NewMember(user_id=other.id))
            case "title":
                await self._details.change(chat_id, owner.id, {"title": text})
            case "role":
                await self._roles.change(chat_id, owner.id, other.id, dice.choice([Role.MEMBER, Role.READER]), None)
            case "present":
                await self._present.enter(lease, [person.id for person in dice.sample(self._people, 2)])
            case "absent":
                await self._present.leave(lease, {person.id: 1 for person in dice.sample(self._people, 2)})
            case _:
                await self._commit_slowly(chat_id, owner, text)

    async def _say(self, event: NewEvent) -> list[ChatEvent]:
        async with self._interleaver.running(f"say {event.kind}"):
            outcome = await asyncio.wait_for(self._node.submit(event), 20)
        return [outcome.event] if isinstance(outcome, Committed) else []

    async def _commit_slowly(self, chat_id: int, sender: Person, text: str) -> None:
        """A commit that becomes visible late, after others with higher ids."""
        async with self._node.database.transaction() as client:
            await client.execute_query(SLOW_COMMIT, [chat_id, sender.id, text])
            await self._interleaver.paused("commit")

    async def _check(self) -> list[str]:
        """Each endpoint has got what it wants of each stream, for the first time in the order of the commits."""
        wrong = []
        for endpoint in self._endpoints:
            arrived = _arrivals(endpoint.seen)
            for stream in (*self._chat_ids, *(-person.id for person in self._people)):
                expected = [one for one in await self._expected(stream) if one.type in endpoint.types]
                actual = [one for one in arrived if one.stream == stream]
                if endpoint.give_up_s is None and endpoint.buried:
                    wrong.append(f"{endpoint.name} gave up")
                if endpoint.give_up_s is not None:
                    actual.sort()
                if [_nameless(one) for one in actual] != [_nameless(one) for one in expected]:
                    wrong += [
                        f"{endpoint.name}, stream {stream}",
                        f"  expected {_told(expected)}",
                        f"  actual   {_told(actual)}",
                    ]
        return wrong

    async def _expected(self, stream: int) -> list[Arrival]:
        database = self._node.database
        logged = await database.fetch("SELECT seq, kind, reaction FROM chat_log WHERE chat_id = $1", max(0, stream))
        extras = await database.fetch(
            "SELECT id, after_seq, type, data FROM outbox_events WHERE endpoint = $1 AND stream = $2",
            self._shadow,
            stream,
        )
        return sorted(
            [
                *(Arrival(stream, row["seq"], 0, _type_of(row), "") for row in logged),
                *(Arrival(stream, row["after_seq"], row["id"], row["type"], row["data"]) for row in extras),
            ]
        )


def _type_of(row: dict[str, Any]) -> str:
    types = TYPES_OF_KINDS[row["kind"]]
    return types[0] if row["kind"] != EventKind.REACTION else types[row["reaction"].startswith("-")]


def _nameless(one: Arrival) -> tuple[int, bool, str, str]:
    """Without the number, which is another one for each endpoint."""
    return one.seq, one.number > 0, one.type, one.data


def _told(arrivals: Sequence[Arrival]) -> str:
    return ", ".join(f"{one.seq} {one.type}" for one in arrivals)


def _arrivals(seen: Sequence[dict[str, Any]]) -> list[Arrival]:
    """Each event when it arrived for the first time."""
    first: dict[str, Arrival] = {}
    for event in seen:
        _, where, place = event["id"].split(":")
        seq, _, number = place.partition(".")
        stream = -int(where.removeprefix("user-")) if where.startswith("user-") else int(where)
        data = json.dumps(event["data"], separators=(",", ":")) if number else ""
        first.setdefault(event["id"], Arrival(stream, int(seq), int(number or 0), event["type"], data))
    return list(first.values())


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Node, list[Database]]]:
    """A node that writes, and the databases of two that deliver."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(open_database(url)) for _ in range(3)]
        log = await stack.enter_async_context(open_chat_log(databases[0]))
        yield node_over(databases[0], log), databases[1:]
