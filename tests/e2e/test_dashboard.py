"""A system with every kind of activity: each query of the dashboard has data, and the number of series is bounded."""

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.deploy.programs import ROOT
from tests.deploy.promtool import RULES
from tests.e2e.auth_process import AuthProcess
from tests.loadtests.prometheus import PrometheusServer
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster
from tests.support.native_client import NativeClient, native
from tests.support.receiver import SECRET as RECEIVER_SECRET
from tests.support.receiver import run_receiver

PANELS = [
    panel
    for panel in json.loads((ROOT / "deploy/grafana/dashboards/chat-gateway.json").read_text())["panels"]
    if panel["type"] != "row"
]
GRAFANA = {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}
"""What Grafana would put in."""
ROUNDS = 15
"""At most. A rate needs two scrapes of a series, so the first is not enough; in the last no series may be new."""
ROUND_S = 1.0
"""At least: one scrape. What happens by itself, as the probe of Redis every 2.5 s, must happen twice in all rounds."""
MAX_SERIES = 400
"""Of all that a process may show (docs/metrics.md)."""
PASSWORD = "a long enough passphrase"


SERVICE_KEY = "a-service-key-of-the-test"


@dataclass(frozen=True)
class Whole:
    """Two gateways, one of which proxies echoes, and auth, over all servers; and a Prometheus that sees all three."""

    cluster: Cluster
    proxying: GatewayNode
    auth: AuthProcess
    prometheus: PrometheusServer


async def _say_and_end(socket: ServerConnection) -> None:
    """An upstream that answers once, and is gone."""
    await socket.send(await socket.recv())


@pytest.fixture
async def whole(tmp_path: Path, redis_url: str, postgres_url: str, amqp_url: str) -> AsyncIterator[Whole]:
    settings = {"AMQP_URL": amqp_url, "MESSAGES_PER_MINUTE": 0, "SERVICE_KEYS": SERVICE_KEY}
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(run_receiver())
        answers = itertools.cycle((500, 204))
        receiver.answer = lambda _: next(answers)
        webhooks = [{"url": receiver.url, "secret": RECEIVER_SECRET, "name": "app"}]
        settings |= {"WEBHOOKS": json.dumps(webhooks), "WEBHOOK_ALLOW_PRIVATE": "true"}
        cluster = await stack.enter_async_context(run_cluster(tmp_path, redis_url, postgres_url, nodes=1, **settings))
        settings |= {"REDIS_URL": redis_url, "DATABASE_URL": postgres_url}
        upstream = await stack.enter_async_context(serve(_say_and_end, "127.0.0.1", 0))
        proxy_url = f"ws://127.0.0.1:{next(iter(upstream.sockets)).getsockname()[1]}"
        proxying = GatewayNode(tmp_path / "proxying", **settings, IS_PROXY="true", ECHO_PROXY_URL=proxy_url)
        auth = AuthProcess(tmp_path / "auth", **settings)
        ports = [cluster.nodes[0].port, proxying.port, auth.metrics_port]
        rules = [RULES / "slos.yml", RULES / "alerts.yml"]
        prometheus = PrometheusServer(tmp_path / "prometheus", ports, rules)
        servers = (proxying, auth, prometheus)
        for server in servers:
            stack.callback(server.stop)
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
        yield Whole(cluster, proxying, auth, prometheus)


async def everything(whole: Whole, ann: User, bob: User, watching: NativeClient, name: str) -> None:
    """One of each thing that is counted, by people and with words that carry `name`."""
    cluster = whole.cluster
    chat = await cluster.chat(ann, bob)
    async with httpx.AsyncClient(trust_env=False, headers=ann.headers) as http:
        account = {"login": name, "password": PASSWORD}
        assert (await http.post(f"{whole.auth.url}/register", json=account)).status_code == 201
        assert (await http.post(f"{whole.auth.url}/login", json=account)).status_code == 200
        assert (await http.post(f"{whole.auth.url}/login", json=account | {"password": name})).status_code == 401
        guest = {"username": name, "email": f"{name}@example.com", "room_id": name}
        assert (await http.post(f"{whole.auth.url}/generate-token", json=guest)).status_code == 200
        url = cluster.nodes[0].url
        said = await http.post(f"{url}/message", json={"room_id": name, "content": name})
        assert said.status_code == 200, said.text
        members = await http.post(f"{url}/api/v1/chats", json={"kind": "group", "members": [{"user_id": bob.id}]})
        assert members.status_code == 201, members.text
        assert (await http.get(f"{url}/{name}/nowhere")).status_code == 404
        clients = f"{url}/api/v1/users/{ann.id}/clients"
        assert (await http.get(clients, headers={"X-Service-Key": SERVICE_KEY})).status_code == 200
    await watching.next("chat_added")
    async with await cluster.enter(0, chat, ann) as left:
        await left.say(name)
        await left.send(type=name)
        await left.send(type="typing", is_typing=True, **{name: name})
        await left.send_raw(name)
        await left.send(type="history")
        await left.next("history")
        async with await cluster.connect(0, chat, bob, since=0) as right:
            await right.next("caught_up")
        await left.socket.close(4000 + sum(name.encode()) % 999, name)
    for node in (cluster.nodes[0], whole.proxying):
        async with connect(node.ws_url("/channels/echo"), additional_headers=ann.headers, proxy=None) as echo:
            await echo.send(name)
            with suppress(ConnectionClosed):
                assert await echo.recv() == name
    for path in (f"/ws/chat/{name}/", f"/ws/chat/{chat}/{name}", f"/{name}"):
        with pytest.raises(InvalidStatus):
            await connect(cluster.nodes[0].ws_url(path, token=name), proxy=None)


def is_answer(found: list[dict[str, Any]]) -> bool:
    """Whether there is a number in it: a quantile of nothing is none."""
    return any(math.isfinite(float(each["value"][1])) for each in found)


async def unanswered(prometheus: PrometheusServer) -> list[str]:
    """The queries of the dashboard that Prometheus cannot say anything about."""
    silent = []
    for panel in PANELS:
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in GRAFANA.items():
                query = query.replace(variable, value)
            if not is_answer(await asyncio.to_thread(prometheus.series, query)):
                silent.append(f"{panel['title']}: {query}")
    return silent


async def series(whole: Whole) -> dict[str, set[str]]:
    """Every series of every process, by metric."""
    found: dict[str, set[str]] = {}
    for port in (whole.cluster.nodes[0].port, whole.proxying.port, whole.auth.metrics_port):
        text = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/metrics")).text
        for line in text.splitlines():
            if not line.startswith("#"):
                found.setdefault(line.partition("{")[0].partition(" ")[0], set()).add(line.rpartition(" ")[0])
    return found


async def test_dashboard_queries_have_data_and_clients_add_no_series(whole: Whole) -> None:
    ann, bob = await whole.cluster.user("ann"), await whole.cluster.user("bob")
    watching = await native(whole.cluster, 0, bob)
    known: dict[str, set[str]] = {}
    silent: list[str] = []
    for number in range(ROUNDS):
        await everything(whole, ann, bob, watching, f"again{number}")
        silent, before, known = await unanswered(whole.prometheus), known, await series(whole)
        if not silent and known == before:
            break
        await asyncio.sleep(ROUND_S)
    assert silent == []
    assert {
        name: sorted(known[name] - before.get(name, set())) for name in known if known[name] != before.get(name)
    } == {}
    assert sum(map(len, known.values())) < MAX_SERIES
