"""Lists by activity: their order, what they show, and what they cost as the log and the unread messages grow."""

import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from storage.list_records import MAX_UNREAD_CHATS, MAX_UNREAD_MESSAGES, ListedChat, ListPlace, UnreadTotals
from storage.records import BIGINT_MAX, MAX_UNREAD, NewEvent, Person
from tests.storage.nodes import Node, deletion, edit, message, outcomes

_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"
_FILL = f"""
{_NUMBERS} INSERT INTO chat_log (chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text, is_edited,
    is_deleted, created_at)
SELECT $2, i, 'message', 0, $3, 'filled' || i, '', 'x', false, false, CURRENT_TIMESTAMP FROM n
"""
_CROWD = f"""
{_NUMBERS} INSERT INTO users (login, login_folded, password_hash, first_name, last_name, created_at)
SELECT 'crowd' || i, 'crowd' || i, '', '', '', CURRENT_TIMESTAMP FROM n
"""
_CROWD_JOINS = """
INSERT INTO memberships (chat_id, user_id, role, read_seq, joined_at)
SELECT $1, u.id, 'member', 0, CURRENT_TIMESTAMP FROM users u WHERE u.login LIKE 'crowd%'
"""


async def listed(node: Node, person: Person, limit: int = 2, **choices: bool) -> list[ListedChat]:
    """All pages after each other."""
    chats: list[ListedChat] = []
    place: ListPlace | None = None
    while True:
        page = await node.lists.by_activity(person.id, place, limit, **choices)
        chats += page.chats
        if (place := page.next) is None:
            return chats


async def ids(node: Node, person: Person, limit: int = 2, **choices: bool) -> list[int]:
    """The chats in the list."""
    return [one.chat.id for one in await listed(node, person, limit, **choices)]


async def arrange(node: Node, chat_id: int, person: Person, **columns: object) -> None:
    """Set columns of the membership."""
    for name, value in columns.items():
        await node.database.write(
            f"UPDATE memberships SET {name} = $1 WHERE chat_id = $2 AND user_id = $3", value, chat_id, person.id
        )


async def test_chats_are_listed_by_their_last_message(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(5)]
    first = await node.say(message(chats[0], bob, "one"))
    await node.say(message(chats[1], bob, "two"))
    await node.say(message(chats[3], ann, "three"))
    assert await ids(node, ann) == [chats[3], chats[1], chats[0], chats[4], chats[2]]
    await node.say(edit(first, "changed"))
    shown = await listed(node, ann)
    assert [one.chat.id for one in shown] == [chats[3], chats[1], chats[0], chats[4], chats[2]], "edits move no chat"
    assert [one.last_message and one.last_message.text for one in shown] == ["three", "two", "changed", None, None]
    assert (shown[2].last_activity_at, shown[2].last_message) == (first.created_at, (await node.history(chats[0]))[0])
    assert [one.chat.unread for one in shown] == [0, 1, 1, 0, 0]
    assert {member.person for member in shown[0].chat.members} == {ann, bob}
    assert await node.lists.by_activity(BIGINT_MAX + 1, None, 5) == await node.lists.by_activity(999, None, 5)
    assert all(one.last_message is None for one in await listed(node, ann, last_messages=False))


async def test_batch_leaves_its_last_message_of_each_chat(node: Node) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(2)]
    await outcomes([node.submit(message(chats[n % 2], ann, str(n))) for n in range(40)])
    shown = await listed(node, ann)
    assert [one.last_message.text for one in shown if one.last_message] == (
        ["39", "38"] if shown[0].chat.id == chats[1] else ["38", "39"]
    )


async def test_deleted_last_message_is_shown_as_deleted(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    await node.say(deletion(await node.say(message(chat, ann))))
    (shown,) = await listed(node, ann)
    assert shown.last_message is not None
    assert (shown.last_message.text, shown.last_message.is_deleted, shown.chat.last_seq) == ("", True, 2)


async def test_activity_between_pages_repeats_and_hides_no_other(node: Node) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(6)]
    first = await node.lists.by_activity(ann.id, None, 2)
    for chat in (chats[4], chats[1]):
        await node.say(message(chat, ann))
    await node.chats.remove_member(chats[2], ann.id, ann.id)
    rest = await node.lists.by_activity(ann.id, first.next, 10)
    assert [one.chat.id for one in (*first.chats, *rest.chats)] == [chats[5], chats[4], chats[3], chats[0]]
    assert await ids(node, ann) == [chats[1], chats[4], chats[5], chats[3], chats[0]]


async def test_pinned_chats_come_first_and_archived_ones_apart(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(6)]
    for chat in (chats[0], chats[2]):
        await arrange(node, chat, ann, is_pinned=True)
    for chat in (chats[2], chats[3]):
        await arrange(node, chat, ann, is_archived=True)
    await arrange(node, chats[5], ann, silenced_until=1_000_000)
    for limit in (1, 2, 10):
        assert await ids(node, ann, limit) == [chats[0], chats[5], chats[4], chats[1]]
        assert await ids(node, ann, limit, archived=True) == [chats[2], chats[3]]
    shown = await listed(node, ann)
    assert [one.is_pinned for one in shown] == [True, False, False, False]
    assert [one.silenced_until for one in shown] == [None, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None, None]
    assert [one.is_archived for one in await listed(node, ann, archived=True)] == [True, True]
    assert await ids(node, bob) == chats[::-1]


async def test_unread_list_has_only_messages_by_others(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(5)]
    for chat in (chats[0], chats[2], chats[4]):
        await node.say(message(chat, bob))
    await node.say(message(chats[1], ann))
    await node.chats.mark_read(chats[2], ann.id, 1)
    for limit in (1, 2, 10):
        assert await ids(node, ann, limit, unread=True) == [chats[4], chats[0]]


async def test_chat_of_an_earlier_version_is_listed_by_its_log(node: Node) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(3)]
    said = await node.say(message(chats[1], ann, "said"))
    await node.say(message(chats[0], ann, "latest"))
    await node.say(edit(said, "edited"))
    await node.database.write("UPDATE chats SET last_activity = 0, last_message_id = NULL")
    shown = await listed(node, ann)
    assert [one.chat.id for one in shown] == [chats[1], chats[0], chats[2]]
    assert [one.last_message and one.last_message.text for one in shown] == ["edited", "latest", None]
    assert abs(shown[1].last_activity_at - said.created_at) < timedelta(minutes=1)


async def test_totals_count_what_lists_show_as_unread(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(5)]
    for chat in (chats[0], chats[0], chats[1], chats[2], chats[3]):
        await node.say(message(chat, bob))
    await node.say(message(chats[4], ann))
    now = datetime.now(UTC)
    assert await node.lists.unread_totals(ann.id, now) == UnreadTotals(4, 5, 0)
    await arrange(node, chats[1], ann, is_archived=True)
    await arrange(node, chats[2], ann, silenced_until=int(now.timestamp() * 1e6) + 60_000_000)
    assert await node.lists.unread_totals(ann.id, now) == UnreadTotals(2, 3, 0)
    assert await node.lists.unread_totals(ann.id, now + timedelta(minutes=2)) == UnreadTotals(3, 4, 0)
    await node.chats.mark_read(chats[0], ann.id, 2)
    assert await node.lists.unread_totals(ann.id, now) == UnreadTotals(1, 1, 0)
    for stranger in (999, BIGINT_MAX + 1):
        assert await node.lists.unread_totals(stranger, now) == UnreadTotals(0, 0, 0)


async def test_unread_mentions_are_counted_in_lists_and_totals(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(3)]

    def to_ann(chat: int) -> NewEvent:
        return replace(message(chat, bob, "@ann"), mentions=(ann.id,))

    for event in (to_ann(chats[0]), to_ann(chats[0]), message(chats[1], bob), to_ann(chats[1])):
        await node.say(event)
    now = datetime.now(UTC)
    assert [one.mentions for one in await listed(node, ann)] == [1, 2, 0]
    assert [one.mentions for one in await listed(node, bob)] == [0, 0, 0]
    assert await node.lists.unread_totals(ann.id, now) == UnreadTotals(2, 4, 3)
    await node.chats.mark_read(chats[0], ann.id, 1)
    assert [one.mentions for one in await listed(node, ann)] == [1, 1, 0]
    assert await node.lists.unread_totals(ann.id, now) == UnreadTotals(2, 3, 2)


async def test_totals_are_capped(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(MAX_UNREAD_CHATS + 5)]
    await outcomes([node.submit(message(chat, bob)) for chat in chats])
    now = datetime.now(UTC)
    assert await node.lists.unread_totals(ann.id, now) == UnreadTotals(MAX_UNREAD_CHATS, len(chats), 0)
    await outcomes([node.submit(message(chats[0], bob)) for _ in range(MAX_UNREAD_MESSAGES - 2 * MAX_UNREAD)])
    assert (await node.lists.unread_totals(ann.id, now)).messages == MAX_UNREAD_MESSAGES - 2 * MAX_UNREAD + len(chats)
    await outcomes([node.submit(message(chats[0], bob)) for _ in range(2 * MAX_UNREAD)])
    assert (await node.lists.unread_totals(ann.id, now)).messages == MAX_UNREAD + len(chats) - 1, "too far to count"


async def test_reads_of_lists_do_not_grow_with_the_log(postgres_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node, now = postgres_node, datetime.now(UTC)
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(40)]
    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: node.lists.by_activity(ann.id, None, 20),
        lambda: node.lists.by_activity(ann.id, None, 20, unread=True),
        lambda: node.lists.unread_totals(ann.id, now),
    ]
    elsewhere = await node.group(bob)
    await node.database.write(_CROWD, 5_000)
    await node.database.write(_CROWD_JOINS, elsewhere)
    costs: list[list[int]] = []
    for messages in (2 * MAX_UNREAD, 1_500):
        await node.database.write("DELETE FROM chat_log")
        for chat in chats:
            await node.database.write(_FILL, messages, chat, bob.id)
        await node.database.write("UPDATE chats SET last_seq = $1", messages)
        await node.database.write("ANALYZE")
        costs.append([await pages_read(node, monkeypatch, read) for read in reads])
    few, many = costs
    assert all(later <= 1.5 * earlier for earlier, later in zip(few, many, strict=True)), costs


async def pages_read(node: Node, monkeypatch: pytest.MonkeyPatch, read: Callable[[], Awaitable[object]]) -> int:
    """The buffers that the read touches, by plans that are made once for all values, as connections keep them."""
    statements: list[tuple[str, tuple[object, ...]]] = []
    fetch = node.database.fetch

    async def noted(sql: str, *values: object) -> list[dict[str, object]]:
        statements.append((sql, values))
        return await fetch(sql, *values)

    with monkeypatch.context() as patch:
        patch.setattr(node.database, "fetch", noted)
        await read()
    postgres = node.database.postgres
    assert postgres is not None
    total = 0
    async with postgres.acquire_connection() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for number, (sql, values) in enumerate(statements):
            await connection.execute(f"PREPARE read_{number} AS {sql}")
            literals = ", ".join(f"'{{{', '.join(map(str, v))}}}'" if isinstance(v, list) else str(v) for v in values)
            (row,) = await connection.fetch(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE read_{number} ({literals})"
            )
            plan = json.loads(row[0])[0]["Plan"]
            for node_type, relation in _scans(plan):
                assert node_type != "Seq Scan" or relation not in {"chat_log", "memberships"}
            total += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            await connection.execute(f"DEALLOCATE read_{number}")
        await connection.execute("RESET plan_cache_mode")
    return total


def _scans(plan: dict[str, object]) -> list[tuple[object, object]]:
    children = plan.get("Plans", [])
    assert isinstance(children, list)
    below = itertools.chain.from_iterable(map(_scans, children))
    return [(plan["Node Type"], plan.get("Relation Name")), *below]
