"""Deliveries over HTTP from a real database: order, isolation of chats, retries, dead letters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.config.webhooks import Webhook
from gateway.metrics import Registry
from gateway.metrics.webhooks import WebhookMetrics
from gateway.tasks import Tasks
from gateway.webhooks import delivery
from gateway.webhooks.outlet import Outlet
from storage.database.database import Database, open_database
from storage.log.chat_log import open_chat_log
from storage.log.event_ranges import EventRanges
from storage.outbox import queue
from storage.outbox.notes import OutboxNotes
from storage.outbox.positions import OutboxPositions
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Head, Wanted
from storage.repositories.chat_setup.removals import ChatRemovals
from storage.repositories.upkeep.retention import ChatRetention
from tests.storage.aged import make_old
from tests.storage.nodes import Node, deletion, edit, message, node_over, outcomes
from tests.support.migrated import make_store
from tests.support.receiver import SECRET, Receiver, run_receiver

WANTED = Wanted({"one": frozenset(EventType)})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with run_receiver() as receiver:
        yield receiver


@asynccontextmanager
async def open_sending(
    url: str, *webhooks: Webhook, outbox_of: Callable[[Database, Wanted], Outbox] = Outbox
) -> AsyncIterator[tuple[Node, Outbox, Registry]]:
    """A node that delivers what it commits."""
    registry = Registry()
    async with open_database(url) as database, AsyncExitStack() as stack:
        outbox = outbox_of(database, Wanted({one.name: frozenset(one.events) for one in webhooks}))
        await outbox.begin()
        outlet = Outlet(outbox, EventRanges(database), WebhookMetrics(registry))
        await outlet.add_webhooks(stack, webhooks, allows_private=True)
        log = await stack.enter_async_context(open_chat_log(database, lambda size, seconds: outlet.stir()))
        tasks = Tasks()
        outlet.start(tasks)
        stack.push_async_callback(tasks.close)
        yield node_over(database, log), outbox, registry


def hook(receiver: Receiver, name: str = "one", **more: Any) -> Webhook:
    return Webhook(receiver.url, SECRET, name, **more)


async def test_events_of_messages_are_delivered_in_order(database_url: str, receiver: Receiver) -> None:
    await make_store(database_url)
    async with open_sending(database_url, hook(receiver)) as (node, _, _):
        ann = await node.accounts.create("ann", "hash", "Ann", "Smith")
        chat = await node.group(ann)
        first = await node.say(message(chat, ann, "hello", "m1"))
        await receiver.count(1)
        await node.say(edit(first, "better"))
        await receiver.count(2)
        await node.say(deletion(first))
        created, edited, deleted = await receiver.count(3)
    epoch = created["id"].partition(":")[0]
    assert [event["id"] for event in receiver.events] == [f"{epoch}:{chat}:{seq}" for seq in (1, 2, 3)]
    assert [event["type"] for event in receiver.events] == ["message.created", "message.edited", "message.deleted"]
    assert (created["chat_id"], created["seq"]) == (chat, 1)
    data = created["data"]
    assert (data["id"], data["text"], data["client_msg_id"]) == (first.message_id, "hello", "m1")
    assert data["sender"]["username"] == "ann"
    assert (edited["data"]["text"], edited["data"]["is_edited"]) == ("better", True)
    assert (deleted["data"]["text"], deleted["data"]["is_deleted"]) == ("", True)
    assert receiver.unsigned == 0


async def test_events_of_many_chats_share_deliveries(database_url: str, receiver: Receiver) -> None:
    await make_store(database_url)
    async with open_sending(database_url, hook(receiver)) as (node, outbox, _):
        ann = await node.person("ann")
        chats = [await node.group(ann) for _ in range(10)]
        await outcomes([node.submit(message(chat, ann)) for _ in range(50) for chat in chats])
        await receiver.count(500)
        assert receiver.seqs() == {chat: list(range(1, 51)) for chat in chats}
        assert max(map(len, receiver.deliveries)) <= 100
        assert len(receiver.deliveries) < 100
        async with asyncio.timeout(5):
            while (await outbox.backlog("one")).streams:
                await asyncio.sleep(0.05)


class SlowOutbox(Outbox):
    """Waits before it records the first delivery."""

    def __init__(self, database: Database, wanted: Wanted) -> None:
        super().__init__(database, wanted)
        self.may_finish = asyncio.Event()
        self.finished: list[int] = []
        """The number of chats in each record."""
        self.calls: list[str] = []
        """What was asked for deliveries that have not failed."""

    async def is_due(self, endpoint: str, *, late: bool) -> bool:
        if not late:
            self.calls.append("is_due")
        return await super().is_due(endpoint, late=late)

    async def claim(self, endpoint: str, limit: int, *, late: bool) -> list[Head]:
        if not late:
            self.calls.append("claim")
        return await super().claim(endpoint, limit, late=late)

    async def finish(self, delivered: Sequence[tuple[Head, int, bool]], extra_ids: Sequence[int]) -> None:
        self.finished.append(len(delivered))
        await self.may_finish.wait()
        await super().finish(delivered, extra_ids)


async def test_deliveries_wait_for_no_record_and_share_the_next(sqlite_url: str, receiver: Receiver) -> None:
    await make_store(sqlite_url)
    async with open_sending(sqlite_url) as (node, _, _):  # nobody sends yet, so that all is claimed at once
        ann = await node.person("ann")
        chats = [await node.group(ann) for _ in range(7)]
        await Outbox(node.database, WANTED).begin()
        await outcomes([node.submit(message(chat, ann)) for _ in range(100) for chat in chats])
        await make_old(node.database, chats[0], 1)
    async with open_sending(sqlite_url, hook(receiver), outbox_of=SlowOutbox) as (_, outbox, _):
        assert isinstance(outbox, SlowOutbox)
        await receiver.count(700)
        outbox.may_finish.set()
        async with asyncio.timeout(20):
            while (await outbox.backlog("one")).streams:
                await asyncio.sleep(0.05)
    assert len(receiver.deliveries) == 7
    assert outbox.finished == [1, 6]


async def test_commits_during_a_full_round_wait_for_the_pause(
    sqlite_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "HEADS", 1)
    monkeypatch.setattr(delivery, "BUSY_EVENTS", 1)
    monkeypatch.setattr(delivery, "BUSY_PAUSE_S", 3600.0)
    monkeypatch.setattr(queue, "LEFT_S", 3600.0)
    await make_store(sqlite_url)
    async with open_sending(sqlite_url, hook(receiver), outbox_of=SlowOutbox) as (node, outbox, _):
        assert isinstance(outbox, SlowOutbox)
        ann = await node.person("ann")
        chat = await node.group(ann)
        await node.say(message(chat, ann))
        await receiver.count(1)
        await node.say(message(chat, ann))
        outbox.calls.clear()
        outbox.may_finish.set()
        async with asyncio.timeout(30):
            while not outbox.calls:
                await asyncio.sleep(0.05)
        assert outbox.calls == ["is_due"]
    assert receiver.seqs() == {chat: [1]}


async def test_chat_longer_than_a_delivery_keeps_its_order(
    sqlite_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BUSY_PAUSE_S", 3600.0)  # there is no pause before the rest of a chat
    await make_store(sqlite_url)
    receiver.answer = lambda events: 500
    async with open_sending(sqlite_url, hook(receiver)) as (node, _, _):
        ann = await node.person("ann")
        chat = await node.group(ann)
        await outcomes([node.submit(message(chat, ann)) for _ in range(250)])
        receiver.answer = lambda events: 204
        await receiver.count(250)
    assert receiver.seqs() == {chat: list(range(1, 251))}


@pytest.mark.parametrize(
    ("types", "seqs"),
    [
        (frozenset(EventType), [0, 0, 1, 1]),
        (frozenset({EventType.CHAT_CHANGED, EventType.REACTION_ADDED}), [0, 0, 1]),
    ],
    ids=["all types", "no messages"],
)
async def test_what_commits_during_a_claim_keeps_its_order(
    database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, types: frozenset[EventType], seqs: list[int]
) -> None:
    """A claim leases the rows of chats first, and reads the log after that."""
    await make_store(database_url)
    async with open_sending(database_url) as (node, _, _):
        wanted = Wanted({"one": types})
        await Outbox(node.database, wanted).begin()
        notes = OutboxNotes(node.database, wanted)
        ann = await node.person("ann")
        chat = await node.group(ann)

        async def change(after_seq: int) -> None:
            async with node.database.transaction() as client:
                await notes.add(client, EventType.CHAT_CHANGED, chat, after_seq, b"{}")

        async def commit() -> None:
            await change(0)
            await node.say(message(chat, ann))
            await change(1)

        during, fold = [commit], OutboxPositions.fold

        async def fold_after(self: OutboxPositions, *values: Any) -> list[Head]:
            if during:
                await during.pop()()
            return await fold(self, *values)

        monkeypatch.setattr(OutboxPositions, "fold", fold_after)
        await change(0)
        async with open_sending(database_url, hook(receiver, events=sorted(types))) as (_, outbox, _):
            events = await receiver.count(len(seqs))
            async with asyncio.timeout(20):
                while (await outbox.backlog("one")).streams:
                    await asyncio.sleep(0.05)
    assert [event["seq"] for event in events] == seqs


async def test_failing_chat_holds_up_no_other(database_url: str, receiver: Receiver) -> None:
    await make_store(database_url)
    async with open_sending(database_url, hook(receiver)) as (node, _, registry):
        ann = await node.person("ann")
        bad, *good = [await node.group(ann) for _ in range(4)]
        receiver.answer = lambda events: 500 if any(event["chat_id"] == bad for event in events) else 204
        await outcomes([node.submit(message(chat, ann)) for _ in range(5) for chat in (bad, *good)])
        await receiver.count(15)
        assert receiver.seqs() == {chat: [1, 2, 3, 4, 5] for chat in good}
        receiver.answer = lambda events: 204
        await receiver.count(20)
        assert receiver.seqs()[bad] == [1, 2, 3, 4, 5]
    failures = registry.get_sample_value("chat_gateway_webhook_failures_total", {"endpoint": "one", "reason": "5xx"})
    assert failures is not None
    assert failures >= 1


async def test_failing_endpoint_holds_up_no_other(database_url: str, receiver: Receiver) -> None:
    await make_store(database_url)
    async with run_receiver() as other:
        other.answer = lambda events: 503
        async with open_sending(database_url, hook(receiver), hook(other, "two")) as (node, outbox, _):
            ann = await node.person("ann")
            chat = await node.group(ann)
            await outcomes([node.submit(message(chat, ann)) for _ in range(5)])
            await receiver.count(5)
            assert (await outbox.backlog("two")).events == 5
            other.answer = lambda events: 204
            await other.count(5)
    assert other.seqs() == {chat: [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("status", [301, 302, 307, 400, 500])
async def test_only_success_moves_a_delivery_on(sqlite_url: str, receiver: Receiver, status: int) -> None:
    await make_store(sqlite_url)
    answers = iter([status, status])
    receiver.answer = lambda events: next(answers, 204)
    async with open_sending(sqlite_url, hook(receiver)) as (node, _, _):
        ann = await node.person("ann")
        await node.say(message(await node.group(ann), ann))
        await receiver.count(1)
    assert len(receiver.seen) == 3
    assert receiver.seen[0] == receiver.seen[2]


@pytest.mark.parametrize("limit", ["webhook.TIMEOUT_S", "delivery.SEND_S"])
async def test_slow_endpoint_fails_after_five_seconds(
    sqlite_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    await make_store(sqlite_url)
    monkeypatch.setattr(f"gateway.webhooks.{limit}", 0.3)
    answers = iter([2.0])
    receiver.answer = lambda events: next(answers, 204)
    async with open_sending(sqlite_url, hook(receiver)) as (node, _, registry):
        ann = await node.person("ann")
        await node.say(message(await node.group(ann), ann))
        await receiver.count(1)
        labels = {"endpoint": "one", "reason": "timeout"}
        assert registry.get_sample_value("chat_gateway_webhook_failures_total", labels) == 1


async def test_endpoint_gets_only_its_types(sqlite_url: str, receiver: Receiver) -> None:
    await make_store(sqlite_url)
    async with open_sending(sqlite_url, hook(receiver, events=[EventType.MESSAGE_DELETED])) as (node, _, _):
        ann = await node.person("ann")
        first = await node.say(message(await node.group(ann), ann))
        await node.say(edit(first, "better"))
        await node.say(deletion(first))
        (event,) = await receiver.count(1)
    assert (event["type"], event["seq"]) == ("message.deleted", 3)


async def test_given_up_events_are_replayed(database_url: str, receiver: Receiver) -> None:
    await make_store(database_url)
    receiver.answer = lambda events: 410
    async with open_sending(database_url, hook(receiver, give_up_h=0.2 / 3600)) as (node, outbox, _):
        ann = await node.person("ann")
        chat = await node.group(ann)
        await outcomes([node.submit(message(chat, ann)) for _ in range(3)])
        async with asyncio.timeout(20):
            while len(await outbox.dead_letters("one", 0, 10)) < 3:
                await asyncio.sleep(0.05)
        receiver.answer = lambda events: 204
        await node.say(message(chat, ann))
        await receiver.count(1)
        await outbox.replay([letter.id for letter in await outbox.dead_letters("one", 0, 10)])
        await receiver.count(4)
    assert receiver.seqs() == {chat: [4, 1, 2, 3]}


class ReplayingOutbox(Outbox):
    """An operator replays dead letters as soon as there are any."""

    async def bury(
        self, endpoint: str, head: Head, logged: Sequence[tuple[int, str]], extra_ids: Sequence[int], error: str
    ) -> None:
        await super().bury(endpoint, head, logged, extra_ids, error)
        await self.replay([letter.id for letter in await self.dead_letters(endpoint, 0, 10)])


async def test_letter_replayed_at_once_is_not_lost(sqlite_url: str, receiver: Receiver) -> None:
    """The replay comes before the record that the events were given up."""
    await make_store(sqlite_url)
    receiver.answer = lambda events: 410
    one = hook(receiver, give_up_h=0.1 / 3600)
    async with open_sending(sqlite_url, one, outbox_of=ReplayingOutbox) as (node, _, registry):
        notes, chat = OutboxNotes(node.database, WANTED), await node.group(await node.person("ann"))
        async with node.database.transaction() as client:
            await notes.add(client, EventType.CHAT_CHANGED, chat, 0, b"{}")
        async with asyncio.timeout(20):
            while not registry.get_sample_value("chat_gateway_webhook_events_given_up_total", {"endpoint": "one"}):
                await asyncio.sleep(0.05)
        receiver.answer = lambda events: 204
        await receiver.count(1)


async def test_claims_of_a_dead_node_are_delivered(
    database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_store(database_url)
    async with open_sending(database_url) as (dying, _, _):
        outbox = Outbox(dying.database, WANTED)
        await outbox.begin()
        ann = await dying.person("ann")
        chat = await dying.group(ann)
        await outcomes([dying.submit(message(chat, ann)) for _ in range(3)])
        assert len(await outbox.claim("one", 10, late=False)) == 1  # and it is killed
        async with open_sending(database_url, hook(receiver)) as (other, _, _):
            await asyncio.sleep(delivery.POLL_S * 2)
            assert receiver.seen == []
            await other.database.write("UPDATE outbox SET due_at = due_at - 31000 RETURNING id")
            await receiver.count(3)
    assert receiver.seqs() == {chat: [1, 2, 3]}


async def test_events_removed_before_delivery_are_counted(database_url: str, receiver: Receiver) -> None:
    await make_store(database_url)
    receiver.answer = lambda events: 500
    async with open_sending(database_url, hook(receiver)) as (node, outbox, registry):
        database = node.database
        ann = await node.person("ann")
        aged, removed = await node.group(ann), await node.group(ann)
        await outcomes([node.submit(message(chat, ann)) for _ in range(5) for chat in (aged, removed)])
        async with asyncio.timeout(30):
            while (await outbox.backlog("one")).streams < 2:
                await asyncio.sleep(0.05)
        await make_old(database, aged, 3)
        await ChatRetention(database, "node", 5).work()
        await ChatRemovals(database, WANTED).remove(removed, ann.id)
        await database.write("DELETE FROM chat_log WHERE chat_id = $1", removed)  # as its owner task does
        receiver.answer = lambda events: 204
        events = await receiver.count(3)

        def lost() -> float | None:
            return registry.get_sample_value("chat_gateway_webhook_events_lost_total", {"endpoint": "one"})

        async with asyncio.timeout(30):
            while lost() != 3 + 5:
                await asyncio.sleep(0.05)
    assert {chat: [e["type"] for e in events if e["chat_id"] == chat] for chat in (aged, removed)} == {
        aged: ["message.created"] * 2,
        removed: ["chat.removed"],
    }
    assert receiver.seqs()[aged] == [4, 5]
