"""Limits per minute of HTTP requests over two nodes: by cost, for users, service keys and addresses."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cluster import Cluster, User, run_cluster

BANK, SHOP = "a-key-of-bank-3f9a2c71e5", "a-key-of-shop-77b1d0c4aa"
LIMITS: dict[str, Any] = {
    "HTTP_REQUESTS_PER_MINUTE": 30,
    "LISTS_PER_MINUTE": 5,
    "CHATS_PER_MINUTE": 2,
    "MEMBERS_PER_MINUTE": 12,
    "TRUSTED_PROXIES": "127.0.0.1",
    "SERVICE_KEYS": f"bank:{BANK}:chats+users,shop:{SHOP}:chats+users",
}
CHATS = "/api/v1/chats"


class Calls:
    """Calls of the two nodes in turn."""

    def __init__(self, cluster: Cluster, http: httpx.AsyncClient) -> None:
        self.cluster = cluster
        self._http = http
        self._count = 0

    async def __call__(self, method: str, path: str, user: User | None = None, **options: Any) -> httpx.Response:
        self._count += 1
        headers = options.pop("headers", {}) | (user.headers if user else {})
        url = self.cluster.nodes[self._count % 2].url + path
        return await self._http.request(method, url, headers=headers, **options)

    async def statuses(self, count: int, *words: Any, **options: Any) -> Counter[int]:
        return Counter([(await self(*words, **options)).status_code for _ in range(count)])

    async def until_limited(self, *words: Any, **options: Any) -> Counter[int]:
        """The statuses of as many calls as are allowed; one more is rejected."""
        allowed: Counter[int] = Counter()
        while (status := (await self(*words, **options)).status_code) != 429:
            allowed[status] += 1
        return allowed

    async def limited(self, limit: str, caller: str) -> float:
        """The metric, over both nodes."""
        return await self.total(f'chat_gateway_http_limited_total{{caller="{caller}",limit="{limit}"}}')

    async def total(self, metric: str) -> float:
        """A metric, over both nodes."""
        pages = [(await self._http.get(f"{node.url}/metrics")).text for node in self.cluster.nodes]
        return sum(float(page.partition(f"\n{metric} ")[2].split("\n")[0] or 0) for page in pages)


@pytest.fixture
async def calls(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Calls]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, **LIMITS) as cluster, httpx.AsyncClient() as http:
        yield Calls(cluster, http)


def is_limit(allowed: int, limit: int, since: float) -> bool:
    """Whether it is what is left of HTTP_REQUESTS_PER_MINUTE, and what that has grown by since a time."""
    return limit <= allowed <= limit + LIMITS["HTTP_REQUESTS_PER_MINUTE"] / 60 * (time.monotonic() - since)


def group(*members: User) -> dict[str, object]:
    return {"kind": "group", "members": [{"user_id": user.id} for user in members]}


async def test_chats_of_a_user_are_limited_over_all_nodes(calls: Calls) -> None:
    ann, bob = await calls.cluster.user(), await calls.cluster.user()
    assert await calls.statuses(5, "POST", CHATS, ann, json={"kind": "none"}) == {422: 5}
    direct = {"kind": "direct", "members": [{"user_id": bob.id}]}
    assert (await calls("POST", CHATS, ann, json=direct)).status_code == 201
    assert await calls.statuses(3, "POST", CHATS, ann, json=direct) == {200: 3}, "a chat that exists costs none"
    assert await calls.statuses(4, "POST", CHATS, ann, json=group()) == {201: 1, 429: 3}
    refused = await calls("POST", CHATS, ann, json=group())
    assert refused.json()["code"] == "rate_limited"
    assert "chats" in refused.json()["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert (await calls("POST", CHATS, bob, json=group())).status_code == 201
    assert await calls.limited("chats", "user") == 4


async def test_refused_again_is_not_read_and_comes_later(calls: Calls) -> None:
    ann, bob = await calls.cluster.user(), await calls.cluster.user()
    direct = {"kind": "direct", "members": [{"user_id": bob.id}]}
    assert await calls.statuses(2, "POST", CHATS, ann, json=group()) == {201: 2}
    assert await calls.statuses(2, "POST", CHATS, ann, json=group()) == {429: 2}
    answers = [await calls("POST", CHATS, ann, content=b"{") for _ in range(2)]
    assert [(one.status_code, "chats" in one.json()["detail"]) for one in answers] == [(429, True)] * 2
    assert await calls.total("chat_gateway_refusals_slowed_total") == 2
    assert (await calls("POST", CHATS, ann, json=direct)).status_code == 429
    assert (await calls("POST", CHATS, bob, json=group())).status_code == 201


async def test_named_members_are_limited_by_their_number(calls: Calls) -> None:
    ann, *others = [await calls.cluster.user() for _ in range(9)]
    too_many = {"kind": "group", "members": [{"user_id": number} for number in range(1000, 1012)]}
    refused = await calls("POST", CHATS, ann, json=too_many)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    made = await calls("POST", CHATS, ann, json=group(*others[:7]))
    assert made.status_code == 201
    url = f"{CHATS}/{made.json()['id']}/members"
    assert await calls.statuses(6, "POST", url, ann, json={"user_id": others[7].id}) == {201: 1, 200: 3, 429: 2}
    refused = await calls("POST", CHATS, ann, json=group(*others[:7]))
    assert "members" in refused.json()["detail"]
    assert len((await calls("GET", f"{CHATS}/{made.json()['id']}", ann)).json()["members"]) == 9


async def test_lists_and_requests_are_limited(calls: Calls) -> None:
    ann, bob = await calls.cluster.user(), await calls.cluster.user()
    begin = time.monotonic()
    assert await calls.statuses(7, "GET", CHATS, ann) == {200: 5, 429: 2}
    allowed = await calls.until_limited("GET", "/echo_ws", ann)
    assert allowed.keys() == {200}
    assert is_limit(allowed[200], 25, begin)
    assert (await calls("GET", CHATS, bob)).status_code == 200
    assert await calls.limited("lists", "user") == 2
    assert await calls.limited("requests", "user") == 1
    client = await calls.cluster.open(0, "/ws/phone", ann.token)
    await client.send(type="ping")
    await client.next("pong")


async def test_service_key_has_ten_times_the_limits(calls: Calls) -> None:
    owner = await calls.cluster.user()
    ids = [(await calls.cluster.user()).id for _ in range(3)]
    bank, shop = {"X-Service-Key": BANK}, {"X-Service-Key": SHOP}
    body = {"kind": "group", "members": [{"user_id": number} for number in ids]}
    assert await calls.statuses(22, "POST", CHATS, headers=bank, json=body) == {201: 20, 429: 2}
    assert (await calls("POST", CHATS, headers=shop, json=body)).status_code == 201
    assert await calls.limited("chats", "service") == 2
    forged = {"X-Service-Key": "forged"}
    assert (await calls("POST", CHATS, owner, headers=forged, json=body)).status_code == 403


async def test_rejected_credentials_count_for_the_address(calls: Calls) -> None:
    ann = await calls.cluster.user()
    here, there = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
    bad = {"Authorization": "Bearer nonsense"}
    begin = time.monotonic()
    assert await calls.statuses(15, "GET", CHATS, headers=here | bad) == {401: 15}
    allowed = await calls.until_limited("GET", f"{CHATS}/1", headers=here)
    key = {"X-Service-Key": "forged"}
    allowed += await calls.until_limited("PUT", "/api/v1/users/1/staff", headers=here | key)
    assert allowed.keys() <= {401, 403}
    assert is_limit(allowed.total(), 15, begin)
    assert (await calls("GET", CHATS, headers=there)).status_code == 401
    assert (await calls("GET", CHATS, ann, headers=here)).status_code == 200, "its users are not limited by it"
    assert await calls.statuses(40, "GET", "/livez", headers=here) == {200: 40}
    assert await calls.limited("requests", "address") == 2


async def test_messages_of_guests_count_for_their_address(calls: Calls) -> None:
    here = {"X-Forwarded-For": "2001:db8::1"}
    sent = {"room_id": "room1", "content": "hi"}
    begin = time.monotonic()
    allowed = await calls.until_limited("POST", "/message", headers=here, json=sent)
    neighbour = {"X-Forwarded-For": "2001:db8::2"}
    allowed += await calls.until_limited("POST", "/message", headers=neighbour, json=sent)
    assert allowed.keys() == {200}
    assert is_limit(allowed[200], 30, begin), "both are in one network of 64 bits"


async def test_quotas_of_chats_and_members_end_with_409(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    settings = {"MAX_CHATS_PER_USER": 2, "MAX_MEMBERS_PER_CHAT": 2, "SERVICE_KEYS": f"bank:{BANK}:chats"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **settings) as cluster, httpx.AsyncClient() as http:
        calls = Calls(cluster, http)
        ann, bob, eve = [await cluster.user() for _ in range(3)]
        assert await calls.statuses(3, "POST", CHATS, ann, json=group(bob)) == {201: 2, 409: 1}
        refused = (await calls("POST", CHATS, ann, json=group())).json()
        assert refused["code"] == "quota_exceeded"
        assert refused["detail"] == "You have created 2 chats, the most that a user may create."
        made = await calls("POST", CHATS, headers={"X-Service-Key": BANK}, json=group(ann, bob))
        assert made.status_code == 201
        url = f"{CHATS}/{made.json()['id']}/members"
        full = await calls("POST", url, headers={"X-Service-Key": BANK}, json={"user_id": eve.id})
        assert (full.status_code, full.json()["detail"]) == (409, "A chat has at most 2 members.")
        for _ in range(2):
            for user in (ann, bob, eve):
                await (await cluster.open(0, "/channels/public", user.token)).next("caught_up")
        metrics = [(await http.get(f"{node.url}/metrics")).text for node in cluster.nodes]
        for quota, count in (("chats", 2), ("members", 1)):
            name = f'\nchat_gateway_quota_rejections_total{{quota="{quota}"}} '
            assert sum(float(text.partition(name)[2].split()[0]) for text in metrics) == count
