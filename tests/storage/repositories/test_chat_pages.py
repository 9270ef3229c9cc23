"""Pages of chats and members: complete, stable while rows change, and of one cost anywhere in long lists."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from storage.records import BIGINT_MAX, MAX_COUNTED_MEMBERS, Chat, ChatKind, Member, NewMember, Page, Person
from storage.repositories.chat_pages import LISTED_MEMBERS, SHOWN_MEMBERS
from tests.storage.nodes import Node, message

CHATS = 10_000
MEMBERS = 3_000
"""Of the one large chat."""

_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"
_USERS = f"""
{_NUMBERS} INSERT INTO users (login, login_folded, password_hash, first_name, last_name, created_at)
SELECT 'crowd' || i, 'crowd' || i, '', '', '', CURRENT_TIMESTAMP FROM n
"""
_CHATS = f"""
{_NUMBERS} INSERT INTO chats (kind, title, creator_id, last_seq, members_version, created_at)
SELECT 'group', 'old ' || i, $2, 0, 1, CURRENT_TIMESTAMP FROM n
"""
_JOIN_ALL_CHATS = """
INSERT INTO memberships (chat_id, user_id, role, read_seq, joined_at)
SELECT c.id, $1, 'member', 0, CURRENT_TIMESTAMP FROM chats c WHERE c.title LIKE 'old %'
"""
_ALL_USERS_JOIN = """
INSERT INTO memberships (chat_id, user_id, role, read_seq, joined_at)
SELECT $1, u.id, 'member', 0, CURRENT_TIMESTAMP FROM users u WHERE u.login LIKE 'crowd%'
"""


async def joined(read: Callable[[int | None], Awaitable[Page[Any]]]) -> list[Any]:
    """All pages after each other."""
    items: list[Any] = []
    position: int | None = None
    while True:
        page = await read(position)
        items += page.items
        if (position := page.next) is None:
            return items


async def large(node: Node) -> tuple[Person, Person, int]:
    """A user of CHATS chats, another who owns them, and the id of a chat of MEMBERS members, both among them."""
    ann, bob = await node.person("ann"), await node.person("bob")
    await node.database.write(_USERS, MEMBERS)
    await node.database.write(_CHATS, CHATS - 1, bob.id)
    for person in (ann, bob):
        await node.database.write(_JOIN_ALL_CHATS, person.id)
    late = await node.person("late")
    chat = await node.group(bob, late)
    await node.database.write(_ALL_USERS_JOIN, chat)
    await node.chats.add_member(chat, bob.id, NewMember(user_id=ann.id))
    if node.database.postgres is not None:
        await node.database.write("ANALYZE")
    return ann, late, chat


async def work(node: Node, monkeypatch: pytest.MonkeyPatch, read: Callable[[], Awaitable[object]]) -> int:
    """What the statements of a read cost: pages touched in PostgreSQL, hundreds of instructions in SQLite."""
    statements: list[tuple[str, tuple[object, ...]]] = []
    fetch = node.database.fetch

    async def noted(sql: str, *values: object) -> list[dict[str, Any]]:
        statements.append((sql, values))
        return await fetch(sql, *values)

    with monkeypatch.context() as patch:
        patch.setattr(node.database, "fetch", noted)
        await read()
    cost = 0
    for sql, values in statements:
        if node.database.postgres is not None:
            (row,) = await fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *values)
            (explained,) = row.values()
            plan = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
            cost += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        else:
            cost += _instructions(str(node.database.sqlite_path), node.database.dialect(sql), values)
    assert 0 < len(statements) <= 2
    return cost


def _instructions(path: str, sql: str, values: tuple[object, ...]) -> int:
    hundreds = 0

    def step() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    connection = sqlite3.connect(path)
    connection.set_progress_handler(step, 100)
    connection.execute(sql, values).fetchall()
    connection.close()
    return hundreds


async def test_pages_have_every_chat_once_newest_first(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(7)]
    await node.group(bob)
    await node.say(message(chats[2], bob))
    listed = await joined(lambda before: node.chats.chat_page(ann.id, before, 3))
    assert [chat.id for chat in listed] == chats[::-1]
    assert [chat.unread for chat in listed] == [0, 0, 0, 0, 1, 0, 0]
    whole = await node.chats.chat_page(ann.id, None, 7)
    assert (len(whole.items), whole.next) == (7, None)
    for user_id, before in ((999, None), (BIGINT_MAX + 1, None), (ann.id, 0), (ann.id, -5)):
        assert await node.chats.chat_page(user_id, before, 3) == Page((), None)


async def test_changes_between_pages_repeat_and_hide_no_other(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(6)]
    first = await node.chats.chat_page(ann.id, None, 2)
    await node.group(ann)
    await node.chats.remove_member(chats[5], ann.id, ann.id)
    await node.chats.remove_member(chats[4], ann.id, ann.id)
    await node.chats.remove_member(chats[2], ann.id, ann.id)
    rest = await joined(lambda before: node.chats.chat_page(ann.id, before or first.next, 2))
    assert [chat.id for chat in first.items] == [chats[5], chats[4]]
    assert [chat.id for chat in rest] == [chats[3], chats[1], chats[0]]


async def test_page_shows_ten_members_and_the_reader(node: Node) -> None:
    people = [await node.person(f"user{number}") for number in range(14)]
    chat = await node.group(people[9], *people[:9], *people[10:])
    for reader in (people[13], people[0]):
        (listed,) = (await node.chats.chat_page(reader.id, None, 5)).items
        assert (len(listed.members), listed.member_count, listed.owner_id) == (LISTED_MEMBERS, 14, people[9].id)
        assert reader.id in {member.person.id for member in listed.members}
        assert len({member.person.id for member in listed.members}) == LISTED_MEMBERS
    shown = await node.chats.chat(chat, people[3].id)
    assert shown is not None
    assert [member.person for member in shown.members] == [people[9], *people[:9], *people[10:]], "the oldest first"


async def test_pages_have_every_member_once_by_id(node: Node) -> None:
    people = [await node.person(f"user{number}") for number in range(7)]
    chat = await node.group(people[3], *people[:3])
    first = await node.chats.member_page(chat, None, 2)
    assert [member.person for member in first.items] == people[:2]
    for person in people[4:]:
        await node.chats.add_member(chat, None, NewMember(user_id=person.id))
    await node.chats.remove_member(chat, None, people[0].id)
    rest: list[Member] = await joined(lambda after: node.chats.member_page(chat, after or first.next, 2))
    assert [member.person for member in rest] == people[2:]
    for chat_id, after in ((999, None), (BIGINT_MAX + 1, None), (chat, BIGINT_MAX + 1)):
        assert await node.chats.member_page(chat_id, after, 2) == Page((), None)


@pytest.mark.timeout(120)
async def test_long_lists_cost_the_same_anywhere(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, late, chat = await large(node)
    chats = node.chats
    listed: list[Chat] = await joined(lambda before: chats.chat_page(ann.id, before, 1000))
    assert len(listed) == CHATS
    ids = [one.id for one in listed]
    assert ids == sorted(ids, reverse=True)
    assert (ids[0], listed[0].member_count) == (chat, MAX_COUNTED_MEMBERS)

    first, middle, last = [
        await work(node, monkeypatch, lambda at=at: chats.chat_page(ann.id, at, 100))  # type: ignore[misc]
        for at in (ids[1], ids[CHATS // 2], ids[-101])
    ]
    assert max(first, middle, last) <= 1.3 * min(first, middle, last)
    few = await work(node, monkeypatch, lambda: chats.chat_page(ann.id, ids[1], 10))
    assert few * 5 <= first <= few * 20, "the cost is that of the rows of the page"
    with_large = await work(node, monkeypatch, lambda: chats.chat_page(ann.id, None, 100))
    assert with_large <= 2 * first

    start, end = [
        await work(node, monkeypatch, lambda after=after: chats.member_page(chat, after, 100))  # type: ignore[misc]
        for after in (None, late.id - 200)
    ]
    assert max(start, end) <= 1.05 * min(start, end) + 5
    shown = await chats.chat(chat, late.id)
    assert shown is not None
    assert len(shown.members) == SHOWN_MEMBERS
    assert late in {member.person for member in shown.members}
    members: list[Member] = await joined(lambda after: chats.member_page(chat, after, 1000))
    assert len(members) == MEMBERS + 3
    assert [member.person.id for member in members] == sorted({member.person.id for member in members})


async def test_stranger_sees_no_chat_and_service_sees_all(node: Node) -> None:
    ann, eve = await node.person("ann"), await node.person("eve")
    group = await node.group(ann)
    public = await node.group(ann, kind=ChatKind.PUBLIC)
    assert await node.chats.chat(group, eve.id) is None
    for chat, reader in ((group, None), (public, eve.id), (public, None)):
        shown = await node.chats.chat(chat, reader)
        assert shown is not None
        assert [member.person for member in shown.members] == [ann]
