"""Two systems with separate databases on the same Redis are isolated from each other."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth.accounts.login_limits import PER_CLIENT_AND_ACCOUNT
from tests.support.auth_node import AuthNode
from tests.support.cluster import Cluster, run_cluster
from tests.support.migrated import make_store
from tests.support.native_client import native
from tests.support.waiting import eventually_async

KEY = "a service key of this test"
LAYOUTS = ["one", "three", "cluster"]


@asynccontextmanager
async def two_systems(folder: Path, one: str, other: str, **settings: object) -> AsyncIterator[tuple[Cluster, Cluster]]:
    """One with two nodes, the other with one; `one` and `other` are what their REDIS_URL says."""
    settings = {"SERVICE_KEYS": KEY} | settings
    async with (
        run_cluster(folder / "one", one, f"sqlite://{folder / 'one.db'}", **settings) as first,
        run_cluster(folder / "other", other, f"sqlite://{folder / 'other.db'}", nodes=1, **settings) as second,
    ):
        yield first, second


@pytest.mark.parametrize("layout_url", LAYOUTS, indirect=True)
async def test_two_systems_on_one_redis_are_isolated(layout_url: str, tmp_path: Path) -> None:
    async with two_systems(tmp_path, layout_url, layout_url) as (one, other):
        await nothing_crosses(one, other)


async def test_two_systems_are_isolated_over_redis_database_numbers(redis_url: str, tmp_path: Path) -> None:
    async with two_systems(tmp_path, redis_url, redis_url.removesuffix("0") + "7") as (one, other):
        await nothing_crosses(one, other)


async def test_redis_prefix_separates_copies_of_one_store(redis_url: str, tmp_path: Path) -> None:
    """A staging copy has the store id of the original: the setting tells them apart."""
    async with run_cluster(tmp_path / "one", redis_url, f"sqlite://{tmp_path / 'one.db'}", nodes=1) as one:
        copied = tmp_path / "copy.db"
        await asyncio.to_thread(_copy, tmp_path / "one.db", copied)
        async with run_cluster(
            tmp_path / "copy", redis_url, f"sqlite://{copied}", nodes=1, REDIS_PREFIX="staging"
        ) as copy:
            await texts_stay_here(one, copy, 0)


async def test_foreign_publications_of_same_prefix_are_dropped(redis_url: str, tmp_path: Path) -> None:
    async with two_systems(tmp_path, redis_url, redis_url, REDIS_PREFIX="by-mistake") as (one, other):
        await texts_stay_here(one, other, 1)
        async with httpx.AsyncClient() as http:
            metrics = (await http.get(f"{other.nodes[0].url}/metrics")).text
        counted = [line for line in metrics.splitlines() if 'event="foreign_publication"' in line]
        assert any(float(line.split()[-1]) > 0 for line in counted), counted
        assert other.nodes[0].log.count("foreign_publication") == 1


def _copy(source: Path, goal: Path) -> None:
    with sqlite3.connect(source) as origin, sqlite3.connect(goal) as copy:
        origin.backup(copy)


async def nothing_crosses(one: Cluster, other: Cluster) -> None:
    await texts_stay_here(one, other, 1)
    await a_removal_here_closes_nothing_there(one, other)
    await limits_are_counted_apart(one, other)
    await clients_are_found_in_their_system_only(one, other)


async def texts_stay_here(one: Cluster, other: Cluster, node: int) -> None:
    """Chats of the same numbers in both; the first has more events, so that its seqs are ahead of the other's."""
    for _ in range(3):
        ann, bob = await one.user("ann"), await one.user("bob")
        eve, dan = await other.user("eve"), await other.user("dan")
        chat, same = await one.chat(ann, bob), await other.chat(eve, dan)
        assert (chat, ann.id, bob.id) == (same, eve.id, dan.id)
        left, right = await one.enter(0, chat, ann), await one.enter(node, chat, bob)
        here, there = await other.enter(0, same, eve), await other.enter(0, same, dan)
        for number in range(3):
            await left.say(f"secret {number}")
            await right.next("message")
        await left.send(type="typing", is_typing=True)
        await right.next("typing")
        await here.send(type="presence")
        members = (await here.next("presence_state"))["members"]
        assert {member["username"] for member in members} == {eve.person.username, dan.person.username}
        await here.say("of our own")
        heard = await there.next("message")  # else, at seq 4 as it thinks, the node drops what it acknowledged
        assert (heard["data"]["text"], heard["data"]["seq"]) == ("of our own", 1)
        for client in (here, there):
            assert [frame["data"]["text"] for frame in client.of_type("message")] == ["of our own"]
            assert client.of_type("typing") == []


async def a_removal_here_closes_nothing_there(one: Cluster, other: Cluster) -> None:
    ann, bob = await one.user("ann"), await one.user("bob")
    eve, dan = await other.user("eve"), await other.user("dan")
    chat, same = await one.chat(ann, bob), await other.chat(eve, dan)
    assert (chat, bob.id) == (same, dan.id)
    removed, stays = await one.enter(1, chat, bob), await other.enter(0, same, dan)
    async with httpx.AsyncClient(base_url=one.nodes[0].url, headers=ann.headers) as http:
        assert (await http.delete(f"/api/v1/chats/{chat}/members/{bob.id}")).status_code < 300
    await removed.closed()
    await stays.say("still here")
    second = await one.enter(0, await one.chat(ann), ann)  # nor does a takeover
    await second.say("mine")


async def limits_are_counted_apart(one: Cluster, other: Cluster) -> None:
    carl, dora = await one.user("carl"), await other.user("dora")
    assert carl.id == dora.id
    left, right = await one.enter(0, await one.chat(carl), carl), await other.enter(0, await other.chat(dora), dora)
    for number in range(10):
        await left.say(f"{number}")
        await right.say(f"{number}")
    await left.send(type="message", text="too much")
    assert (await left.next("error"))["code"] == "rate_limited"


async def clients_are_found_in_their_system_only(one: Cluster, other: Cluster) -> None:
    ann, eve = await one.user("ann"), await other.user("eve")
    assert ann.id == eve.id
    mine, theirs = await native(one, 1, ann, client_id="phone"), await native(other, 0, eve, client_id="phone")
    headers = {"X-Service-Key": KEY}
    async with httpx.AsyncClient(base_url=one.nodes[0].url, headers=headers) as http:

        async def clients() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await http.get(f"/api/v1/users/{ann.id}/clients")).json()["clients"]
            return found

        await eventually_async(lambda: _is_one(clients))
        sent = await http.post("/api/v1/clients/phone/send", json={"data": "hello"})
        assert sent.json()["sockets"] == 1
        assert (await mine.next("direct"))["data"] == "hello"
        assert (await http.post(f"/api/v1/users/{ann.id}/send", json={"data": "you"})).json()["sockets"] == 1
    await theirs.ask("ping")
    assert theirs.of_type("direct") == []


async def _is_one(clients: Any) -> bool:
    return len(await clients()) == 1


@pytest.mark.parametrize("layout_url", LAYOUTS, indirect=True)
async def test_failed_logins_are_counted_per_system(layout_url: str, tmp_path: Path) -> None:
    auths: list[AuthNode] = []
    try:
        for name in ("one", "one", "other"):
            database_url = f"sqlite://{tmp_path / name}.db"
            await make_store(database_url)
            folder = tmp_path / f"auth-{len(auths)}"
            auths.append(AuthNode(folder, REDIS_URL=layout_url, DATABASE_URL=database_url))
            auths[-1].start()
        one, same, other = auths
        for number in range(PER_CLIENT_AND_ACCOUNT):
            assert await _log_in(auths[number % 2]) == 401
        assert [await _log_in(auth) for auth in (one, same, other)] == [429, 429, 401]
    finally:
        for auth in auths:
            auth.kill()


async def _log_in(auth: AuthNode) -> int:
    async with httpx.AsyncClient(base_url=auth.url) as http:
        answer = await http.post("/login", json={"login": "nobody", "password": "wrong password"})
        return answer.status_code
