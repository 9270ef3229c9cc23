"""The storage of a node, with users and chats for the tests."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from storage.database.database import Database, open_database
from storage.log.chat_log import StoredChatLog, open_chat_log
from storage.reaction_records import reaction_text
from storage.records import Chat, ChatEvent, ChatKind, Committed, EventKind, NewEvent, NewMember, Outcome, Person
from storage.repositories.auth.accounts import Accounts
from storage.repositories.chat_lists import StoredChatLists
from storage.repositories.chats import Chats

_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Node:
    """What one gateway process opens."""

    database: Database
    log: StoredChatLog
    chats: Chats
    lists: StoredChatLists
    accounts: Accounts
    batches: list[int]

    def count_statements(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The statements that are read from now on, as they come."""
        statements: list[str] = []
        fetch = self.database.fetch

        async def counted(sql: str, *values: object) -> list[dict[str, object]]:
            statements.append(sql)
            return await fetch(sql, *values)

        monkeypatch.setattr(self.database, "fetch", counted)
        return statements

    async def person(self, login: str) -> Person:
        """A new account."""
        return await self.accounts.create(login, "hash")

    async def group(self, creator: Person, *others: Person, kind: ChatKind = ChatKind.GROUP) -> int:
        """A new chat's id."""
        chat, _ = await self.chats.create_chat(creator.id, kind, "", [NewMember(user_id=o.id) for o in others])
        return chat.id

    def submit(self, event: NewEvent) -> "asyncio.Future[Outcome]":
        """Submit; the future gets the outcome, which must come once."""
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.log.submit(event, answered.set_result)
        return answered

    async def say(self, event: NewEvent) -> ChatEvent:
        """Commit an event that must be new."""
        outcome = await asyncio.wait_for(self.submit(event), 20)
        assert isinstance(outcome, Committed), outcome
        assert not outcome.duplicate
        return outcome.event

    async def chats_of(self, user_id: int) -> list[Chat]:
        """The user's chats, the oldest first."""
        return list(reversed((await self.chats.chat_page(user_id, None, 1_000)).items))

    async def history(self, chat_id: int) -> list[ChatEvent]:
        """The whole log of a chat."""
        return await self.log.events_after(chat_id, 0, 100_000)


def node_over(database: Database, log: StoredChatLog, batches: list[int] | None = None) -> Node:
    """A node over an open database and log."""
    return Node(
        database,
        log,
        Chats(database),
        StoredChatLists(database),
        Accounts(database),
        [] if batches is None else batches,
    )


@asynccontextmanager
async def open_node(url: str) -> AsyncIterator[Node]:
    """A node on the migrated database at `url`."""
    batches: list[int] = []
    async with (
        open_database(url) as database,
        open_chat_log(database, on_batch=lambda size, _seconds: batches.append(size)) as log,
    ):
        yield node_over(database, log, batches)


def message(chat_id: int, sender: Person, text: str = "hello", client_msg_id: str | None = None) -> NewEvent:
    """A message with an id of its own unless one is given."""
    return NewEvent(chat_id, sender, client_msg_id or f"m{next(_ids)}", EventKind.MESSAGE, text)


def edit(target: ChatEvent, text: str, sender: Person | None = None, client_msg_id: str | None = None) -> NewEvent:
    """An edit by the message's author unless another is given."""
    who = sender or target.sender
    return NewEvent(target.chat_id, who, client_msg_id or f"e{next(_ids)}", EventKind.EDIT, text, target.message_id)


def deletion(target: ChatEvent, sender: Person | None = None, client_msg_id: str | None = None) -> NewEvent:
    """A deletion by the message's author unless another is given."""
    who = sender or target.sender
    return NewEvent(target.chat_id, who, client_msg_id or f"d{next(_ids)}", EventKind.DELETE, "", target.message_id)


def reaction(
    target: ChatEvent, sender: Person, key: str = "👍", *, removed: bool = False, client_msg_id: str | None = None
) -> NewEvent:
    """A reaction to a message, or the removal of one."""
    text = reaction_text(key, removed=removed)
    return NewEvent(
        target.chat_id, sender, client_msg_id or f"r{next(_ids)}", EventKind.REACTION, text, target.message_id
    )


async def outcomes(futures: "list[asyncio.Future[Outcome]]", timeout_s: float = 30) -> list[Outcome]:
    """All of them, in order."""
    return await asyncio.wait_for(asyncio.gather(*futures), timeout_s)
