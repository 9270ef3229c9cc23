"""Who may write: roles, mutes, frozen chats and slow mode, where messages are committed."""

import asyncio
import time

from storage.records import (
    ChatKind,
    Committed,
    EventKind,
    NewEvent,
    NewMember,
    Outcome,
    Person,
    Refusal,
    Role,
    SlowMode,
)
from storage.repositories.chat_setup.details import ChatDetailsRepository
from storage.repositories.chat_setup.roles import StoredRoles
from storage.repositories.contacts import ContactRepository
from tests.storage.nodes import Node, deletion, edit, message, outcomes


async def give(node: Node, chat: int, person: Person, role: Role | None = None, muted_until: int | None = None) -> None:
    await StoredRoles(node.database).change(chat, None, person.id, role, muted_until)


async def rule(node: Node, chat: int, **columns: int) -> None:
    await ChatDetailsRepository(node.database).change(chat, None, columns)


async def told(node: Node, *events: NewEvent) -> list[Outcome | str]:
    """The outcomes, with "stored" for each that is stored."""
    found = await outcomes([node.submit(event) for event in events])
    return ["stored" if isinstance(one, Committed) else one for one in found]


async def test_reader_and_muted_member_may_only_delete(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    mine = [await node.say(message(chat, bob)) for _ in range(2)]
    soon = int(time.time()) + 60
    for role, muted, refusal in ((Role.READER, None, Refusal.READER), (Role.MEMBER, soon, Refusal.MUTED)):
        await give(node, chat, bob, role, muted)
        reaction = NewEvent(chat, bob, f"r{role}", EventKind.REACTION, "+👍", mine[-1].message_id)
        assert await told(node, message(chat, bob), edit(mine[-1], "new"), reaction) == [refusal] * 3
        assert await told(node, deletion(mine.pop()), message(chat, ann)) == ["stored", "stored"]
        mine.append(mine[0]) if mine else None
    await give(node, chat, bob, muted_until=0)
    assert await told(node, message(chat, bob)) == ["stored"]
    await give(node, chat, bob, muted_until=int(time.time()) - 1)
    assert await told(node, message(chat, bob)) == ["stored"], "the mute has ended"


async def test_retry_of_stored_message_is_a_duplicate_also_when_muted(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    sent = message(chat, bob)
    await node.say(sent)
    await give(node, chat, bob, muted_until=int(time.time()) + 60)
    await rule(node, chat, is_frozen=True, slow_mode_s=60)
    (outcome,) = await outcomes([node.submit(sent)])
    assert isinstance(outcome, Committed) and outcome.duplicate


async def test_moderator_and_owner_delete_messages_of_others(node: Node) -> None:
    ann, bob, eve = [await node.person(name) for name in ("ann", "bob", "eve")]
    chat = await node.group(ann, bob, eve)
    texts = [await node.say(message(chat, ann)) for _ in range(3)]
    assert await told(node, deletion(texts[0], bob)) == [Refusal.NOT_THE_AUTHOR]
    await give(node, chat, bob, Role.MODERATOR)
    assert await told(node, edit(texts[0], "new", bob)) == [Refusal.NOT_THE_AUTHOR]
    removal = deletion(texts[0], bob)
    event = await node.say(removal)
    assert (event.sender.id, event.by and event.by.id, event.text, event.is_deleted) == (ann.id, bob.id, "", True)
    (again,) = await outcomes([node.submit(removal)])
    assert isinstance(again, Committed) and (again.duplicate, again.event.by) == (True, event.by)
    assert (await node.history(chat))[-1] == event
    theirs = await node.say(message(chat, eve))
    assert (await node.say(deletion(theirs, ann))).by == ann


async def test_member_of_direct_chat_never_deletes_for_the_other(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, _ = await node.chats.create_chat(ann.id, ChatKind.DIRECT, "", [NewMember(user_id=bob.id)])
    theirs = await node.say(message(chat.id, bob))
    assert await told(node, deletion(theirs, ann)) == [Refusal.NOT_THE_AUTHOR]


async def test_frozen_chat_is_written_by_owner_and_moderators(node: Node) -> None:
    ann, bob, eve = [await node.person(name) for name in ("ann", "bob", "eve")]
    chat = await node.group(ann, bob, eve)
    mine = await node.say(message(chat, eve))
    await give(node, chat, bob, Role.MODERATOR)
    await rule(node, chat, is_frozen=True)
    events = [message(chat, eve), edit(mine, "new"), deletion(mine), message(chat, ann), message(chat, bob)]
    assert await told(node, *events) == [Refusal.CHAT_FROZEN] * 3 + ["stored"] * 2
    await rule(node, chat, is_frozen=False)
    assert await told(node, message(chat, eve), edit(mine, "new")) == ["stored"] * 2


async def test_slow_mode_is_exact_over_nodes_and_within_a_batch(node: Node, other_node: Node) -> None:
    ann, bob, eve = [await node.person(name) for name in ("ann", "bob", "eve")]
    chat, other = await node.group(ann, bob, eve), await node.group(ann, bob)
    await give(node, chat, eve, Role.MODERATOR)
    await rule(node, chat, slow_mode_s=30)
    began = time.monotonic()
    events = [one.submit(message(chat, bob)) for one in (node, other_node) for _ in range(10)]
    found = await outcomes(events)
    took_s = int(time.monotonic() - began)
    stored = [one for one in found if isinstance(one, Committed)]
    waits = [one.retry_after_s for one in found if isinstance(one, SlowMode)]
    assert (len(stored), len(waits)) == (1, 19)
    assert set(waits) <= set(range(29 - took_s, 31))
    assert await told(node, edit(stored[0].event, "new"), message(other, bob)) == ["stored"] * 2
    assert await told(node, *[message(chat, who) for who in (ann, eve, ann, eve)]) == ["stored"] * 4
    await rule(node, chat, slow_mode_s=1)
    await asyncio.sleep(1.1)
    first, second = await outcomes([node.submit(message(chat, bob)) for _ in range(2)])
    assert isinstance(first, Committed)
    assert second == SlowMode(1)


async def test_new_owner_is_neither_reader_nor_muted(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    for leaves in (True, False):
        chat = await node.group(ann, bob)
        await give(node, chat, bob, Role.READER, int(time.time()) + 60)
        if leaves:
            await node.chats.remove_member(chat, ann.id, ann.id)
        else:
            await node.chats.hand_over(chat, ann.id, bob.id)
        assert await told(node, message(chat, bob)) == ["stored"]


async def test_blocked_user_cannot_write_in_direct_chat(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    contacts = ContactRepository(node.database)
    chat, _ = await node.chats.create_chat(ann.id, ChatKind.DIRECT, "", [NewMember(user_id=bob.id)])
    group = await node.group(ann, bob)
    mine = await node.say(message(chat.id, bob))
    await contacts.block(ann.id, bob.id)
    assert await told(node, message(chat.id, bob), edit(mine, "new")) == [Refusal.BLOCKED] * 2
    assert await told(node, deletion(mine), message(chat.id, ann), message(group, bob)) == ["stored"] * 3
    await contacts.unblock(ann.id, bob.id)
    assert await told(node, message(chat.id, bob)) == ["stored"]


async def test_block_counts_in_direct_chat_created_later(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    await ContactRepository(node.database).block(ann.id, bob.id)
    members = [NewMember(user_id=ann.id), NewMember(user_id=bob.id)]
    chat, _ = await node.chats.create_chat(None, ChatKind.DIRECT, "", members)
    assert await told(node, message(chat.id, bob), message(chat.id, ann)) == [Refusal.BLOCKED, "stored"]
