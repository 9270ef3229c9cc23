"""Every kind of credential on running nodes: an outside issuer's tokens, guests', and tickets."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import RSAKey
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from storage.identities import Identities
from storage.records import NewMember
from tests.auth.jwks_server import JwksServer, run_jwks_server
from tests.auth.test_outside import RSA, SECRET, by_secret, token
from tests.cluster import Cluster, User, run_cluster

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


async def test_a_user_of_the_main_application_chats_with_one_of_ours(cluster: Cluster) -> None:
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


async def test_an_issuer_that_hangs_keeps_nobody_of_ours_waiting(cluster: Cluster, jwks: JwksServer) -> None:
    jwks.hangs = True
    ann = await cluster.user("ann")
    waiting = asyncio.create_task(get(cluster, 0, "/api/v1/chats", token(RSA)))
    started = time.monotonic()
    assert (await get(cluster, 0, "/api/v1/chats", ann.token)).status_code == 200
    assert (await get(cluster, 0, "/api/v1/chats", by_secret())).status_code == 200
    assert time.monotonic() - started < 1.5
    answer = await waiting
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
    assert time.monotonic() - started < 5


async def test_forgeries_open_nothing_and_fetch_nothing(cluster: Cluster, jwks: JwksServer) -> None:
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


async def test_a_link_lets_in_once_over_all_nodes(cluster: Cluster) -> None:
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


async def test_of_two_that_follow_one_link_at_once_one_gets_in(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    for _ in range(5):
        link = (await get(cluster, 0, "/pub_ws", ann.token)).json()["url"]
        elsewhere = link.replace(str(cluster.nodes[0].port), str(cluster.nodes[1].port))
        both = await asyncio.gather(*(connect(url, proxy=None) for url in (link, elsewhere)), return_exceptions=True)
        (winner,) = (socket for socket in both if not isinstance(socket, BaseException))
        (loser,) = (error for error in both if isinstance(error, InvalidStatus))
        assert loser.response.status_code == 401
        await winner.close()


async def test_a_token_that_means_anonymous_is_no_reason_to_refuse(cluster: Cluster) -> None:
    for credential in ("junk", by_secret(aud="another"), by_secret(exp=1)):
        async with connect(cluster.nodes[0].ws_url("/ws/browser-1", token=credential), proxy=None) as socket:
            await socket.send('{"type":"hello","id":1}')
            assert '"authenticated":false' in str(await socket.recv())
    async with connect(cluster.nodes[0].ws_url("/ws/browser-1", token=by_secret()), proxy=None) as socket:
        await socket.send('{"type":"hello","id":1}')
        assert '"authenticated":true' in str(await socket.recv())
