"""Rooms are found by their names, the same on both databases."""

import asyncio

import pytest

from auth.passwords import Passwords
from auth.rules import is_login
from gateway.rooms import MAX_ROOM_NAME, Rooms, is_room_name
from storage import rooms
from storage.errors import InvalidMembers, UnknownUser
from storage.records import QUEUE_SENDER, Account, ChatKind, ChatPosition, NewMember, Refusal, Room
from tests.storage.nodes import Node, message, outcomes


def rooms_of(node: Node) -> Rooms:
    return rooms.Rooms(node.database)


async def test_a_name_is_one_room_for_ever_and_no_other_name_is(node: Node, other_node: Node) -> None:
    first = await rooms_of(node).room("room1")
    assert first.name == "room1"
    assert await rooms_of(node).room("room1") == await rooms_of(other_node).room("room1") == first
    names = ["Room1", "room1 ", "комната", "e\u0301", "\u00e9", "😀" * MAX_ROOM_NAME, "' OR 1=1 --"]
    others = [await rooms_of(node).room(name) for name in names]
    assert len({first.chat_id, *(room.chat_id for room in others)}) == 1 + len(names)


async def test_nodes_that_make_a_room_at_once_make_one(node: Node, other_node: Node) -> None:
    for name in ("race", "race again"):
        made = await asyncio.gather(*(rooms_of(where).room(name) for where in (node, other_node) * 4))
        assert set(made) == {made[0]}
    chats = await node.database.fetch("SELECT id FROM chats")
    assert len(chats) == 2


async def test_entering_says_where_the_room_stands(node: Node) -> None:
    entry = await rooms_of(node).enter("room1")
    assert entry.room == await rooms_of(node).room("room1")
    assert (entry.position, entry.epoch) == (ChatPosition(0, 1), await node.log.epoch())
    await node.say(message(entry.room.chat_id, QUEUE_SENDER))
    assert (await rooms_of(node).enter("room1")).position == ChatPosition(1, 1)


async def test_only_the_queue_writes_to_a_room_and_it_is_nobodys_chat(node: Node) -> None:
    ann = await node.person("ann")
    room = await rooms_of(node).room("room1")
    event = await node.say(message(room.chat_id, QUEUE_SENDER, "hello"))
    assert await node.history(room.chat_id) == [event]
    assert event.sender == QUEUE_SENDER
    assert await outcomes([node.submit(message(room.chat_id, ann))]) == [Refusal.NOT_A_MEMBER]
    assert await node.chats.chats_of(ann.id) == []
    assert await node.chats.chat(room.chat_id, ann.id) is None
    assert await node.chats.admit(room.chat_id, ann.id) is None


async def test_a_room_is_made_by_its_name_alone(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    for members in ([], [NewMember(user_id=bob.id)]):
        with pytest.raises(InvalidMembers, match="name"):
            await node.chats.create_chat(ann.id, ChatKind.ROOM, "room1", members)


async def test_nobody_logs_in_as_the_queue_or_takes_its_login_or_adds_it(node: Node) -> None:
    login = QUEUE_SENDER.username
    assert not is_login(login)
    account = await node.accounts.by_login(login)
    assert account == Account(QUEUE_SENDER, "")
    passwords = Passwords(threads=1)
    try:
        assert not (await passwords.verify("", account.password_hash)).matches
    finally:
        passwords.close()
    ann = await node.person("ann")
    for who in (NewMember(login=login), NewMember(user_id=QUEUE_SENDER.id)):
        with pytest.raises(UnknownUser):
            await node.chats.create_chat(ann.id, ChatKind.GROUP, "", [who])


async def test_the_room_that_is_returned_can_be_kept(node: Node) -> None:
    room = await rooms_of(node).room("room1")
    assert room == Room(room.chat_id, "room1")
    assert {room} == {await rooms_of(node).room("room1")}


@pytest.mark.parametrize("name", ["a", " a ", "a/b", "комната 1", "x" * MAX_ROOM_NAME, "😀" * MAX_ROOM_NAME, "0"])
def test_any_text_is_a_room_name(name: str) -> None:
    assert is_room_name(name)


@pytest.mark.parametrize("name", ["", " \n", "x" * (MAX_ROOM_NAME + 1), "a\0b", "\ud800", 1, None, ["a"], True])
def test_what_cannot_be_stored_is_no_room_name(name: object) -> None:
    assert not is_room_name(name)
