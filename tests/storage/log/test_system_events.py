"""What the system writes in chats, of which it is no member, on both databases."""

from storage.records import SYSTEM, Committed, EventKind, Refusal
from tests.storage.nodes import Node, deletion, edit, message


async def test_system_writes_in_chats_of_others(node: Node, other_node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    event = await node.say(message(chat, SYSTEM, "Order 7 was paid.", "paid"))
    assert (event.seq, event.sender, event.by) == (1, SYSTEM, None)
    assert await other_node.submit(message(chat, SYSTEM, "Order 7 was paid.", "paid")) == Committed(event, True)
    assert await node.history(chat) == [event]
    assert await node.log.find(chat, SYSTEM.id, "paid") == event
    assert (await node.chats.read_positions([(chat, ann.id)]))[chat, ann.id].unread == 1


async def test_system_writes_in_no_missing_chat(node: Node) -> None:
    assert await node.submit(message(999_999, SYSTEM)) is Refusal.NOT_A_MEMBER


async def test_change_by_system_keeps_the_author(node: Node, other_node: Node) -> None:
    ann = await node.accounts.create("Ann", "hash", "Anna", "Smith")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann, "rude"))
    edited = await node.say(edit(first, "polite", SYSTEM, "e"))
    deleted = await node.say(deletion(first, SYSTEM))
    for event, kind, seq, text in ((edited, EventKind.EDIT, 2, "polite"), (deleted, EventKind.DELETE, 3, "")):
        assert (event.kind, event.seq, event.text, event.message_id) == (kind, seq, text, first.message_id)
        assert (event.sender, event.by, event.actor) == (ann, SYSTEM, SYSTEM)
    assert deleted.is_deleted
    history = await node.history(chat)
    assert [(event.sender, event.by) for event in history] == [(ann, None), (ann, SYSTEM), (ann, SYSTEM)]
    again = await other_node.submit(edit(first, "polite", SYSTEM, "e"))
    assert isinstance(again, Committed)
    assert (again.duplicate, again.event.sender, again.event.by) == (True, ann, SYSTEM)
    (message_of_ann,) = await node.log.messages_before(chat, None, 10)
    assert (message_of_ann.sender, message_of_ann.by) == (ann, None)


async def test_members_cannot_change_system_messages(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    notice = await node.say(message(chat, SYSTEM))
    for person in (ann, bob):
        assert await node.submit(edit(notice, "mine", person)) is Refusal.NOT_THE_AUTHOR
    assert await node.submit(deletion(notice, bob)) is Refusal.NOT_THE_AUTHOR
    assert (await node.say(edit(notice, "new", SYSTEM))).by is None
    assert (await node.say(deletion(notice, ann))).by == ann  # the owner, as a moderator may


async def test_user_named_system_is_somebody_else(node: Node) -> None:
    person = await node.person("system")
    chat = await node.group(person)
    notice, own = await node.say(message(chat, SYSTEM)), await node.say(message(chat, person))
    assert [event.sender.id for event in await node.history(chat)] == [0, person.id]
    assert (notice.sender.username, own.sender.username) == ("system", "system")
