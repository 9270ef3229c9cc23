"""Replies and mentions in the log, on both databases."""

from msgspec.structs import replace

from storage.log.commit import QUOTED, SNAPSHOTS, digest_of
from storage.log.event_ranges import EventRanges
from storage.records import ChatEvent, Committed, EventKind, NewEvent, NewMember, Person, Refusal, RepliedTo
from storage.repositories.chat_lists import StoredChatLists
from storage.repositories.users.mentions import MAX_MENTIONS, Mentions
from tests.storage.nodes import Node, deletion, edit, message, outcomes


def reply(target: ChatEvent, sender: Person, text: str = "yes", client_msg_id: str | None = None) -> NewEvent:
    return replace(message(target.chat_id, sender, text, client_msg_id), reply_to=target.message_id)


async def asked(node: Node, text: str = "lunch?") -> tuple[ChatEvent, Person]:
    """A message of ann, and bob, who is in the chat too."""
    ann, bob = await node.person("ann"), await node.person("bob")
    return await node.say(message(await node.group(ann, bob), ann, text)), bob


async def counts(node: Node, chat_id: int) -> list[int]:
    return [event.reply_count for event in await node.log.messages_before(chat_id, None, 100)]


async def test_reply_has_sender_and_text_of_its_target(node: Node) -> None:
    target, bob = await asked(node)
    event = await node.say(reply(target, bob, client_msg_id="r"))
    assert event.reply_to == RepliedTo(target.message_id, target.sender, "lunch?")
    assert await node.history(target.chat_id) == [target, event]
    assert await node.log.find(target.chat_id, bob.id, "r") == event
    assert await counts(node, target.chat_id) == [1, 0]


async def test_reply_shows_only_the_start_of_a_long_text(node: Node) -> None:
    target, bob = await asked(node, "👋" * 200)
    event = await node.say(reply(target, bob))
    assert event.reply_to is not None
    assert event.reply_to.text == "👋" * QUOTED


async def test_reply_to_nothing_in_the_chat_is_rejected(node: Node) -> None:
    target, bob = await asked(node)
    other = await node.say(message(await node.group(bob), bob))
    edited = await node.say(edit(target, "dinner?"))
    for reply_to in (999_999, other.message_id, edited.message_id + 1):
        new = replace(message(target.chat_id, bob), reply_to=reply_to)
        assert await node.submit(new) is Refusal.NO_SUCH_TARGET
    assert await node.history(target.chat_id) == [replace(target, text="dinner?", is_edited=True), edited]


async def test_reply_keeps_the_text_that_its_target_held(node: Node) -> None:
    target, bob = await asked(node)
    event = await node.say(reply(target, bob))
    await node.say(edit(target, "dinner?"))
    later = await node.say(reply(target, bob))
    texts = [e.reply_to.text for e in await node.history(target.chat_id) if e.reply_to is not None]
    assert texts == ["lunch?", "dinner?"]
    assert (await node.say(edit(event, "no"))).reply_to == event.reply_to
    assert later.reply_to is not None


async def test_deleted_text_remains_in_no_reply(node: Node) -> None:
    target, bob = await asked(node, "secret")
    first = await node.say(reply(target, bob, client_msg_id="r"))
    gone, late = await outcomes([node.submit(deletion(target)), node.submit(reply(target, bob))])
    assert isinstance(late, Committed)
    assert isinstance(gone, Committed)
    empty = RepliedTo(target.message_id, target.sender, "")
    assert late.event.reply_to == empty
    assert [e.reply_to for e in await node.history(target.chat_id)] == [None, empty, None, empty]
    assert await node.submit(reply(target, bob, client_msg_id="r")) == Committed(
        replace(first, reply_to=empty), duplicate=True
    )
    assert [row["text"] for row in await node.database.fetch("SELECT text FROM replies")] == ["", ""]


async def test_late_replies_keep_no_copy_of_their_target(node: Node) -> None:
    """So that the deletion of a message with any number of replies changes a thousand of them."""
    target, bob = await asked(node)
    await node.say(reply(target, bob))
    await node.database.write("UPDATE chat_log SET reply_count = $1 WHERE id = $2", SNAPSHOTS, target.message_id)
    late = await node.say(reply(target, bob))
    assert late.reply_to == RepliedTo(target.message_id, target.sender, "lunch?")
    assert [row["text"] for row in await node.database.fetch("SELECT text FROM replies ORDER BY seq")] == [
        "lunch?",
        None,
    ]
    await node.say(edit(target, "dinner?"))
    quoted = [e.reply_to.text for e in await node.history(target.chat_id) if e.reply_to is not None]
    assert quoted == ["lunch?", "dinner?"]
    await node.say(deletion(target))
    assert [e.reply_to.text for e in await node.history(target.chat_id) if e.reply_to is not None] == ["", ""]


async def test_retried_reply_counts_once(node: Node, other_node: Node) -> None:
    target, bob = await asked(node)
    event = reply(target, bob, client_msg_id="r")
    answers = await outcomes([where.submit(replace(event)) for where in (node, other_node) for _ in range(3)])
    assert sum(isinstance(answer, Committed) and not answer.duplicate for answer in answers) == 1
    assert len({answer.event for answer in answers if isinstance(answer, Committed)}) == 1
    assert await counts(node, target.chat_id) == [1, 0]
    for other in (None, target.message_id + 1):
        assert await node.submit(replace(event, reply_to=other)) is Refusal.ID_REUSED
    assert await counts(node, target.chat_id) == [1, 0]


async def test_replies_are_read_page_by_page(node: Node) -> None:
    target, bob = await asked(node)
    replies = []
    for _ in range(5):
        replies.append(await node.say(reply(target, bob)))
        await node.say(message(target.chat_id, bob))
    page = await node.log.replies_before(target.chat_id, target.message_id, None, 3)
    assert page == replies[2:]
    assert await node.log.replies_before(target.chat_id, target.message_id, page[0].seq, 3) == replies[:2]
    assert await node.log.replies_before(target.chat_id + 1, target.message_id, None, 3) == []
    assert await counts(node, target.chat_id) == [5] + [0] * 10


async def test_only_members_are_mentioned(node: Node) -> None:
    target, bob = await asked(node)
    eve = await node.person("eve")
    ann = target.sender
    ids = (ann.id, bob.id, eve.id, 999_999)
    event = await node.say(replace(message(target.chat_id, ann, "all", "m"), mentions=ids))
    assert event.mentions == (ann.id, bob.id)
    assert (await node.history(target.chat_id))[1] == event
    mentions = Mentions(node.database)
    assert [await mentions.unread(user.id, [target.chat_id]) for user in (ann, bob, eve)] == [
        {target.chat_id: 0},
        {target.chat_id: 1},
        {},
    ]
    alone = await node.say(replace(message(target.chat_id, ann), mentions=(eve.id,)))
    assert alone.mentions == ()
    retry = replace(message(target.chat_id, ann, "all", "m"), mentions=ids)
    assert await node.submit(retry) == Committed(event, duplicate=True)
    assert await node.submit(replace(retry, mentions=(bob.id,))) is Refusal.ID_REUSED
    assert await mentions.unread(bob.id, [target.chat_id]) == {target.chat_id: 1}


async def test_unread_mentions_end_with_reading_and_deletion(node: Node) -> None:
    target, bob = await asked(node)
    events = [replace(message(target.chat_id, target.sender), mentions=(bob.id,)) for _ in range(3)]
    stored = [await node.say(event) for event in events]
    mentions = Mentions(node.database)
    assert (await node.say(edit(stored[2], "x"))).mentions == (bob.id,)
    assert await mentions.unread(bob.id, [target.chat_id, 999]) == {target.chat_id: 3}
    deleted = await node.say(deletion(stored[2]))
    assert deleted.mentions == ()
    assert await mentions.unread(bob.id, [target.chat_id]) == {target.chat_id: 2}
    await node.chats.mark_read(target.chat_id, bob.id, stored[0].seq)
    assert await mentions.unread(bob.id, [target.chat_id]) == {target.chat_id: 1}


async def test_unread_mentions_are_counted_up_to_a_limit(node: Node) -> None:
    target, bob = await asked(node)
    events = [replace(message(target.chat_id, target.sender), mentions=(bob.id,)) for _ in range(MAX_MENTIONS + 20)]
    await outcomes([node.submit(event) for event in events])
    assert await Mentions(node.database).unread(bob.id, [target.chat_id]) == {target.chat_id: MAX_MENTIONS}


async def test_message_of_a_stranger_refers_to_nothing(node: Node) -> None:
    target, bob = await asked(node)
    eve = await node.person("eve")
    new = replace(reply(target, eve), mentions=(bob.id,))
    assert await node.submit(new) is Refusal.NOT_A_MEMBER
    assert await counts(node, target.chat_id) == [0]
    assert await Mentions(node.database).unread(bob.id, [target.chat_id]) == {target.chat_id: 0}
    await node.chats.add_member(target.chat_id, target.sender.id, NewMember(user_id=eve.id))
    assert (await node.say(new)).mentions == (bob.id,)


def test_digest_tells_references_apart() -> None:
    plain = NewEvent(1, Person(1, "ann"), "a", EventKind.MESSAGE, "x")
    others = [replace(plain, reply_to=1), replace(plain, reply_to=2), replace(plain, mentions=(1,))]
    others += [replace(plain, mentions=(1, 2)), replace(plain, reply_to=1, mentions=(1,)), replace(plain, data="1")]
    assert len({digest_of(event) for event in (plain, *others)}) == 7


async def test_events_out_and_lists_have_the_target_of_a_reply(node: Node) -> None:
    target, bob = await asked(node)
    event = await node.say(reply(target, bob))
    chat = target.chat_id
    (logged,) = (await EventRanges(node.database).read([(chat, event.seq, event.seq)], 3))[chat]
    assert logged.event == event
    (listed,) = (await StoredChatLists(node.database).by_activity(bob.id, None, 10)).chats
    assert listed.last_message == event
