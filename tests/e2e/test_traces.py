"""Traces over two nodes, as a collector gets them; docs/traces.md shows the tree of one."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.gateway.tracing.collector import Collector, run_collector
from tests.support.cluster import run_cluster
from tests.support.native_client import native
from tests.support.receiver import SECRET, run_receiver

ROOT = Path(__file__).parents[2]
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT_SPAN = "00f067aa0ba902b7"


def _names(tree: list[str]) -> list[str]:
    """The tree without times."""
    return [re.sub(r" +[0-9.]+ ms +[0-9.]+ ms ", " ", line).rstrip() for line in tree]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)


async def test_one_message_over_two_nodes_is_one_trace(tmp_path: Path, redis_url: str, postgres_url: str) -> None:
    with run_collector() as collector:
        async with (
            run_receiver() as receiver,
            run_cluster(
                tmp_path,
                redis_url,
                postgres_url,
                nodes=2,
                TRACES_PER_S=100,
                OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
                OTEL_BSP_SCHEDULE_DELAY=100,
                WEBHOOKS=json.dumps([{"url": receiver.url, "secret": SECRET, "name": "crm"}]),
                WEBHOOK_ALLOW_PRIVATE="true",
            ) as cluster,
        ):
            ann, bob = await cluster.user("ann"), await cluster.user("bob")
            chat_id = await cluster.chat(ann, bob)
            sender, reader = await native(cluster, 0, ann), await native(cluster, 1, bob)
            for client in (sender, reader):
                await client.ack("subscribe", chat_id=chat_id)
            await sender.ack("message", chat_id=chat_id, text="Hello", traceparent=f"00-{TRACE_ID}-{CLIENT_SPAN}-01")
            await reader.next("message")
            await receiver.count(1)
            await _until(lambda: len(collector.of(TRACE_ID)) >= 6)
            _check_tree(collector)
            (webhook,) = [span for span in collector.of(TRACE_ID) if span.name == "webhook"]
            assert receiver.headers[0]["traceparent"] == f"00-{TRACE_ID}-{webhook.span_id}-01"

            # HTTP: the request is the parent, and its own parent is in the header
            other = "0af7651916cd43dd8448eb211c80319c"
            async with httpx.AsyncClient(base_url=cluster.nodes[1].url, headers=ann.headers) as http:
                headers = {"traceparent": f"00-{other}-b7ad6b7169203331-01"}
                body = {"text": "Over HTTP"}
                path = f"/api/v1/chats/{chat_id}/messages"
                assert (await http.post(path, json=body, headers=headers)).status_code == 201
                await sender.until(
                    lambda frames: any(frame.get("data", {}).get("text") == "Over HTTP" for frame in frames)
                )
                await _until(lambda: len(collector.of(other)) >= 6)
                names = [line.split()[0] for line in _names(collector.tree(other))]
                assert names == ["POST", "commit", "deliver", "publish", "deliver", "webhook"]

                # neither a client that does not sample nor one with a broken context begins a trace of its own
                for number, text in enumerate((f"00-{other[::-1]}-b7ad6b7169203331-00", "00-zz", "x" * 55, 7, None)):
                    await sender.ack("message", chat_id=chat_id, text=str(number), traceparent=text)
                assert collector.of(other[::-1]) == []
                async with http.stream("GET", f"/sse/anns-tab?chats={chat_id}"):
                    await _until(lambda: any(span.name == "handshake /sse/{client_id}" for span in collector.spans))
                metrics = (await http.get("/metrics")).text
        assert re.search(r'chat_gateway_traces_total\{outcome="begun"\} [1-9]', metrics)
        await _until(
            lambda: {span.name for span in collector.spans} >= {"handshake /ws/{client_id}", "command message"}
        )
        assert {span.service for span in collector.spans} == {"chat-gateway"}


def _check_tree(collector: Collector) -> None:
    tree = collector.tree(TRACE_ID)
    nodes = list(dict.fromkeys(line.split()[-1] for line in tree))
    assert len(nodes) == 2
    shown = [line.replace(nodes[0], "gateway-1").replace(nodes[1], "gateway-2") for line in tree]
    page = (ROOT / "docs/traces.md").read_text()
    documented = re.search(r"```text\n(command message.*?)```", page, re.DOTALL)
    assert documented is not None and _names(documented[1].splitlines()) == _names(shown), "\n".join(shown)
    (command,) = [span for span in collector.of(TRACE_ID) if span.name == "command message"]
    assert command.parent_id == CLIENT_SPAN
    assert {span.attributes.get("chat.seq") for span in collector.of(TRACE_ID) if span.name == "deliver"} == {1}
