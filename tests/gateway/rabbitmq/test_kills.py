"""Kill −9 at each step and at any moment: nothing is lost, and messages with an id are stored once."""

import asyncio
import itertools
import os
import random
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.gateway.rabbitmq.bench import Peer, running, texts_of, until, until_stored
from tests.gateway.rabbitmq.mortal import STEPS
from tests.storage.nodes import Node, open_node
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, run_cluster
from tests.support.migrated import make_store
from tests.support.rabbitmq import RabbitServer
from tests.support.servers import RedisServer

TEXTS = [str(number) for number in range(30)]
FATAL = "15"


@pytest.mark.parametrize("step", STEPS)
async def test_consumer_killed_at_any_step_stores_each_message_once(
    database_url: str, peer: Peer, amqp_url: str, step: str
) -> None:
    await make_store(database_url)
    for text in TEXTS:
        await peer.say("room1", text)
    command = [sys.executable, "-m", "tests.gateway.rabbitmq.mortal", database_url, amqp_url, step, FATAL]
    process = await asyncio.create_subprocess_exec(*command)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL
    await peer.until_consumed_by(0)  # the broker has noticed, and what was not acknowledged is in the queue again
    left = await peer.count("messages")
    async with open_node(database_url) as node:
        async with running(node, amqp_url) as here:
            await until_stored(node, "room1", TEXTS)

            async def is_empty() -> bool:
                return here.settled.total() >= left and here.queue.unacked == 0

            await until(is_empty, "an empty queue")
        # what was not acknowledged would be back in the queue now
        assert (await peer.count("messages"), await peer.count("messages.dead")) == (0, 0)
        assert await texts_of(node, "room1") == TEXTS


class Crowd:
    """Posts over HTTP to whichever node answers, and publishes as a peer; keeps what was accepted."""

    def __init__(self, cluster: Cluster, peer: Peer) -> None:
        self._cluster = cluster
        self._peer = peer
        self._http = httpx.AsyncClient(timeout=10)
        self.attempted: set[str] = set()
        self.accepted: set[str] = set()
        self.is_over = False

    async def post(self) -> None:
        for number in itertools.count():
            if self.is_over:
                return
            text = f"http-{number}"
            self.attempted.add(text)
            body = {"room_id": "room1", "content": text, "client_msg_id": text}
            node = self._cluster.nodes[number % len(self._cluster.nodes)]
            try:
                answer = await self._http.post(f"{node.url}/message", json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.02)
                continue
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 200:
                self.accepted.add(text)

    async def publish(self) -> None:
        for number in itertools.count():
            if self.is_over:
                return
            text = f"amqp-{number}"
            self.attempted.add(text)
            await self._peer.say("room1", text)
            self.accepted.add(text)
            await asyncio.sleep(0.002)

    async def close(self) -> None:
        await self._http.aclose()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_nodes_killed_or_stopped_under_load_lose_nothing(
    tmp_path: Path, redis_server: RedisServer, sqlite_url: str, peer: Peer, amqp_url: str, how: signal.Signals
) -> None:
    chance = random.Random(int(how))
    async with (
        run_cluster(tmp_path, redis_server.url, sqlite_url, AMQP_URL=amqp_url, DRAIN_S=1) as cluster,
        open_node(sqlite_url) as store,
    ):
        listener = await cluster.open(1, "/updates/room1", await cluster.guest_token("ann", "room1"))
        crowd = Crowd(cluster, peer)
        working = [asyncio.create_task(work) for work in (crowd.post(), crowd.publish())]
        for _ in range(2):
            await asyncio.sleep(chance.uniform(0.2, 1.0))  # the moment is what is random here
            await asyncio.to_thread(end, cluster, how)
            cluster.nodes[0].start()
        crowd.is_over = True
        await asyncio.gather(*working)
        await crowd.close()

        async def all_stored() -> bool:
            return crowd.accepted <= set(await texts_of(store, "room1"))

        await until(all_stored, "everything that was accepted")
        stored = await texts_of(store, "room1")
        assert len(stored) == len(set(stored))
        assert set(stored) <= crowd.attempted
        await check_listener(listener, store, stored)
        check_order(stored)


def end(cluster: Cluster, how: signal.Signals) -> None:
    """End the first node, and wait until it is gone."""
    node = cluster.nodes[0]
    os.kill(node.pid, how)
    node.wait()
    node.stop()


async def check_listener(listener: ChatClient, store: Node, stored: list[str]) -> None:
    """A guest on the other node heard all of it, in the store's order, each once."""

    def heard(frames: list[dict[str, object]]) -> list[object]:
        return [frame["content"] for frame in frames if "content" in frame]

    frames = await listener.until(lambda frames: len(heard(frames)) >= len(stored), timeout_s=20)
    assert heard(frames) == stored


def check_order(stored: list[str]) -> None:
    """What the peer published one after the other stands so, but for what was under way at a hand-over."""
    numbers = [int(text.removeprefix("amqp-")) for text in stored if text.startswith("amqp-")]
    late = sum(after < before for before, after in itertools.pairwise(numbers))
    assert late <= 6, numbers


async def test_node_reports_state_of_its_queue(
    tmp_path: Path, redis_server: RedisServer, sqlite_url: str, rabbitmq_server: RabbitServer, amqp_url: str
) -> None:
    async with (
        run_cluster(tmp_path, redis_server.url, sqlite_url, nodes=1, AMQP_URL=amqp_url) as cluster,
        httpx.AsyncClient(base_url=cluster.nodes[0].url, timeout=10) as http,
    ):
        body = {"room_id": "room1", "content": "Hello, Room!"}
        answer = await http.post("/message", json=body)
        assert (answer.status_code, answer.json()) == (200, {"status": "Message sent to room: room1"})

        async def counted() -> bool:
            return 'chat_gateway_queue_messages_total{outcome="stored"} 1.0' in (await http.get("/metrics")).text

        await until(counted, "the metric")
        assert (await http.get("/readyz")).json()["queue"] == "up"
        rabbitmq_server.kill()
        try:

            async def is_degraded() -> bool:
                answer = await http.get("/readyz")
                return answer.status_code == 200 and answer.json()["status"] == "degraded"

            await until(is_degraded, "a degraded node")
            answer = await http.post("/message", json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            metrics = (await http.get("/metrics")).text
            for link in ("publish", "consume"):
                assert f'chat_gateway_queue_links_lost_total{{link="{link}"}} 1.0' in metrics
            assert "chat_gateway_queue_unacked 0.0" in metrics
        finally:
            rabbitmq_server.start()

        async def is_ready() -> bool:
            return bool((await http.get("/readyz")).json()["status"] == "ready")

        await until(is_ready, "a ready node")
        assert (await http.post("/message", json=body)).status_code == 200
        assert "guest:guest" not in cluster.nodes[0].log
