"""What is removed while webhooks are delivered: old events, chats, users, and what waits for an endpoint."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from time import time
from typing import Final

from gateway.node.upkeep.erasures import ErasureJob
from storage.database.database import Database
from storage.errors import NoSuchChat
from storage.log.event_rows import moment_of
from storage.outbox.queue import Outbox
from storage.outbox_records import Wanted
from storage.profile_records import Messages
from storage.repositories.chat_setup.removals import ChatRemovals
from storage.repositories.upkeep.erasure_work import SETTLE_S, ErasureWork
from storage.repositories.upkeep.retention import ChatRetention
from storage.repositories.users.erasures import Erasures
from tests.gateway.webhooks.interleaver import Interleaver
from tests.gateway.webhooks.outbox_nodes import Deliverer, Endpoint
from tests.gateway.webhooks.outbox_promise import Drop, Promise

_days = count(1)
"""Each pass of retention is a day after the one before, which is then long over."""
_MOMENTS: Final = "SELECT created_at FROM chat_log WHERE chat_id {among} ORDER BY id"
_KEEP: Final = "UPDATE chats SET retention_days = $2 WHERE id {among}"


class Removals:
    """What removes, over the database of a node of its own. `run` deletes the rows of removed chats."""

    def __init__(
        self,
        interleaver: Interleaver,
        database: Database,
        wanted: Wanted,
        promise: Promise,
        dropped: Endpoint,
        deliverers: Sequence[Deliverer],
    ) -> None:
        self._interleaver = interleaver
        self._database = database
        self._promise = promise
        self._dropped = dropped
        self._deliverers = deliverers
        self._outbox = Outbox(database, Wanted({dropped.name: dropped.types}))
        self._chats = ChatRemovals(database, wanted, node_id="upkeep")
        self._erasures = Erasures(database)
        self._work = ErasureWork(database, "eraser", lambda: time() + SETTLE_S + 1, wanted)

    async def run(self) -> None:
        """Delete the rows of removed chats, until cancelled."""
        self._interleaver.act_as("upkeep")
        await self._chats.run()

    async def truncate(self, chat_ids: Sequence[int]) -> None:
        """Retention takes away what is older than a random event of these chats."""
        database, ids = self._database, self._database.ids(chat_ids)
        moments = await database.fetch(_MOMENTS.format(among=database.among("$1")), ids)
        if not moments:
            return
        horizon = moment_of(self._interleaver.dice.choice(moments)["created_at"])
        days = next(_days)
        now = (horizon + timedelta(days=days)).timestamp()
        keep = _KEEP.format(among=database.among("$1"))
        await database.write(keep, ids, days)
        await ChatRetention(database, "retention", 0, now=lambda: now).work()
        await database.write(keep, ids, None)

    async def remove_chat(self, chat_id: int) -> None:
        """Remove the chat for everybody."""
        with suppress(NoSuchChat):
            await self._chats.remove(chat_id, None)

    async def erase(self, user_id: int) -> None:
        """Erase a user, sometimes with all messages."""
        erased = await self._erasures.request(user_id, self._interleaver.dice.choice(list(Messages)))
        assert erased is not None
        await ErasureJob(self._work, lambda *_: None, pause_s=0).work()

    async def drop(self) -> None:
        """The operator drops an endpoint, and sets it up again; some nodes may not have heard of it meanwhile."""
        endpoint = self._dropped
        is_stopped = self._interleaver.dice.random() < 0.7
        if is_stopped:
            endpoint.is_set_up = False
            for deliverer in self._deliverers:
                await deliverer.stop(endpoint)
        before, seen = await self._promise.standing(), len(endpoint.seen)
        while not (await self._outbox.drop(endpoint.name)).is_all:
            pass
        await self._outbox.begin()
        endpoint.drop = Drop(seen, before, await self._promise.standing(), is_stopped)
        endpoint.is_set_up = True
        for deliverer in self._deliverers:
            deliverer.start()
