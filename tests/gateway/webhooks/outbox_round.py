"""One random round of changes to chats, of nodes that deliver them and die, and a check of what arrived."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from typing import Final

from storage.database.database import Database, open_database
from storage.errors import InvalidMembers, NoSuchChat, NotAllowed, UnknownUser
from storage.log.chat_log import open_chat_log
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Wanted
from storage.records import ChatEvent, ChatKind, Committed, NewEvent, NewMember, Person, Role
from storage.repositories.chat_setup.details import ChatDetailsRepository
from storage.repositories.chat_setup.roles import StoredRoles
from storage.repositories.chats import Chats
from storage.repositories.users.present_users import PresentUsers
from tests.gateway.webhooks.interleaver import Interleaver
from tests.gateway.webhooks.outbox_nodes import Deliverer, Endpoint
from tests.gateway.webhooks.outbox_promise import Promise
from tests.gateway.webhooks.removals import Removals
from tests.storage.nodes import Node, deletion, edit, message, node_over, reaction

CHANGES: Final = 12
"""Of each writer."""
SLOW_COMMIT: Final = """
    SELECT c.* FROM (
        SELECT array_agg($1::bigint) AS chats, array_agg($2::bigint) AS senders, array_agg($3::text || n) AS ids,
            array_agg('message'::text) AS kinds, array_agg(NULL::bigint) AS targets, array_agg(''::bytea) AS digests,
            array_agg('slow'::text) AS texts
        FROM generate_series(1, $4::int) AS n
    ) AS a CROSS JOIN LATERAL chat_log_commit(chats, senders, ids, kinds, targets, digests, texts, true) AS c"""
PASS_TIME: Final = """
    UPDATE outbox SET due_at = 1 WHERE id IN (
        SELECT id FROM outbox WHERE due_at > 0 AND endpoint IN ({endpoints}) {skip_locked}) RETURNING id"""


class Round:
    """Writers and deliverers take turns as the seed decides."""

    def __init__(
        self, interleaver: Interleaver, name: str, node: Node, databases: Sequence[Database], *, removes: bool = False
    ) -> None:
        """`node` writes, and `databases` are those of the deliverers; `name` is no other round's.

        `removes`: events, members, chats, users and an endpoint are removed meanwhile.
        """
        self._interleaver = interleaver
        self._node = node
        dice = interleaver.dice
        some = frozenset(dice.sample(list(EventType), 5))
        self._endpoints = [
            Endpoint(interleaver, f"all-{name}", frozenset(EventType), None),
            Endpoint(interleaver, f"some-{name}", some, dice.choice([None, 0.0])),
        ]
        if removes:
            dropped = Endpoint(interleaver, f"gone-{name}", frozenset(EventType), dice.choice([None, 0.0]))
            self._endpoints.append(dropped)
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
            Deliverer(interleaver, f"node {number}", one, self._endpoints)
            for number, one in enumerate(databases, start=1)
        ]
        self._names = (f"{name}-{number}" for number in count(1))
        self._people: list[Person] = []
        self._chat_ids: list[int] = []
        self._all_people: list[Person] = []
        self._all_chat_ids: list[int] = []
        """With those that were removed."""
        self._promise = Promise(database, self._shadow)
        self._removals: Removals | None = None
        if removes:
            self._removals = Removals(interleaver, databases[0], wanted, self._promise, dropped, self._deliverers)

    async def run(self) -> list[str]:
        """What was wrong."""
        await self._outbox.begin()
        for _ in range(3):
            await self._add_person()
        for _ in range(2):
            await self._add_chat()
        for one in self._deliverers:
            one.start()
        writers = [asyncio.create_task(self._write(f"writer {number}")) for number in (1, 2)]
        others = [asyncio.create_task(run()) for run in (self._pass_time, self._replay_at_times)]
        if self._removals is not None:
            writers += [asyncio.create_task(run()) for run in self._removers(self._removals)]
            others.append(asyncio.create_task(self._removals.run()))
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

    async def _add_person(self) -> None:
        self._people.append(person := await self._node.person(next(self._names)))
        self._all_people.append(person)

    async def _add_chat(self) -> None:
        """A chat of the first person, with the second one."""
        first, second = self._people[:2]
        chat, _ = await self._chats.create_chat(first.id, ChatKind.GROUP, "", [NewMember(user_id=second.id)])
        self._chat_ids.append(chat.id)
        self._all_chat_ids.append(chat.id)

    def _removers(self, removals: Removals) -> list[Callable[[], Awaitable[None]]]:
        dice = self._interleaver.dice

        async def truncate() -> None:
            await removals.truncate(self._all_chat_ids)

        async def remove_chat() -> None:
            await removals.remove_chat(chat_id := dice.choice(self._chat_ids))
            with suppress(UnknownUser):  # erased meanwhile
                await self._add_chat()
                self._chat_ids.remove(chat_id)

        async def erase() -> None:
            victim = dice.choice(self._people)
            await self._add_person()
            self._people.remove(victim)
            await removals.erase(victim.id)

        def repeated(actor: str, remove: Callable[[], Awaitable[None]], times: int) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                self._interleaver.act_as(actor)
                for _ in range(times):
                    for _ in range(dice.randrange(30)):
                        await self._interleaver.step("wait")
                    await remove()

            return run

        return [
            repeated("retention", truncate, 3),
            repeated("remover", remove_chat, 1),
            repeated("eraser", erase, 1),
            repeated("dropper", removals.drop, 1),
        ]

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
        places = ", ".join(f"${place}" for place, _ in enumerate(self._endpoints, start=1))
        sql = PASS_TIME.format(endpoints=places, skip_locked=skip_locked)
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
            with suppress(NoSuchChat, NotAllowed, UnknownUser, InvalidMembers):
                await self._change(lease, messages)
            for one in self._deliverers:
                one.stir()

    async def _change(self, lease: int, messages: list[ChatEvent]) -> None:
        dice, owner = self._interleaver.dice, self._people[0]
        chat_id, other, text = dice.choice(self._chat_ids), dice.choice(self._people[1:]), next(self._names)
        by: int | None = owner.id
        if self._removals is not None:  # anyone may go, the owner too
            by, other = None, dice.choice(self._people)
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
                    await self._chats.remove_member(chat_id, by, other.id)
                except UnknownUser:
                    await self._chats.add_member(chat_id, by, NewMember(user_id=other.id))
            case "title":
                await self._details.change(chat_id, by, {"title": text})
            case "role":
                await self._roles.change(chat_id, by, other.id, dice.choice([Role.MEMBER, Role.READER]), None)
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
            events = 1 if self._removals is None else self._interleaver.dice.choice([1, 2, 12])
            await client.execute_query(SLOW_COMMIT, [chat_id, sender.id, text, events])
            await self._interleaver.paused("commit")

    async def _check(self) -> list[str]:
        """Each endpoint has got what it wants of each stream, for the first time in the order of the commits."""
        wrong = []
        streams = [*self._all_chat_ids, *(-person.id for person in self._all_people)]
        for endpoint in self._endpoints:
            for stream in streams:
                breaches = await self._promise.breaches(
                    stream,
                    endpoint.seen,
                    endpoint.types,
                    is_ordered=endpoint.give_up_s is None,
                    drop=endpoint.drop,
                )
                wrong += [f"{endpoint.name}, stream {stream}", *breaches] if breaches else []
            if endpoint.give_up_s is None and endpoint.buried:
                wrong.append(f"{endpoint.name} gave up")
            if endpoint.counts.events_lost and self._removals is None:
                wrong.append(f"{endpoint.name} counts {endpoint.counts.events_lost} lost events")
        for chat_id in self._all_chat_ids:
            wrong += await self._promise.members_differ(chat_id)
        return wrong


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Node, list[Database]]]:
    """A node that writes, and the databases of two that deliver."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(open_database(url)) for _ in range(3)]
        log = await stack.enter_async_context(open_chat_log(databases[0]))
        yield node_over(databases[0], log), databases[1:]
