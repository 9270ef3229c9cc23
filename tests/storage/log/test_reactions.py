"""Reactions in the log, on both databases."""

import json

import pytest
from msgspec.structs import replace

from storage.log.commit_postgres import REACT_SQL
from storage.reaction_records import MAX_KEYS_A_MESSAGE, MAX_REACTIONS_A_USER, Reaction, Unchanged
from storage.records import ChatKind, Committed, EventKind, NewMember, Refusal
from storage.repositories.contacts import ContactRepository
from tests.storage.nodes import Node, deletion, edit, message, outcomes, reaction


async def rows_of(node: Node) -> list[tuple[int, int, str]]:
    rows = await node.database.fetch("SELECT message_id, user_id, key FROM reactions ORDER BY id")
    return [(row["message_id"], row["user_id"], row["key"]) for row in rows]


async def test_reaction_takes_a_seq_and_counts(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    first = await node.say(message(chat, ann, "hello"))
    added = await node.say(reaction(first, bob))
    again = await node.say(reaction(first, ann))
    other = await node.say(reaction(first, bob, "❤️"))
    gone = await node.say(reaction(first, bob, removed=True))
    assert [event.seq for event in (added, again, other, gone)] == [2, 3, 4, 5]
    assert (added.kind, added.message_id, added.sender, added.text) == (
        EventKind.REACTION, first.message_id, ann, "hello",
    )  # fmt: skip
    assert added.reaction == Reaction(bob.id, "👍", removed=False, counts='{"👍": 1}')
    assert [json.loads(e.reaction.counts) for e in (again, other, gone) if e.reaction] == [
        {"👍": 2}, {"👍": 2, "❤️": 1}, {"👍": 1, "❤️": 1},
    ]  # fmt: skip
    assert await rows_of(node) == [(first.message_id, ann.id, "👍"), (first.message_id, bob.id, "❤️")]


async def test_history_has_the_counts_of_each_event_and_of_now(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    first = await node.say(message(chat, ann))
    live = [await node.say(reaction(first, who)) for who in (bob, ann)]
    history = await node.history(chat)
    assert [event.reaction for event in history[1:]] == [event.reaction for event in live]
    assert {event.reactions for event in history} == {'{"👍": 2}'}
    assert await node.log.messages_before(chat, None, 10) == [replace(first, reactions='{"👍": 2}')]


async def test_own_reactions_are_in_the_order_of_adding(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    first, second, third = [await node.say(message(chat, ann)) for _ in range(3)]
    for target, who, key in ((first, bob, "👍"), (second, bob, "👍"), (first, bob, "❤️"), (third, ann, "👍")):
        await node.say(reaction(target, who, key))
    ids = [event.message_id for event in (first, second, third)]
    assert await node.log.own_reactions(bob.id, ids) == {ids[0]: ["👍", "❤️"], ids[1]: ["👍"]}
    assert await node.log.own_reactions(bob.id, ids[1:]) == {ids[1]: ["👍"]}


async def test_edit_keeps_reactions_and_deletion_removes_them(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    first, second = await node.say(message(chat, ann)), await node.say(message(chat, ann))
    await node.say(reaction(first, bob))
    kept = await node.say(reaction(second, bob))
    edited = await node.say(edit(first, "new"))
    deleted = await node.say(deletion(first))
    assert (edited.reactions, deleted.reactions) == ('{"👍": 1}', None)
    assert await rows_of(node) == [(kept.message_id, bob.id, "👍")]
    for event in (reaction(first, ann), reaction(first, bob, removed=True)):
        assert await node.submit(event) is Refusal.NO_SUCH_MESSAGE
    assert [e.reactions for e in await node.history(chat)] == [None, '{"👍": 1}', None, '{"👍": 1}', None, None]


async def test_same_reaction_again_stores_nothing(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    first = await node.say(message(chat, ann))
    assert await node.submit(reaction(first, bob, removed=True)) == Unchanged(first.message_id, "{}")
    answers = await outcomes([where.submit(reaction(first, bob)) for _ in range(20) for where in (node, other_node)])
    assert [isinstance(answer, Committed) for answer in answers].count(True) == 1
    assert {answer for answer in answers if not isinstance(answer, Committed)} == {
        Unchanged(first.message_id, '{"👍": 1}')
    }
    await node.say(reaction(first, bob, removed=True))
    assert await node.submit(reaction(first, bob, removed=True)) == Unchanged(first.message_id, "{}")
    assert [event.seq for event in await node.history(chat)] == [1, 2, 3]


async def test_retry_of_a_reaction_returns_its_event(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    first = await node.say(message(chat, ann))
    added = await node.say(reaction(first, bob, client_msg_id="r"))
    await node.say(reaction(first, ann))
    outcome = await other_node.submit(reaction(first, bob, client_msg_id="r"))
    assert isinstance(outcome, Committed)
    assert (outcome.duplicate, outcome.event.reaction, outcome.event.seq) == (True, added.reaction, 2)
    assert outcome.event.sender == ann
    for other in (reaction(first, bob, "❤️", client_msg_id="r"), reaction(first, bob, removed=True, client_msg_id="r")):
        assert await node.submit(other) is Refusal.ID_REUSED


async def test_only_members_react_to_messages_of_the_chat(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, other = await node.group(ann), await node.group(ann, bob)
    first, elsewhere = await node.say(message(chat, ann)), await node.say(message(other, ann))
    assert await node.submit(reaction(first, bob)) is Refusal.NOT_A_MEMBER
    assert await node.submit(reaction(replace(elsewhere, chat_id=chat), ann)) is Refusal.NO_SUCH_MESSAGE
    added = await node.say(reaction(elsewhere, bob))
    assert await node.submit(replace(reaction(added, ann), message_id=9_999_999)) is Refusal.NO_SUCH_MESSAGE
    await node.chats.add_member(chat, ann.id, NewMember(user_id=bob.id))
    await node.say(reaction(first, bob))
    await node.chats.remove_member(chat, ann.id, bob.id)
    assert await node.submit(reaction(first, bob, removed=True)) is Refusal.NOT_A_MEMBER


async def test_blocked_user_adds_no_reaction_in_a_direct_chat(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    direct, group = await node.group(ann, bob, kind=ChatKind.DIRECT), await node.group(ann, bob)
    first, elsewhere = await node.say(message(direct, ann)), await node.say(message(group, ann))
    await node.say(reaction(first, bob))
    contacts = ContactRepository(node.database)
    await contacts.block(ann.id, bob.id)
    assert await node.submit(reaction(first, bob, "❤️")) is Refusal.BLOCKED
    await node.say(reaction(first, bob, removed=True))
    await node.say(reaction(first, ann))
    await node.say(reaction(elsewhere, bob))
    await contacts.unblock(ann.id, bob.id)
    await node.say(reaction(first, bob, "❤️"))


async def test_keys_are_limited_by_user_and_by_message(node: Node) -> None:
    people = [await node.person(f"user{n}") for n in range(5)]
    chat = await node.group(*people)
    first = await node.say(message(chat, people[0]))
    keys = [f"key{n}" for n in range(MAX_KEYS_A_MESSAGE)]
    for place, key in enumerate(keys):
        await node.say(reaction(first, people[place // MAX_REACTIONS_A_USER], key))
    ann, late = people[0], people[4]
    assert await node.submit(reaction(first, ann, keys[-1])) is Refusal.REACTION_LIMIT, "her sixth"
    assert await node.submit(reaction(first, late, "another")) is Refusal.REACTION_LIMIT, "the 21st of the message"
    assert isinstance(await node.submit(reaction(first, ann, keys[0])), Unchanged)
    await node.say(reaction(first, late, keys[0]))
    await node.say(reaction(first, ann, keys[1], removed=True))
    await node.say(reaction(first, late, "another"))


async def test_batch_of_reactions_counts_each(node: Node) -> None:
    people = [await node.person(f"user{n}") for n in range(10)]
    chat = await node.group(*people)
    first = await node.say(message(chat, people[0]))
    events = [await_ for who in people for await_ in (reaction(first, who), reaction(first, who, removed=True))]
    stored = await outcomes([node.submit(event) for event in events])
    seqs = [answer.event.seq for answer in stored if isinstance(answer, Committed)]
    assert seqs == list(range(2, 22))
    assert [event.reactions for event in await node.history(chat)] == [None] * 21
    assert await rows_of(node) == []


@pytest.mark.parametrize("key", ['"', "\\", "a" * 32, "👩‍👩‍👧‍👦", "{}", "1", "null", "é\u0301", "+", "-"])
async def test_key_is_stored_to_the_letter(node: Node, key: str) -> None:
    ann = await node.person("ann")
    first = await node.say(message(await node.group(ann), ann))
    added = await node.say(reaction(first, ann, key))
    assert added.reaction is not None
    assert (added.reaction.key, json.loads(added.reaction.counts)) == (key, {key: 1})
    assert (await node.history(first.chat_id))[1] == added
    gone = await node.say(reaction(first, ann, key, removed=True))
    assert gone.reaction is not None
    assert gone.reaction.counts == "{}"


def test_function_has_the_limits_of_the_code() -> None:
    sql = REACT_SQL.read_text()
    assert f"cardinality(own) >= {MAX_REACTIONS_A_USER} " in sql
    assert f"jsonb_object_keys(tally)) >= {MAX_KEYS_A_MESSAGE} " in sql
