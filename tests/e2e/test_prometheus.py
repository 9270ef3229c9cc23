"""A real Prometheus scrapes two nodes and has their activity; each replica of `up` is a separate target."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.e2e.system import run_up
from tests.loadtests.prometheus import PrometheusServer
from tests.support.cluster import run_cluster
from tests.support.machine_speed import slowness
from tests.support.native_client import native
from tests.support.servers import find_binary, free_port

SCRAPED_S = 15


async def _comes(read: Callable[[], float], expected: float) -> None:
    """Return once Prometheus says so."""
    seen = -1.0
    try:
        async with asyncio.timeout(SCRAPED_S):
            while seen != expected:
                seen = await asyncio.to_thread(read)
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{seen} where {expected} was to come") from None


async def test_prometheus_scrapes_metrics_of_activity(tmp_path: Path, redis_url: str, postgres_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, postgres_url) as cluster:
        prometheus = PrometheusServer(tmp_path / "prometheus", [node.port for node in cluster.nodes])
        prometheus.start()
        try:
            await _comes(lambda: prometheus.value('sum(up{job="chat-gateway"})'), 2)
            ann, bob = await cluster.user("ann"), await cluster.user("bob")
            chat = await cluster.chat(ann, bob)
            left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
            for text in ("one", "two", "three"):
                await left.say(text)
                await right.next("message")
            await left.send(type="read_messages")
            await right.next("messages_read")
            for command, answer in (("history", "history"), ("presence", "presence_state"), ("ping", "pong")):
                await right.send(type=command)
                await right.next(answer)
            everywhere = await native(cluster, 0, ann)
            await everywhere.ack("subscribe", chat_id=chat)
            await everywhere.ack("typing", chat_id=chat, is_typing=True)
            for query, expected in (
                ('sum(chat_gateway_commands_total{command="message",outcome="ok"})', 3),
                ('sum(chat_gateway_ack_seconds_count{dialect="chat"})', 3),
                ('sum(chat_gateway_answer_seconds_count{dialect="chat"})', 3),
                ('sum(chat_gateway_answer_seconds_count{dialect="native"})', 1),
                ("count(chat_gateway_delivery_lag_seconds_count == 3)", 2),
                ('count(chat_gateway_connections{dialect="chat"} == 1)', 2),
                ("sum(chat_gateway_seats)", 3),
                ("sum(chat_gateway_ready)", 2),
                ("min(chat_gateway_dependency_up)", 1),
                ("sum(chat_gateway_draining + chat_gateway_gaps_unrepaired + chat_gateway_redis_unpublished)", 0),
                ("count(chat_gateway_redis_wait_seconds_count > 0)", 2),
                ("count(chat_gateway_redis_probe_seconds_count > 0)", 2),
                ("count(chat_gateway_database_wait_seconds_count > 0)", 2),
                ("count(chat_gateway_event_loop_lag_seconds_count > 0)", 2),
                ("count(process_resident_memory_bytes > 1e7)", 2),
            ):
                await _comes(lambda query=query: prometheus.value(query), expected)  # type: ignore[misc]
            lag = prometheus.value(
                "max(chat_gateway_delivery_lag_seconds_sum / chat_gateway_delivery_lag_seconds_count)"
            )
            assert 0 < lag < slowness()
            exposed = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{cluster.nodes[0].port}/metrics")).content
            ended = subprocess.run([find_binary("promtool"), "check", "metrics"], input=exposed, capture_output=True)
            assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")
        finally:
            prometheus.stop()


@pytest.mark.parametrize(
    "metrics_port", [pytest.param(None, marks=pytest.mark.full), free_port()], ids=["own ports", "METRICS_PORT"]
)
async def test_each_replica_of_up_is_a_separate_target(tmp_path: Path, metrics_port: int | None) -> None:
    with run_up(tmp_path, {} if metrics_port is None else {"METRICS_PORT": str(metrics_port)}) as system:
        own = [int(url.rpartition(":")[2]) for url in system.replica_urls]
        ports = own if metrics_port is None else [metrics_port, metrics_port + 1]
        prometheus = PrometheusServer(tmp_path / "prometheus", ports)
        await asyncio.to_thread(prometheus.start)
        try:
            first, second = (f"ws://127.0.0.1:{port}/ws/somebody" for port in own)
            async with connect(first, proxy=None), connect(second, proxy=None), connect(second, proxy=None):
                for port, count in zip(ports, (1, 2), strict=True):
                    query = f'sum(chat_gateway_connections{{instance="127.0.0.1:{port}"}})'
                    await _comes(lambda query=query: prometheus.value(query), count)  # type: ignore[misc]
                await _comes(lambda: prometheus.value("sum(chat_gateway_connections)"), 3)
            answers = [await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/metrics") for port in own]
            assert [answer.status_code for answer in answers] == [200 if metrics_port is None else 404] * 2
        finally:
            prometheus.stop()
