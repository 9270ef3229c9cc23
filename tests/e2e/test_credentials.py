"""Every kind of credential on running nodes: tokens of an external issuer, guest tokens and tickets."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from joserfc.jwk import RSAKey
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from storage.records import NewMember
from storage.repositories.identities import Identities
from tests.auth.jwks_server import JwksServer, run_jwks_server
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.external_tokens import RSA, SECRET, by_secret, token
from tests.support.machine_speed import slowness

MAIN = {"JWT_ISSUER": "https://main.example", "JWT_AUDIENCE": "chat", "SECRET_KEY": SECRET}


@pytest.fixture
async def jwks() -> AsyncIterator[JwksServer]:
    async with run_jwks_server(RSA) as server:
        yield server


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, postgres_url: str, jwks: JwksServer) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, postgres_url, JWKS_URL=jwks.url, **MAIN) as cluster:
        yield cluster


async def get(cluster: Cluster, node: int, path: str, credential: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=cluster.nodes[node].url, trust_env=False) as http:
        return await http.get(path, headers={"Authorization": f"Bearer {credential}"})


async def refusal(url: str) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, proxy=None):
            pass
    return refused.value.response.status_code


async def test_external_and_local_users_chat(cluster: Cluster) -> None:
    answers = await asyncio.gather(
        *(get(cluster, n % 2, "/api/v1/chats", by_secret() if n % 3 else token(RSA)) for n in range(12))
    )
    assert [answer.status_code for answer in answers] == [200] * 12  # the first sights, on both nodes at once

    ann = await cluster.user("ann")
    outside = await Identities(cluster.chats._database).person("https://main.example", "u-1", "")
    chat_id = await cluster.chat(ann)
    await cluster.chats.add_member(chat_id, ann.id, NewMember(login=outside.username))
    here = await cluster.enter(0, chat_id, ann)
    there = await cluster.enter(1, chat_id, User(outside, token(RSA)))
    await there.say("from outside")
    said = (await here.next("message"))["data"]
    assert (said["text"], said["sender"]["username"]) == ("from outside", outside.username)
    assert outside.username.startswith("u-1:")


async def test_bearer_subprotocol_in_any_case_opens_socket(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat_id = await cluster.chat(ann)
    for word in ("Bearer", "BEARER", "bearer"):
        offered = [Subprotocol("v1.chat"), Subprotocol(word), Subprotocol(ann.token)]
        async with connect(cluster.nodes[0].chat_url(chat_id), subprotocols=offered, proxy=None) as socket:
            assert socket.subprotocol == word
            assert orjson.loads(await socket.recv())["type"] == "connection_established"
    offered = [Subprotocol("Bearer"), Subprotocol("junk")]
    async with connect(
        cluster.nodes[0].chat_url(chat_id),
        subprotocols=offered,
        origin=Origin(cluster.nodes[0].url),
        proxy=None,
    ) as socket:  # a browser would fail the handshake without an answer, and its page would not learn the code
        assert socket.subprotocol == "Bearer"
        await socket.wait_closed()
        assert socket.close_code == 4401


async def test_valid_cookie_after_stale_one_opens_socket(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat_id = await cluster.chat(ann)
    cookies = {"Cookie": f"access_token=stale; other=1; access_token={ann.token}"}
    url, origin = cluster.nodes[0].chat_url(chat_id), Origin(cluster.nodes[0].url)
    async with connect(url, additional_headers=cookies, origin=origin, proxy=None) as socket:
        assert orjson.loads(await socket.recv())["type"] == "connection_established"


async def test_hanging_external_issuer_does_not_delay_local_users(cluster: Cluster, jwks: JwksServer) -> None:
    jwks.hangs = True
    ann = await cluster.user("ann")
    waiting = asyncio.create_task(get(cluster, 0, "/api/v1/chats", token(RSA)))
    started = time.monotonic()
    assert (await get(cluster, 0, "/api/v1/chats", ann.token)).status_code == 200
    assert (await get(cluster, 0, "/api/v1/chats", by_secret())).status_code == 200
    assert time.monotonic() - started < 1.5 * slowness()
    answer = await waiting
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
    assert time.monotonic() - started < 5 * slowness()


async def test_forged_tokens_are_rejected_without_fetching_their_urls(cluster: Cluster, jwks: JwksServer) -> None:
    assert (await get(cluster, 0, "/api/v1/chats", token(RSA))).status_code == 200
    async with run_jwks_server(RSA) as evil:
        stranger = RSAKey.generate_key(2048, {"kid": evil.url})
        forged = [
            token(stranger, {"jku": evil.url, "x5u": evil.url, "jwk": stranger.as_dict(private=False)}),
            token(stranger, {"kid": "rsa"}),
            by_secret(aud="another"),
            by_secret(iss="https://evil.example"),
            by_secret(drop="exp"),
            by_secret({"typ": "rt+jwt"}),
        ]
        for credential in forged:
            assert (await get(cluster, 0, "/api/v1/chats", credential)).status_code == 401
        assert evil.requests == []
    assert len(jwks.requests) <= 2
    assert not [credential for credential in forged if credential in cluster.nodes[0].log]


async def test_link_opens_one_socket_over_all_nodes(cluster: Cluster) -> None:
    for credential in (by_secret(), (await cluster.user("ann")).token):
        link = (await get(cluster, 0, "/echo_ws", credential)).json()["url"]
        elsewhere = link.replace(str(cluster.nodes[0].port), str(cluster.nodes[1].port))
        assert credential not in link
        async with connect(elsewhere, proxy=None) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
        assert await refusal(elsewhere) == await refusal(link) == 401
        ticket = link.rpartition("=")[2]
        assert ticket.startswith("tkt_")
        assert not [node for node in cluster.nodes if ticket in node.log]


async def test_link_used_twice_concurrently_opens_one_socket(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    for _ in range(5):
        link = (await get(cluster, 0, "/pub_ws", ann.token)).json()["url"]
        elsewhere = link.replace(str(cluster.nodes[0].port), str(cluster.nodes[1].port))
        both = await asyncio.gather(*(connect(url, proxy=None) for url in (link, elsewhere)), return_exceptions=True)
        (winner,) = (socket for socket in both if not isinstance(socket, BaseException))
        (loser,) = (error for error in both if isinstance(error, InvalidStatus))
        assert loser.response.status_code == 401
        await winner.close()


async def test_invalid_token_on_native_socket_means_anonymous(cluster: Cluster) -> None:
    for credential in ("junk", by_secret(aud="another"), by_secret(exp=1)):
        async with connect(cluster.nodes[0].ws_url("/ws/browser-1", token=credential), proxy=None) as socket:
            await socket.send('{"type":"hello","id":1}')
            assert '"authenticated":false' in str(await socket.recv())
    async with connect(cluster.nodes[0].ws_url("/ws/browser-1", token=by_secret()), proxy=None) as socket:
        await socket.send('{"type":"hello","id":1}')
        assert '"authenticated":true' in str(await socket.recv())
