"""Rooms found by name, on both databases."""

import asyncio

import pytest

from auth.accounts.passwords import Passwords
from auth.accounts.rules import is_login
from gateway.interfaces.rooms import MAX_ROOM_NAME, Rooms, is_room_name
from storage.auth_records import Account
from storage.errors import InvalidMembers, UnknownUser
from storage.records import SYSTEM, ChatKind, ChatPosition, NewMember, Refusal, Room
from storage.repositories import rooms
from tests.storage.nodes import Node, message, outcomes


def rooms_of(node: Node) -> Rooms:
    return rooms.RoomRepository(node.database)


async def test_room_name_maps_permanently_to_one_room(node: Node, other_node: Node) -> None:
    first = await rooms_of(node).room("room1")
    assert first.name == "room1"
    assert await rooms_of(node).room("room1") == await rooms_of(other_node).room("room1") == first
    names = ["Room1", "room1 ", "комната", "e\u0301", "\u00e9", "😀" * MAX_ROOM_NAME, "' OR 1=1 --"]
    others = [await rooms_of(node).room(name) for name in names]
    assert len({first.chat_id, *(room.chat_id for room in others)}) == 1 + len(names)


async def test_concurrent_nodes_create_one_room(node: Node, other_node: Node) -> None:
    for name in ("race", "race again"):
        made = await asyncio.gather(*(rooms_of(where).room(name) for where in (node, other_node) * 4))
        assert set(made) == {made[0]}
    chats = await node.database.fetch("SELECT id FROM chats")
    assert len(chats) == 2


async def test_entry_has_position_of_the_room(node: Node) -> None:
    entry = await rooms_of(node).enter("room1")
    assert entry.room == await rooms_of(node).room("room1")
    assert (entry.position, entry.epoch) == (ChatPosition(0, 1), await node.log.epoch())
    await node.say(message(entry.room.chat_id, SYSTEM))
    assert (await rooms_of(node).enter("room1")).position == ChatPosition(1, 1)


async def test_only_queue_writes_to_room_and_no_user_sees_it(node: Node) -> None:
    ann = await node.person("ann")
    room = await rooms_of(node).room("room1")
    event = await node.say(message(room.chat_id, SYSTEM, "hello"))
    assert await node.history(room.chat_id) == [event]
    assert event.sender == SYSTEM
    assert await outcomes([node.submit(message(room.chat_id, ann))]) == [Refusal.NOT_A_MEMBER]
    assert await node.chats_of(ann.id) == []
    assert await node.chats.chat(room.chat_id, ann.id) is None
    assert await node.chats.admit(room.chat_id, ann.id) is None


async def test_room_cannot_be_created_as_a_chat(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    for members in ([], [NewMember(user_id=bob.id)]):
        with pytest.raises(InvalidMembers, match="name"):
            await node.chats.create_chat(ann.id, ChatKind.ROOM, "room1", members)


async def test_system_cannot_log_in_or_be_added(node: Node) -> None:
    login = "queue:messages"
    assert await node.accounts.by_login(SYSTEM.username) is None
    assert not is_login(login)
    account = await node.accounts.by_login(login)
    assert account == Account(SYSTEM, "")
    passwords = Passwords(threads=1)
    try:
        assert not (await passwords.verify("", account.password_hash)).matches
    finally:
        passwords.close()
    ann = await node.person("ann")
    for who in (NewMember(login=login), NewMember(user_id=SYSTEM.id)):
        with pytest.raises(UnknownUser):
            await node.chats.create_chat(ann.id, ChatKind.GROUP, "", [who])


async def test_returned_room_is_hashable_and_equal(node: Node) -> None:
    room = await rooms_of(node).room("room1")
    assert room == Room(room.chat_id, "room1")
    assert {room} == {await rooms_of(node).room("room1")}


@pytest.mark.parametrize("name", ["a", " a ", "a/b", "комната 1", "x" * MAX_ROOM_NAME, "😀" * MAX_ROOM_NAME, "0"])
def test_any_storable_text_is_a_room_name(name: str) -> None:
    assert is_room_name(name)


@pytest.mark.parametrize("name", ["", " \n", "x" * (MAX_ROOM_NAME + 1), "a\0b", "\ud800", 1, None, ["a"], True])
def test_unstorable_text_is_no_room_name(name: object) -> None:
    assert not is_room_name(name)
