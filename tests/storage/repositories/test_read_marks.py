"""Read positions are moved in groups, each as if it were alone."""

import asyncio
import random

import pytest

from tests.storage.nodes import Node, message, outcomes

MESSAGES = 10


async def crowd(node: Node, members: int) -> tuple[int, list[int]]:
    """A chat with MESSAGES messages, and the ids of members who have read nothing."""
    people = [await node.person(f"user{number}") for number in range(members)]
    chat = await node.group(*people)
    await outcomes([node.submit(message(chat, people[0])) for _ in range(MESSAGES)])
    return chat, [person.id for person in people]


async def test_reads_at_once_share_few_statements(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, users = await crowd(node, 20)
    statements: list[str] = []
    write = node.database.write

    async def noted(sql: str, *values: object) -> list[dict[str, object]]:
        statements.append(sql)
        return await write(sql, *values)

    monkeypatch.setattr(node.database, "write", noted)
    seqs = [1 + number % MESSAGES for number in range(20)]
    moved = await asyncio.gather(*(node.chats.mark_read(chat, *mark) for mark in zip(users, seqs, strict=True)))
    assert (moved, len(statements)) == (seqs, 1)
    assert await node.chats.mark_read(chat, users[0], 1) is None, "it was there already"
    assert await node.chats.mark_read(chat, users[0], 2**70) == MESSAGES
    positions = await node.chats.read_positions([(chat, user) for user in users])
    assert [positions[chat, user].seq for user in users] == [MESSAGES, *seqs[1:]]


async def test_of_two_positions_at_once_the_further_one_moves(node: Node) -> None:
    chat, (ann, bob) = await crowd(node, 2)
    marks = [(chat, ann, 3), (chat, ann, 7), (chat, bob, 2), (chat, ann, 5), (chat, 999, 1), (999, ann, 1)]
    moved = await asyncio.gather(*(node.chats.mark_read(*mark) for mark in marks))
    assert moved == [None, 7, 2, None, None, None]
    beyond = [(chat, ann, MESSAGES + 5), (chat, bob, 0), (chat, -1, 1), (2**70, ann, 1)]
    assert await asyncio.gather(*(node.chats.mark_read(*mark) for mark in beyond)) == [MESSAGES, None, None, None]


@pytest.mark.timeout(120)
async def test_same_readers_on_two_nodes_do_not_deadlock(node: Node, other_node: Node) -> None:
    chat, users = await crowd(node, 40)
    numbers = random.Random(7)

    async def read_all(reader: Node, seq: int) -> None:
        order = numbers.sample(users, len(users))
        await asyncio.gather(*(reader.chats.mark_read(chat, user, seq) for user in order))

    for seq in range(1, MESSAGES + 1):
        await asyncio.gather(read_all(node, seq), read_all(other_node, seq))
    positions = await node.chats.read_positions([(chat, user) for user in users])
    assert {position.seq for position in positions.values()} == {MESSAGES}
