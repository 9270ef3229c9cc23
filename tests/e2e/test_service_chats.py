"""Seed 001 over two nodes: service and support chats, where a message reaches all but its sender."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Opcode

from gateway.server.serve import PONG_TIMEOUT_S
from storage.database.database import open_database
from storage.records import ChatKind
from tests.support.chat_client import ChatClient, Frame
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.servers import RedisServer

PING_INTERVAL_S = 1


@pytest.fixture
async def cluster(tmp_path: Path, redis_server: RedisServer, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(
        tmp_path, redis_server.url, database_url, MESSAGES_PER_MINUTE=0, PING_INTERVAL_S=PING_INTERVAL_S
    ) as cluster:
        yield cluster


async def service_chat(cluster: Cluster) -> tuple[int, User, User]:
    """A service chat, its master and its client."""
    master, client = await cluster.user("master"), await cluster.user("client")
    return await cluster.chat(master, client, kind=ChatKind.SERVICE), master, client


async def enter(cluster: Cluster, node: int, chat_id: int, user: User, **query: object) -> ChatClient:
    return await cluster.open(node, f"/ws/service-chats/{chat_id}", user.token, **query)


async def enter_with_since(cluster: Cluster, node: int, chat_id: int, user: User) -> ChatClient:
    client = await enter(cluster, node, chat_id, user, since=0)
    await client.next("caught_up")
    return client


def contents(client: ChatClient) -> list[str]:
    return [frame["content"] for frame in client.of_type("message")]


async def test_flat_message_reaches_peer_on_other_node_and_not_sender(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    left, right = await enter(cluster, 0, chat, master), await enter(cluster, 1, chat, client)
    await left.send(type="message", content="Привет!")  # without a greeting, one may speak at once
    heard = await right.next("message")
    assert list(heard)[:6] == ["type", "id", "content", "sender_id", "chat_id", "created_at"]
    assert (heard["content"], heard["sender_id"], heard["chat_id"], heard["seq"]) == ("Привет!", master.id, chat, 1)
    assert len(heard["created_at"]) == len("2024-01-01T12:00:00")
    await right.send(type="message", content="И вам")
    answer = await left.next("message")
    assert (answer["content"], answer["sender_id"]) == ("И вам", client.id)
    for mine in (left, right):
        await mine.send(type="ping")
        await mine.next("pong")
    assert contents(left) == ["И вам"]
    assert contents(right) == ["Привет!"]
    assert {frame["type"] for frame in left.frames + right.frames} == {"message", "pong"}


async def test_sockets_of_sender_without_since_skip_own_message(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    sending, second = await enter(cluster, 0, chat, master), await enter(cluster, 0, chat, master)
    third, other = await enter(cluster, 1, chat, master), await enter(cluster, 1, chat, client)
    for number in range(5):
        await sending.send(type="message", content=f"m{number}")
    await other.until(lambda _: len(contents(other)) == 5)
    await other.send(type="message", content="end")
    for mine in (sending, second, third):
        await mine.next("message")
        assert contents(mine) == ["end"]
        assert mine.of_type("ack") == []


async def test_sending_socket_with_since_gets_ack_and_others_message(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    sending, second = await enter_with_since(cluster, 0, chat, master), await enter_with_since(cluster, 0, chat, master)
    third, other = await enter_with_since(cluster, 1, chat, master), await enter(cluster, 1, chat, client)
    await sending.send(type="message", content="a", client_msg_id="c1")
    ack = await sending.next("ack")
    heard = await other.next("message")
    epoch = sending.of_type("caught_up")[0]["epoch"]
    assert ack == {"type": "ack", "client_msg_id": "c1", "id": heard["id"], "seq": 1, "epoch": epoch}
    for mine in (second, third):
        assert (await mine.next("message")) == heard
    await sending.send(type="message", content="b")
    assert (await sending.next("ack"))["seq"] == 2
    await third.send(type="message", content="c", client_msg_id="c3")
    assert (await sending.next("message"))["content"] == "c"
    assert contents(sending) == ["c"]
    assert [frame["content"] for frame in (await second.until(lambda _: len(contents(second)) == 3))[1:]] == list("abc")


async def test_message_without_since_is_acked_only_if_it_has_an_id(cluster: Cluster) -> None:
    chat, master, _ = await service_chat(cluster)
    mine = await enter(cluster, 0, chat, master)
    await mine.send(type="message", content="a")
    await mine.send(type="message", content="b", client_msg_id="c2")
    ack = await mine.next("ack")
    assert (ack["client_msg_id"], ack["seq"]) == ("c2", 2)
    assert mine.frames == [ack]


async def test_retry_gets_ack_again_and_is_not_redelivered(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    first, other = await enter_with_since(cluster, 0, chat, master), await enter(cluster, 1, chat, client)
    await first.send(type="message", content="a", client_msg_id="c1")
    ack = await first.next("ack")
    await first.send(type="message", content="a", client_msg_id="c1")
    assert await first.next("ack") == ack | {"duplicate": True}
    second = await enter(cluster, 1, chat, master, since=0)
    assert (await second.next("message"))["id"] == ack["id"]  # a replay includes one's own
    await second.next("caught_up")
    await second.send(type="message", content="a", client_msg_id="c1")
    assert await second.next("ack") == ack | {"duplicate": True}
    await second.send(type="message", content="other", client_msg_id="c1")
    assert (await second.next("error"))["code"] == "id_reused"
    await second.send(type="message", content="b")
    for heard in (other, first):
        await heard.next("message", lambda frame: frame["content"] == "b")
    assert (contents(other), contents(first), contents(second)) == (["a", "b"], ["b"], ["a"])


async def test_message_sent_on_two_nodes_at_once_echoes_to_neither(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    left, right = await enter_with_since(cluster, 0, chat, master), await enter_with_since(cluster, 1, chat, master)
    other = await enter(cluster, 0, chat, client)
    ids = [f"c{number}" for number in range(50)]
    for node in cluster.nodes:
        node.pause()  # each reads its copies before the other has published one
    for id_ in ids:
        await asyncio.gather(*(mine.send(type="message", content="a", client_msg_id=id_) for mine in (left, right)))
    for node in cluster.nodes:
        node.resume()
    for mine in (left, right):
        await mine.until(lambda _, mine=mine: len(mine.of_type("ack")) == len(ids))
    await other.send(type="message", content="end")
    for mine in (left, right):
        await mine.next("message", lambda frame: frame["content"] == "end")
        assert contents(mine) == ["end"]
    acks = sorted(left.of_type("ack") + right.of_type("ack"), key=lambda ack: ack["seq"])
    assert [ack["seq"] for ack in acks] == sorted([*range(1, 51), *range(1, 51)])
    assert sum(ack.get("duplicate", False) for ack in acks) == len(ids)
    await other.until(lambda _: len(contents(other)) == len(ids))


async def test_http_message_reaches_sockets_of_sender_with_since(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    with_since, without = await enter_with_since(cluster, 0, chat, master), await enter(cluster, 1, chat, master)
    other = await enter(cluster, 1, chat, client)
    url = f"{cluster.nodes[0].url}/api/v1/chats/{chat}/messages"
    async with httpx.AsyncClient() as http:
        assert (await http.post(url, json={"text": "by http"}, headers=master.headers)).status_code == 201
    assert (await with_since.next("message"))["content"] == "by http"
    await other.next("message")
    await other.send(type="message", content="end")
    await without.next("message")
    assert contents(without) == ["end"]


async def test_edit_and_deletion_arrive_as_the_message_again(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    phone, other = await cluster.enter(0, chat, master), await enter_with_since(cluster, 1, chat, client)
    sent = await phone.say("first")
    first = await other.next("message")
    assert (first["id"], first["content"]) == (sent["id"], "first")
    await phone.send(type="edit_message", id=sent["id"], text="second")
    edited = await other.next("message")
    assert edited | {"seq": 1, "client_msg_id": first["client_msg_id"]} == first | {
        "content": "second",
        "is_edited": True,
    }
    await phone.send(type="delete_message", id=sent["id"])
    deleted = await other.next("message")
    assert (deleted["id"], deleted["content"], deleted["is_deleted"], deleted["seq"]) == (sent["id"], "", True, 3)
    await other.send(type="message", content="flat")
    assert (await phone.next("message", lambda frame: frame["data"]["seq"] == 4))["data"]["text"] == "flat"


async def test_service_socket_gets_no_typing_receipts_or_presence(cluster: Cluster) -> None:
    chat, master, client = await service_chat(cluster)
    flat = await enter(cluster, 0, chat, client)
    phone = await cluster.enter(1, chat, master)
    await flat.send(type="message", content="hello")
    await phone.next("message")
    await phone.send(type="typing", is_typing=True)
    await phone.send(type="read_messages")
    await phone.say("end")
    await flat.next("message")
    assert [frame["type"] for frame in flat.frames] == ["message"]


async def test_socket_misses_nothing_while_node_subscribes(cluster: Cluster, redis_server: RedisServer) -> None:
    chat, master, client = await service_chat(cluster)
    speaker = await enter(cluster, 0, chat, client)
    redis_server.pause()  # who comes now waits a second for its subscription to the chat
    try:
        mine = await enter(cluster, 1, chat, master)
        await speaker.send(type="message", content="early", client_msg_id="c1")
        await speaker.next("ack")
        assert mine.of_type("message") == []
        await mine.send(type="message", content="own", client_msg_id="c2")
        await mine.next("ack")
    finally:
        redis_server.resume()
    await speaker.next("message")
    await speaker.send(type="message", content="end")
    await mine.next("message", lambda frame: frame["content"] == "end")
    assert contents(mine) == ["early", "end"]


@pytest.mark.parametrize("place", ["query", "cookie", "header", "subprotocol"])
async def test_token_is_accepted_in_every_place(cluster: Cluster, place: str) -> None:
    chat, master, _ = await service_chat(cluster)
    url, token = cluster.nodes[0].ws_url(f"/ws/service-chats/{chat}"), master.token
    match place:
        case "query":
            socket = await connect(f"{url}?token={token}", proxy=None)
        case "cookie":
            headers = {"Cookie": f"access_token={token}"}
            socket = await connect(url, additional_headers=headers, origin=cluster.nodes[0].url, proxy=None)
        case "header":
            socket = await connect(url + "/", additional_headers=master.headers, proxy=None)
        case _:
            socket = await connect(url, subprotocols=["bearer", token], proxy=None)
            assert socket.subprotocol == "bearer"
    async with socket:
        await socket.send('{"type":"ping"}')
        assert await asyncio.wait_for(socket.recv(), 5) == '{"type":"pong"}'


async def refusal(cluster: Cluster, path: str, token: str | None) -> int:
    """The status that the handshake is refused with; with an Origin it must be the close code that goes with it."""
    with pytest.raises(InvalidStatus) as refused:
        await cluster.open(0, path, token)
    node = cluster.nodes[0]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(node.ws_url(path), additional_headers=headers, origin=node.url, proxy=None) as socket:
        await asyncio.wait_for(socket.wait_closed(), 30)
    status = refused.value.response.status_code
    assert socket.close_code == 4000 + status
    return status


async def test_strangers_other_kinds_and_wrong_roles_are_rejected(cluster: Cluster, database_url: str) -> None:
    chat, master, client = await service_chat(cluster)
    support = await cluster.chat(master, client, kind=ChatKind.SUPPORT)
    group = await cluster.chat(master, client)
    stranger = await cluster.user("stranger")
    for path in (
        f"service-chats/{support}",
        f"service-chats/{group}",
        f"support-chats/{chat}",
        f"support-chats/{group}",
    ):
        for member in (master, client):
            assert await refusal(cluster, f"/ws/{path}", member.token) == 403
    for path in (f"service-chats/{chat}", "service-chats/0", "service-chats/x", f"support-chats/{support}"):
        assert await refusal(cluster, f"/ws/{path}", stranger.token) == 403
    assert await refusal(cluster, f"/ws/service-chats/{chat}", None) == 401
    async with open_database(database_url) as database:
        await database.write(
            "UPDATE memberships SET role = 'member' WHERE chat_id = $1 AND user_id = $2", chat, client.id
        )
    assert await refusal(cluster, f"/ws/service-chats/{chat}", client.token) == 403


async def test_support_chat_works_for_agent_and_client(cluster: Cluster) -> None:
    agent, client = await cluster.user("agent"), await cluster.user("client")
    chat = await cluster.chat(agent, client, kind=ChatKind.SUPPORT)
    left, right = [
        await cluster.open(node, f"/ws/support-chats/{chat}", user.token) for node, user in enumerate((agent, client))
    ]
    await left.send(type="message", content="How can I help?")
    assert (await right.next("message"))["sender_id"] == agent.id


async def test_errors_are_those_of_seed_004_and_keep_socket_open(cluster: Cluster) -> None:
    chat, master, _ = await service_chat(cluster)
    mine = await enter(cluster, 0, chat, master)
    for payload, code in (
        ("{", "invalid_json"),
        ('{"type":"message"}', "empty_text"),
        ('{"type":"x"}', "unknown_type"),
    ):
        await mine.send_raw(payload)
        error: Frame = await mine.next("error")
        assert error["code"] == code
    await mine.send_raw(b"\0")
    assert (await mine.next("error"))["code"] == "invalid_json"
    await mine.send(type="ping")
    await mine.next("pong")


async def silent_peer(cluster: Cluster) -> bytes:
    """What a socket that answers nothing gets until the server hangs up."""
    chat, master, _ = await service_chat(cluster)
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.nodes[0].port)
    try:
        request = (
            f"GET /ws/service-chats/{chat}?token={master.token} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        writer.write(request.encode())
        assert b" 101 " in (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.full
async def test_peer_without_pongs_is_dropped(cluster: Cluster) -> None:
    async with asyncio.timeout(2 * PONG_TIMEOUT_S):
        received = await silent_peer(cluster)
    assert received.startswith(b"\x89")  # a ping came first


async def test_server_pings_at_its_interval(cluster: Cluster) -> None:
    chat, master, _ = await service_chat(cluster)
    mine = await enter(cluster, 0, chat, master)
    pings: asyncio.Queue[object] = asyncio.Queue()
    answer = mine.socket.protocol.recv_frame

    def count(frame: Any) -> None:
        if frame.opcode is Opcode.PING:
            pings.put_nowait(frame)
        answer(frame)

    mine.socket.protocol.recv_frame = count  # type: ignore[method-assign]
    for _ in range(2):
        await asyncio.wait_for(pings.get(), 4 * PING_INTERVAL_S)
