"""The JavaScript client in Node, against two nodes behind nginx: nothing is lost, doubled or out of order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth.tokens.access_tokens import Issuer, TokenNames
from httpapi.docs_pages import program_version
from tests.clients.js.one_user import client_is_of_one_user
from tests.node.js_client import JsClient, JsError, NodeProcess, node_process
from tests.support.cluster import Cluster, run_cluster
from tests.support.servers import NginxServer

VERSION = program_version()
KEY = "key-of-the-backend"


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, postgres_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, postgres_url, SERVICE_KEYS=KEY, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


@pytest.fixture
def url(cluster: Cluster, nginx: Callable[[Sequence[int]], NginxServer]) -> str:
    """That of the load balancer."""
    return f"http://127.0.0.1:{nginx([node.port for node in cluster.nodes]).port}"


@pytest.fixture
async def node() -> AsyncIterator[NodeProcess]:
    async with node_process() as node:
        yield node


def texts(chat: dict[str, Any]) -> list[str]:
    return [message["text"] for message in chat["messages"]]


async def events(client: JsClient) -> list[tuple[int, int]]:
    found = (await client.do("client"))["events"]
    return [(event["chat_id"], event["data"]["seq"] if event["type"] == "message" else event["seq"]) for event in found]


async def test_chats_lists_and_tokens(cluster: Cluster, url: str, node: NodeProcess) -> None:
    """One start of the servers for all that leaves them alone."""
    await gateway_serves_the_client(cluster)
    await chat_shows_what_is_sent_edited_and_read(cluster, url, node)
    await other_history_is_loaded_again(cluster, url, node)
    await list_follows_the_feed_without_subscriptions(cluster, url, node)
    await tokens_are_renewed_and_rejected(cluster, url, node)
    await client_is_of_one_user(cluster, url, node)
    await event_stream_serves_where_sockets_are_blocked(cluster, url, node)


async def gateway_serves_the_client(cluster: Cluster) -> None:
    kept = {VERSION: "public, max-age=31536000, immutable", "current": "no-cache"}
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url) as http:
        for version, cache_control in kept.items():
            response = await http.get(f"/static/client/{version}/src/client.js")
            assert (response.status_code, response.headers["Cache-Control"]) == (200, cache_control)
            assert response.headers["Content-Type"].startswith("text/javascript")
        assert (await http.get("/static/client/0.0.0/index.js")).status_code == 404


async def chat_shows_what_is_sent_edited_and_read(cluster: Cluster, url: str, node: NodeProcess) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    anns, bobs = await node.client("ann", url, ann.token), await node.client("bob", url, bob.token)
    await bobs.open(chat)
    await anns.open(chat)

    sent = await anns.act(chat, "send", "Helo", {"data": {"order": 7}})
    await anns.act(chat, "edit", sent["message_id"], "Hello")
    await bobs.act(chat, "react", sent["message_id"], "👍")
    await bobs.act(chat, "react", sent["message_id"], "👍")
    reply = await bobs.act(chat, "send", "Yes?", {"reply_to": sent["message_id"], "mentions": [ann.id]})

    for client, own in ((anns, []), (bobs, ["👍"])):
        shown = await client.chat_when(chat, lambda chat: len(chat["messages"]) == 2)
        first, second = shown["messages"]
        assert (first["id"], first["seq"], first["version"], first["text"]) == (sent["message_id"], 1, 3, "Hello")
        assert (first["data"], first["reactions"], first["own_reactions"]) == ({"order": 7}, {"👍": 1}, own)
        assert (first["status"], first["is_edited"], first["reply_count"]) == ("stored", True, 1)
        assert (second["id"], second["reply_to"]["text"]) == (reply["message_id"], "Hello")
        await client.chat_when(chat, lambda chat: set(chat["presence"]["users"]) == {str(ann.id), str(bob.id)})
        assert shown["info"]["id"] == chat
        assert not shown["hasUnsent"]
        assert await events(client) == [(chat, seq) for seq in (1, 2, 3, 4)]

    await bobs.act(chat, "markRead")
    await bobs.act(chat, "setTyping", True)
    await anns.chat_when(chat, lambda chat: chat["readSeqs"].get(str(bob.id)) == 4)
    await anns.chat_when(chat, lambda chat: chat["typing"] == {str(bob.id): "Bob Test"})
    await anns.act(chat, "delete", sent["message_id"])
    shown = await bobs.chat_when(chat, lambda chat: chat["messages"][0]["is_deleted"])
    assert (texts(shown), shown["messages"][1]["reply_to"]["text"]) == (["", "Yes?"], "")
    assert (await anns.do("client"))["me"]["id"] == ann.id

    async with httpx.AsyncClient(base_url=url, headers={"X-Service-Key": KEY}) as service:
        (await service.post(f"/api/v1/chats/{chat}/messages", json={"text": "Paid."})).raise_for_status()
    shown = await anns.chat_when(chat, lambda chat: len(chat["messages"]) == 3)
    assert (shown["messages"][2]["kind"], shown["messages"][2]["sender"]) == ("system", None)

    with pytest.raises(JsError) as rejected:
        await anns.act(chat, "send", " ")
    assert (rejected.value.name, rejected.value.code) == ("Rejected", "empty_text")
    failed = (await anns.chat_when(chat, lambda chat: chat["hasUnsent"]))["messages"][-1]
    assert (failed["status"], failed["error"]["code"]) == ("rejected", "empty_text")
    await anns.act(chat, "discard", failed)
    await anns.chat_when(chat, lambda chat: not chat["hasUnsent"] and len(chat["messages"]) == 3)


async def test_nothing_is_lost_when_nodes_and_pages_end(cluster: Cluster, url: str, node: NodeProcess) -> None:
    await nothing_is_lost_while_nodes_are_killed(cluster, url, node)
    await nothing_is_lost_while_nodes_are_killed(cluster, url, node, isBlocked=True)
    await unsent_messages_survive_page_and_outage(cluster, url, node)


async def nothing_is_lost_while_nodes_are_killed(
    cluster: Cluster, url: str, node: NodeProcess, **options: object
) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chats = [await cluster.chat(ann, bob) for _ in range(2)]
    anns = await node.client("ann", url, ann.token, **options)
    bobs = await node.client("bob", url, bob.token, **options)
    for chat in chats:
        await bobs.open(chat)
        await anns.open(chat)
    expected = [f"{number}" for number in range(60)]

    async def write(chat: int) -> None:
        await asyncio.gather(*(anns.act(chat, "send", text) for text in expected))

    async def kill() -> None:
        for one in (*cluster.nodes, *cluster.nodes):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(one.kill)
            await asyncio.to_thread(one.start)

    async with asyncio.TaskGroup() as group:
        for chat in chats:
            group.create_task(write(chat))
        group.create_task(kill())
    for client in (anns, bobs):
        for chat in chats:
            shown = await client.chat_when(chat, lambda chat: len(chat["messages"]) >= len(expected))
            assert texts(shown) == expected
        assert sorted(await events(client)) == [(chat, seq) for chat in chats for seq in range(1, 61)]


async def unsent_messages_survive_page_and_outage(cluster: Cluster, url: str, node: NodeProcess) -> None:
    """Messages that were sent while no node ran, of a page that ended, and a rejected one."""
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    page = await node.client("first", url, ann.token, isKept=True)
    await page.open(chat)
    await page.when("client", lambda client: "username" in client["me"])
    for one in cluster.nodes:
        await asyncio.to_thread(one.kill)
    await page.when("client", lambda client: client["state"] != "live")
    sends = [asyncio.create_task(page.act(chat, "send", text)) for text in ("one", "two", " ", "three")]
    shown = await page.chat_when(chat, lambda chat: len(chat["messages"]) == 4)
    assert [(message["text"], message["status"]) for message in shown["messages"]] == [
        (text, "sending") for text in ("one", "two", " ", "three")
    ]
    await page.do("forget")
    for send in sends:
        send.cancel()
    for one in cluster.nodes:
        await asyncio.to_thread(one.start)

    reloaded = await node.client("second", url, ann.token, isKept=True)
    await reloaded.when("client", lambda client: client["kept"] == 1)
    await reloaded.open(chat)
    shown = await reloaded.chat_when(chat, lambda chat: len(chat["messages"]) == 4)
    assert [(message["text"], message["status"]) for message in shown["messages"]] == [
        ("one", "stored"),
        ("two", "stored"),
        ("three", "stored"),
        (" ", "rejected"),
    ]
    await page.do("use", "resume")
    shown = await page.chat_when(chat, lambda chat: not chat["isSending"] and len(chat["messages"]) == 4)
    assert [message["status"] for message in shown["messages"]] == ["stored", "stored", "stored", "rejected"]


async def other_history_is_loaded_again(cluster: Cluster, url: str, node: NodeProcess) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    anns = await node.client("ann", url, ann.token)
    sent = await anns.act(chat, "send", "one")
    assert sent["seq"] == 1
    later = await node.client("later", url, ann.token)
    await later.do("open", chat, {"since": "another:57"})
    shown = await later.chat_when(chat, lambda chat: texts(chat) == ["one"])
    assert shown["position"] == (await anns_position(anns, chat))
    resumed = await node.client("resumed", url, ann.token)
    await resumed.do("open", chat, {"since": shown["position"].rpartition(":")[0] + ":0"})
    await resumed.chat_when(chat, lambda chat: texts(chat) == ["one"])
    assert await events(resumed) == [(chat, 1)]


async def anns_position(client: JsClient, chat: int) -> str:
    await client.open(chat)
    return str((await client.do("chat", chat))["position"])


async def list_follows_the_feed_without_subscriptions(cluster: Cluster, url: str, node: NodeProcess) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    old, new = await cluster.chat(ann, bob), await cluster.chat(ann, bob)
    anns, bobs = await node.client("ann", url, ann.token), await node.client("bob", url, bob.token)
    await bobs.when("chats", lambda chats: [chat["id"] for chat in chats["items"]] == [new, old])

    await anns.act(old, "send", "Hello", {"mentions": [bob.id]})
    shown = await bobs.when("chats", lambda chats: chats["items"][0].get("last_message"))
    (top, _) = shown["items"]
    assert (top["id"], top["last_message"]["text"], top["unread"], top["mentions"]) == (old, "Hello", 1, 1)
    await bobs.open(old)
    await anns.act(old, "send", "again")
    shown = await bobs.when("chats", lambda chats: chats["items"][0]["last_message"]["text"] == "again")
    assert shown["items"][0]["unread"] == 2
    await bobs.act(old, "markRead")
    shown = await bobs.do("chats")
    assert (shown["items"][0]["unread"], shown["items"][0]["mentions"]) == (0, 0)

    phone = await node.client("phone", url, bob.token)
    await phone.when("chats", lambda chats: chats["isLoaded"])
    await anns.act(new, "send", "psst")
    await bobs.when("chats", lambda chats: chats["items"][0]["unread"] == 1)
    await phone.open(new)
    await phone.chat_when(new, lambda chat: texts(chat) == ["psst"])
    await phone.act(new, "markRead")
    await bobs.when("chats", lambda chats: chats["items"][0]["unread"] == 0)

    created = await anns.do("use", "call", "POST", "/api/v1/chats", {"kind": "group", "members": [{"user_id": bob.id}]})
    await bobs.when("chats", lambda chats: chats["items"][0]["id"] == created["id"])
    await bobs.do("use", "watchPresence", [ann.id])
    await bobs.when("client", lambda client: client["online"].get(str(ann.id), {}).get("online"))
    await anns.do("use", "close")
    await bobs.when("client", lambda client: not client["online"][str(ann.id)]["online"])
    await bobs.do("open", created["id"])
    await bobs.do("use", "call", "DELETE", f"/api/v1/chats/{created['id']}/members/{bob.id}")
    await bobs.when("chats", lambda chats: len(chats["items"]) == 2)
    closed = await bobs.chat_when(created["id"], lambda chat: chat["state"] == "closed")
    assert closed["error"]["code"] == "forbidden"


async def tokens_are_renewed_and_rejected(cluster: Cluster, url: str, node: NodeProcess) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    short = Issuer(TokenNames(), 5).issue(await cluster.keys.signing_key(), ann.id, ann.person.username)

    client = await node.client("renewed", url, [None, "expired", short, ann.token])
    told = await client.when("client", lambda client: len(client["whys"]) == 4)
    assert told["whys"] == ["connect", "connect", "rejected", "expiring"]
    assert (await client.act(chat, "send", "still here"))["seq"] == 1
    assert (await client.do("client"))["state"] == "live"

    for token in ("not valid", ["not valid"]):
        client = await node.client("refused", url, token)
        told = await client.when("client", lambda client: client["state"] == "closed")
        assert told["closeCode"] == 4401
        with pytest.raises(JsError) as ended:
            await client.do("use", "command", "history", {"chat_id": chat})
        assert (ended.value.name, ended.value.code) == ("Disconnected", 4401)


async def event_stream_serves_where_sockets_are_blocked(cluster: Cluster, url: str, node: NodeProcess) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    first, second = await cluster.chat(ann, bob), await cluster.chat(ann, bob)
    anns = await node.client("ann", url, ann.token, isBlocked=True)
    bobs = await node.client("bob", url, bob.token)
    await anns.open(first)
    await bobs.open(first)
    sent = await anns.act(first, "send", "Helo")
    await anns.act(first, "edit", sent["message_id"], "Hello")
    await bobs.act(first, "send", "Hi")
    for client in (anns, bobs):
        await client.chat_when(first, lambda chat: texts(chat) == ["Hello", "Hi"])
    await anns.when("chats", lambda chats: chats["isLoaded"])
    await bobs.act(second, "send", "psst")
    await anns.when("chats", lambda chats: chats["items"][0]["id"] == second)
    await anns.open(second)
    await anns.do("use", "watchPresence", [bob.id])
    await anns.when("client", lambda client: client["online"].get(str(bob.id), {}).get("online"))
    await bobs.act(first, "send", "again")
    await bobs.act(second, "send", "there")
    await anns.chat_when(first, lambda chat: texts(chat) == ["Hello", "Hi", "again"])
    await anns.chat_when(second, lambda chat: texts(chat) == ["psst", "there"])
    assert sorted(await events(anns)) == [(first, 1), (first, 2), (first, 3), (first, 4), (second, 2)]
    with pytest.raises(JsError) as rejected:
        await anns.act(first, "send", " ")
    assert rejected.value.code == "empty_text"

    foreign = await cluster.chat(bob)
    await anns.do("open", foreign)
    closed = await anns.chat_when(foreign, lambda chat: chat["state"] == "closed")
    assert closed["error"]["code"] == "forbidden"
    refused = await node.client("refused", url, "not valid", isBlocked=True)
    await refused.when("client", lambda client: client["closeCode"] == 4401)
