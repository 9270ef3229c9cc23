"""Events of chats and members in the outbox."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.errors import NotAllowed
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Wanted
from storage.profile_records import Messages
from storage.records import ChatKind, NewMember
from storage.repositories.chat_setup.details import ChatDetailsRepository
from storage.repositories.chat_setup.removals import ChatRemovals
from storage.repositories.chats import Chats
from storage.repositories.upkeep.erasure_work import ErasureWork
from storage.repositories.users.erasures import Erasures
from tests.storage.nodes import Node, message

WANTED = Wanted({"one": frozenset(EventType)})


@pytest.fixture
async def outbox(node: Node) -> AsyncIterator[Outbox]:
    yield Outbox(node.database)


async def noted(outbox: Outbox, chat_id: int) -> list[tuple[str, int, dict[str, Any]]]:
    """Type, seq before it and data of what waits."""
    extras = await outbox.extras("one", [chat_id])
    return [(extra.type, extra.after_seq, json.loads(extra.data)) for extra in extras]


async def test_changes_of_a_chat_are_noted_in_order(node: Node, outbox: Outbox) -> None:
    chats, details = Chats(node.database, wanted=WANTED), ChatDetailsRepository(node.database, WANTED)
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, _ = await chats.create_chat(ann.id, ChatKind.GROUP, "Plans", [])
    await chats.add_member(chat.id, ann.id, NewMember(user_id=bob.id))
    await chats.add_member(chat.id, ann.id, NewMember(user_id=bob.id))  # is one already
    await details.change(chat.id, None, {"title": "New", "data": '{"a":1}'})
    await details.change(chat.id, None, {"title": "New"})  # as it was
    await chats.hand_over(chat.id, ann.id, bob.id)
    await chats.remove_member(chat.id, bob.id, ann.id)
    at = {"chat_id": chat.id}
    members = [{"user_id": ann.id, "role": "member"}]
    assert await noted(outbox, chat.id) == [
        (
            "chat.created",
            0,
            at | {"kind": "group", "title": "Plans", "key": None, "members": members, "member_count": 1, "by": ann.id},
        ),
        ("member.added", 0, at | {"user_id": bob.id, "role": "member", "by": ann.id}),
        ("chat.changed", 0, at | {"changed": {"title": "New", "data": {"a": 1}}, "by": None}),
        ("chat.changed", 0, at | {"changed": {"owner_id": bob.id}, "by": ann.id}),
        ("member.removed", 0, at | {"user_id": ann.id, "by": bob.id}),
    ]
    (head,) = await outbox.claim("one", 10, late=False)
    assert (head.stream, head.from_seq > head.to_seq, head.extra_to > 0) == (chat.id, True, True)


async def test_removal_of_a_chat_is_noted(node: Node, outbox: Outbox) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    await ChatRemovals(node.database, wanted=WANTED).remove(chat, ann.id)
    assert await noted(outbox, chat) == [("chat.removed", 0, {"chat_id": chat, "by": ann.id})]


async def test_refused_change_is_not_noted(node: Node, outbox: Outbox) -> None:
    chats = Chats(node.database, wanted=WANTED)
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    with pytest.raises(NotAllowed):
        await chats.remove_member(chat, bob.id, ann.id)
    assert await noted(outbox, chat) == []


async def test_nothing_is_noted_without_endpoints(node: Node) -> None:
    await node.group(await node.person("ann"))
    assert await node.database.fetch("SELECT * FROM outbox_events") == []


async def test_new_owner_of_a_chat_is_noted(node: Node, outbox: Outbox) -> None:
    chats = Chats(node.database, wanted=WANTED)
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    await chats.remove_member(chat, ann.id, ann.id)
    await chats.remove_member(chat, bob.id, bob.id)
    await chats.add_member(chat, None, NewMember(user_id=bob.id))
    at = {"chat_id": chat}
    assert await noted(outbox, chat) == [
        ("member.removed", 0, at | {"user_id": ann.id, "by": ann.id}),
        ("chat.changed", 0, at | {"changed": {"owner_id": bob.id}, "by": ann.id}),
        ("member.removed", 0, at | {"user_id": bob.id, "by": bob.id}),
        ("member.added", 0, at | {"user_id": bob.id, "role": "member", "by": None}),
        ("chat.changed", 0, at | {"changed": {"owner_id": bob.id}, "by": None}),
    ]


async def test_erased_user_leaves_chats_with_events(node: Node, outbox: Outbox) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, removed_chat = await node.group(ann, bob), await node.group(ann, bob)
    await node.say(message(removed_chat, ann, "erased"))
    await ChatRemovals(node.database, wanted=WANTED).remove(removed_chat, None)
    erased = await Erasures(node.database).request(ann.id, Messages.ERASE)
    assert erased is not None
    work = ErasureWork(node.database, "node", wanted=WANTED)
    for chat_id in (chat, removed_chat):
        await work.leave(chat_id, ann.id)
        await work.erase_messages(erased, chat_id, "")
    at = {"chat_id": chat}
    assert await noted(outbox, chat) == [
        ("member.removed", 0, at | {"user_id": ann.id, "by": None}),
        ("chat.changed", 0, at | {"changed": {"owner_id": bob.id}, "by": None}),
    ]
    assert await noted(outbox, removed_chat) == [("chat.removed", 1, {"chat_id": removed_chat, "by": None})]
    (entry,) = await node.history(removed_chat)
    assert (entry.text, entry.is_deleted) == ("", True)
