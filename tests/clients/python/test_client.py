"""The Python client against two nodes behind nginx: nothing is lost, doubled or out of order, whatever dies."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from chat_gateway_client import (
    AsyncServer,
    CaughtUp,
    Client,
    Disconnected,
    Message,
    Other,
    Position,
    Reaction,
    Rejected,
    Reset,
    Unauthorized,
)

from auth.tokens.access_tokens import Issuer, TokenNames
from tests.support.cluster import Cluster, run_cluster
from tests.support.servers import NginxServer

LIMIT_S = 60
KEY = "key-of-the-backend"


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, postgres_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, postgres_url, SERVICE_KEYS=KEY, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


@pytest.fixture
def url(cluster: Cluster, nginx: Callable[[Sequence[int]], NginxServer]) -> str:
    """That of the load balancer."""
    return f"http://127.0.0.1:{nginx([node.port for node in cluster.nodes]).port}"


async def texts(client: Client, count: int, chat_id: int | None = None) -> list[str]:
    """The texts of the next messages, of one chat or of all."""
    found: list[str] = []
    async with asyncio.timeout(LIMIT_S):
        async for event in client.events():
            if isinstance(event, Message) and chat_id in (None, event.chat_id):
                found.append(event.text)
            if len(found) == count:
                break
    return found


async def test_message_edit_and_deletion_reach_the_other(cluster: Cluster, url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    async with Client(url, ann.token) as sender, Client(url, bob.token) as receiver:
        await receiver.subscribe(chat)
        sent = await sender.send(chat, "Helo", data={"order": 7})
        await sender.edit(chat, sent.message_id, "Hello")
        await sender.react(chat, sent.message_id, "👍")
        await sender.react(chat, sent.message_id, "👍")
        await sender.delete(chat, sent.message_id)
        events = receiver.events()
        async with asyncio.timeout(LIMIT_S):
            told = [await anext(events) for _ in range(4)]
        assert [event.text for event in told if isinstance(event, Message)] == ["Helo", "Hello", ""]
        assert isinstance(told[0], Message) and told[0].sender and told[0].sender.display_name == "Ann Test"
        assert [(event.key, event.counts) for event in told if isinstance(event, Reaction)] == [("👍", {"👍": 1})]
        position = receiver.position(chat)
        assert position is not None and position.seq == 4
        (kept,) = await receiver.history(chat)
        assert (kept.id, kept.is_deleted, kept.sender and kept.sender.id) == (sent.message_id, True, ann.id)
        await receiver.read(chat, 3)
        await receiver.typing(chat)
        await receiver.unsubscribe(chat)


async def test_client_is_of_one_user_and_waits_for_slow_mode(cluster: Cluster, url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    users = [bob]
    async with AsyncServer(url, KEY) as server:
        await server.request("PATCH", f"/api/v1/chats/{chat}", {"slow_mode_s": 2})

    async def token(_: str) -> str:
        return users[-1].token

    async with Client(url, token) as client:
        assert client.user_id == bob.id
        first, second = await client.send(chat, "one"), await client.send(chat, "two")
        assert (first.seq, second.seq) == (1, 2)
        users.append(ann)
        for node in cluster.nodes:
            await asyncio.to_thread(node.kill)
        sending = asyncio.create_task(client.send(chat, "I am Bob"))
        for node in cluster.nodes:
            await asyncio.to_thread(node.start)
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(Unauthorized):
                await sending
    async with Client(url, bob.token) as client:
        assert [message.text for message in await client.history(chat)] == ["one", "two"]


async def test_nothing_is_lost_while_nodes_are_killed(cluster: Cluster, url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chats = [await cluster.chat(ann, bob) for _ in range(2)]
    expected = [f"{number}" for number in range(60)]
    async with Client(url, ann.token) as sender, Client(url, bob.token) as receiver:
        for chat in chats:
            await receiver.subscribe(chat)

        async def write(chat: int) -> None:
            for text in expected:
                await sender.send(chat, text)

        async def kill() -> None:
            for node in (*cluster.nodes, *cluster.nodes):
                await asyncio.sleep(1)
                await asyncio.to_thread(node.kill)
                await asyncio.to_thread(node.start)

        async with asyncio.timeout(2 * LIMIT_S), asyncio.TaskGroup() as group:
            for chat in chats:
                group.create_task(write(chat))
            group.create_task(kill())
        found: dict[int, list[str]] = {chat: [] for chat in chats}
        async with asyncio.timeout(LIMIT_S):
            async for event in receiver.events():
                if isinstance(event, Message):
                    found[event.chat_id].append(event.text)
                if sum(map(len, found.values())) == 2 * len(expected):
                    break
    assert found == dict.fromkeys(chats, expected)


async def test_slow_application_gets_everything_in_order(cluster: Cluster, url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    async with Client(url, ann.token) as sender, Client(url, bob.token, max_events=10) as receiver:
        await receiver.subscribe(chat)
        for number in range(60):
            await sender.send(chat, str(number))
        assert await texts(receiver, 60) == [str(number) for number in range(60)]


async def test_restarted_application_resumes_from_its_position(cluster: Cluster, url: str) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    async with Client(url, ann.token) as client:
        await client.subscribe(chat)
        await client.send(chat, "one")
        assert await texts(client, 1) == ["one"]
        position = client.position(chat)
        await client.send(chat, "two")
    assert position is not None
    async with Client(url, ann.token) as client:
        await client.subscribe(chat, since=Position.parse(str(position)))
        events = client.events()
        second, caught_up = await anext(events), await anext(events)
        assert isinstance(second, Message) and second.text == "two"
        assert isinstance(caught_up, CaughtUp)
        await client.unsubscribe(chat)
        await client.subscribe(chat, since=Position("another", 5))
        reset = await anext(events)
        assert isinstance(reset, Reset) and reset.position == Position(position.epoch, 2)


async def test_rejected_command_raises_and_client_goes_on(cluster: Cluster, url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    own, foreign = await cluster.chat(ann), await cluster.chat(bob)
    async with Client(url, ann.token) as client:
        for work in (client.subscribe(foreign), client.send(foreign, "hi"), client.send(own, " ")):
            with pytest.raises(Rejected):
                await work
        assert client.position(foreign) is None
        stored = await client.send(own, "hi", client_msg_id="one")
        again = await client.send(own, "hi", client_msg_id="one")
        assert (again.seq, again.duplicate) == (stored.seq, True)


async def test_removed_member_is_told(cluster: Cluster, url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    async with Client(url, bob.token) as client, AsyncServer(url, KEY) as server:
        await client.subscribe(chat)
        await server.request("DELETE", f"/api/v1/chats/{chat}/members/{bob.id}")
        async with asyncio.timeout(LIMIT_S):
            async for event in client.events():
                if isinstance(event, Other) and event.type == "chat_removed":
                    break


async def test_token_function_is_told_why(cluster: Cluster, url: str) -> None:
    ann = await cluster.user("ann")
    asked: list[str] = []

    async def token(why: str) -> str:
        asked.append(why)
        if len(asked) == 1:
            raise OSError("the backend is away")
        return ann.token if why == "rejected" else "expired"

    async with Client(url, token):
        assert asked == ["connect", "connect", "rejected"]


async def test_expired_token_is_renewed_in_place(cluster: Cluster, url: str) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    asked: list[str] = []

    async def token(why: str) -> str:
        asked.append(why)
        lifetime_s = 600 if why == "expiring" else 5
        issuer = Issuer(TokenNames(), lifetime_s)
        return issuer.issue(await cluster.keys.signing_key(), ann.id, ann.person.username)

    async with Client(url, token) as client:
        async with asyncio.timeout(LIMIT_S):
            while "expiring" not in asked:
                await asyncio.sleep(0.1)
        await client.send(chat, "still here")
    assert asked == ["connect", "expiring"]


@pytest.mark.parametrize("is_function", [False, True])
async def test_client_without_valid_token_raises(cluster: Cluster, url: str, is_function: bool) -> None:
    async def token(_: str) -> str:
        return "not valid"

    with pytest.raises(Unauthorized):
        async with Client(url, token if is_function else "not valid"):
            pass


async def test_ban_ends_events_and_commands(cluster: Cluster, url: str) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    async with Client(url, ann.token) as client, AsyncServer(url, KEY) as server:
        await client.subscribe(chat)
        await server.request("PUT", f"/api/v1/users/{ann.id}/ban", {"reason": "spam"})
        with pytest.raises(Disconnected) as ended:
            async with asyncio.timeout(LIMIT_S):
                async for _ in client.events():
                    pass
        assert ended.value.code == 4408
        with pytest.raises(Disconnected):
            await client.send(chat, "hi")


async def test_closed_client_ends_its_events(cluster: Cluster, url: str) -> None:
    ann = await cluster.user("ann")
    client = Client(url, ann.token)
    async with client:
        reading = asyncio.create_task(anext(client.events(), None))
        await asyncio.sleep(0)
    with suppress(Disconnected):
        assert await reading is None
