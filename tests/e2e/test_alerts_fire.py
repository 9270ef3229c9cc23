"""A node of two has a fault: a real Prometheus, by the rules as shipped, calls for that fault and for nothing else.

A minute of the rules is half a second here: windows and `for` are shortened alike, all else is as in production.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis.asyncio

from tests.deploy.promtool import RULES
from tests.faults.links import Link
from tests.loadtests.prometheus import PrometheusServer
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster
from tests.support.machine_speed import slowness
from tests.support.servers import PostgresServer, RedisServer

FIRES_S = 45.0
ENDS_S = 30.0
SLOW_S = 0.35
"""A round trip to the database takes twice that: more than the 0.5 s that a commit may."""
STALLED = 20
UNREAD_S = 4.0
"""For so long each of them stays; it is cut before."""
HEAVY = "x" + "\x01" * 9_999
"""60 kB of JSON: what the kernel keeps for a stalled socket (some 4 MB) is soon full."""
HEAVY_EVERY_S = 0.09
"""Each of them counts as 30 frames, and a socket has 500 a second: so a few sockets send them."""
TALKERS = 3
MACHINE = {"ChatGatewayLoopLags"}
"""What a busy machine may bring about beside any fault."""


def hastened(rules: str) -> str:
    """The rules with half a second for every minute; the names of what they record stay."""
    minutes = {"m": 1, "h": 60, "d": 24 * 60}
    return re.sub(r"\b(\d+)([mhd])\b", lambda found: f"{int(found[1]) * minutes[found[2]] * 500}ms", rules)


@dataclass(frozen=True)
class Scene:
    """A node that is well, and one, the victim, whose links are its own. Ann talks there."""

    cluster: Cluster
    victim: GatewayNode
    postgres: Link
    redis: redis.asyncio.Redis
    prometheus: PrometheusServer
    ann: User
    chat: int

    @property
    def instance(self) -> str:
        """The victim, as Prometheus calls it."""
        return f"127.0.0.1:{self.victim.port}"

    async def is_quiet(self) -> None:
        """Return once Prometheus knows the nodes, and calls for nothing."""
        async with asyncio.timeout(ENDS_S):
            while (
                await asyncio.to_thread(self.prometheus.value, "sum(chat_gateway_ready)") < 1 + len(self.cluster.nodes)
                or {name for name, _, _ in await asyncio.to_thread(self.prometheus.firing)} - MACHINE
            ):
                await asyncio.sleep(0.1)

    async def come(self, alerts: Collection[tuple[str, str, str]], others: Collection[str] = ()) -> None:
        """Return once all these fire; until then none but they, and `others`, may."""
        allowed = {name for name, _, _ in alerts} | set(others) | MACHINE
        firing: set[tuple[str, str, str]] = set()
        try:
            async with asyncio.timeout(FIRES_S):
                while not firing >= set(alerts):
                    firing = await asyncio.to_thread(self.prometheus.firing)
                    assert {name for name, _, _ in firing} <= allowed, firing
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"{firing} where {alerts} were to fire") from None

    async def go(self, alerts: Collection[tuple[str, str, str]]) -> None:
        """Return once none of these fires any longer."""
        async with asyncio.timeout(ENDS_S):
            while await asyncio.to_thread(self.prometheus.firing) & set(alerts):
                await asyncio.sleep(0.2)


async def _tell(link: redis.asyncio.Redis, *words: str) -> None:
    await link.execute_command(*words)  # type: ignore[no-untyped-call]


@pytest.fixture
async def scene(
    tmp_path: Path, redis_server: RedisServer, postgres_server: PostgresServer, postgres_url: str
) -> AsyncIterator[Scene]:
    settings = {"MESSAGES_PER_MINUTE": 0, "MAX_TEXT_LENGTH": 10_000, "SECOND_CONNECTION": "allow"}
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(Link(postgres_server.port))
        control = await stack.enter_async_context(redis.asyncio.Redis(port=redis_server.port))
        await _tell(control, "ACL", "SETUSER", "victim", "on", ">pw", "allkeys", "allchannels", "+@all")
        cluster = await stack.enter_async_context(
            run_cluster(tmp_path, redis_server.url, postgres_url, nodes=1, **settings)
        )
        own = {
            "REDIS_URL": f"redis://victim:pw@127.0.0.1:{redis_server.port}/0",
            "DATABASE_URL": postgres_url.replace(f":{postgres_server.port}/", f":{link.port}/"),
        }
        victim = GatewayNode(tmp_path / "victim", **settings | own)
        rules = []
        for name in ("slos.yml", "alerts.yml"):
            rules.append(tmp_path / name)
            rules[-1].write_text(hastened((RULES / name).read_text()))
        ports = [victim.port, *(node.port for node in cluster.nodes)]
        prometheus = PrometheusServer(tmp_path / "prometheus", ports, rules, interval_s=0.5)
        for server in (victim, prometheus):
            stack.callback(server.stop)
        await asyncio.gather(asyncio.to_thread(victim.start), asyncio.to_thread(prometheus.start))
        ann = await cluster.user("ann")
        yield Scene(cluster, victim, link, control, prometheus, ann, await cluster.chat(ann))


@asynccontextmanager
async def talking(scene: Scene, text: str = "hi", every_s: float = 0.05) -> AsyncIterator[ChatClient]:
    """Ann talks at the victim all the while."""

    async def talk() -> None:
        while True:
            await ann.send(type="message", text=text)
            await asyncio.sleep(every_s)

    async with await ChatClient.connect(scene.victim.chat_url(scene.chat), scene.ann.token, max_queue=None) as ann:
        await ann.next("connection_established")
        task = asyncio.create_task(talk())
        try:
            yield ann
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert ann.socket.close_code is None


async def test_node_without_redis_subscription_fires_deaf_alert(scene: Scene) -> None:
    async with talking(scene):
        await scene.is_quiet()
        await _tell(scene.redis, "ACL", "SETUSER", "victim", "-subscribe")
        await _tell(scene.redis, "CLIENT", "KILL", "TYPE", "pubsub", "USER", "victim")
        deaf = [("ChatGatewayDeaf", "warning", scene.instance)]
        await scene.come(deaf, others=["ChatGatewayNotReady", "ChatGatewayDeliveriesLag"])
        await _tell(scene.redis, "ACL", "SETUSER", "victim", "+subscribe")
        await scene.go(deaf)


async def test_slow_database_fires_slow_alert_and_not_down(scene: Scene) -> None:
    async with talking(scene):
        await scene.is_quiet()
        scene.postgres.delay(SLOW_S)
        slow = [("ChatGatewayCommitsSlowly", "warning", ""), ("ChatGatewayAcksSlow", "critical", "")]
        await scene.come(slow, others=["ChatGatewayDatabaseWaits"])
        scene.postgres.heal()
        await scene.go(slow[:1])  # the other one's longer short window has 15 s to go


async def test_clients_that_do_not_read_fire_slow_consumer_alert(scene: Scene) -> None:
    async with AsyncExitStack() as talkers, asyncio.TaskGroup() as group:
        for _ in range(TALKERS):
            await talkers.enter_async_context(talking(scene, HEAVY, HEAVY_EVERY_S))
        await scene.is_quiet()
        readers = [group.create_task(_come_and_read_nothing(scene, number)) for number in range(STALLED)]
        full = [("ChatGatewaySlowConsumers", "warning", "")]
        slow = ["ChatGatewayAcksSlow"] if slowness() > 2 else []  # the node takes 2 MB/s in and sends 40
        await scene.come(full, others=slow)
        assert "code=4001" in scene.victim.log
        for reader in readers:
            reader.cancel()
        await scene.go(full)


@pytest.mark.full
async def test_frozen_node_fires_silent_alert(scene: Scene) -> None:
    async with talking(scene):
        await scene.is_quiet()
        frozen = scene.cluster.nodes[0]
        frozen.pause()
        silent = [("ChatGatewaySilent", "warning", f"127.0.0.1:{frozen.port}")]
        await scene.come(silent)
        frozen.resume()
        await scene.go(silent)


async def _come_and_read_nothing(scene: Scene, number: int) -> None:
    """Connect, read nothing until the node closes the connection, and repeat."""
    head = f"GET /ws/chat/{scene.chat}/ HTTP/1.1\r\nHost: {scene.instance}\r\nConnection: Upgrade\r\n"
    head += f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {scene.ann.token}\r\n"
    head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    loop = asyncio.get_running_loop()
    await asyncio.sleep(UNREAD_S * number / STALLED)
    while True:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", scene.victim.port))
            await loop.sock_sendall(client, head.encode())
            await asyncio.sleep(UNREAD_S)
