"""Faults between a commit, its delivery and its mark: no event is lost, and none comes out of its chat's order.

Members and titles change beside the messages of the same chats.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.chat_events import ABSENT, CHANGES, arrived, stored
from tests.e2e.insistent_writer import change, write
from tests.support.cluster import Cluster, run_cluster
from tests.support.receiver import SECRET, Receiver, run_receiver
from tests.support.servers import free_port

FAULT_S = 1.5
CHATS = 2
"""Few, so that messages and changes of one chat meet while it is being claimed."""
KINDS = ("down", "slow", "errors", "flapping", "killed")


class Endpoint:
    """A receiver that can be away.

    Its port is not an ephemeral one, which an outgoing connection could take meanwhile, even the node's own retry.
    """

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.receiver.port = free_port()
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(run_receiver(self.receiver, self.receiver.port))

    async def close(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def struck(kind: str, cluster: Cluster, endpoint: Endpoint, dice: random.Random) -> AsyncIterator[None]:
    """With this fault inside."""
    answers: dict[str, Callable[[], int | float]] = {
        "slow": lambda: 6.0,
        "errors": lambda: 500,
        "flapping": lambda: dice.choice([204, 500, 503, 0.2]),
    }
    if kind in answers:
        endpoint.receiver.answer = lambda events: answers[kind]()
        yield
        endpoint.receiver.answer = lambda events: 204
    elif kind == "down":
        await endpoint.close()
        yield
        await endpoint.open()
    else:
        node = dice.choice(cluster.nodes)
        node.kill()
        yield
        node.start()


async def run_faults(folder: Path, redis_url: str, database_url: str, kinds: list[str], seed: int) -> None:
    endpoint, dice, is_over = Endpoint(), random.Random(seed), asyncio.Event()
    await endpoint.open()
    types = ["message.created", *CHANGES]
    hooks = {"url": endpoint.receiver.url, "secret": SECRET, "name": "app", "events": types}, ABSENT
    options = {"WEBHOOKS": json.dumps(hooks), "WEBHOOK_ALLOW_PRIVATE": "true", "MESSAGES_PER_MINUTE": 0}
    try:
        async with run_cluster(folder, redis_url, database_url, **options) as cluster:
            ann, *others = [await cluster.user(name) for name in ("ann", "bob", "cid", "dan")]
            chats = [await cluster.chat(ann) for _ in range(CHATS)]
            writing = asyncio.gather(
                *(write(cluster, chats, ann, is_over) for _ in range(2)),
                *(change(cluster, chats, ann, other, is_over) for other in others),
            )
            for kind in kinds:
                await asyncio.sleep(dice.uniform(0, 1))
                async with struck(kind, cluster, endpoint, dice):
                    await asyncio.sleep(FAULT_S)
            is_over.set()
            await writing
            expected = await stored(database_url, chats)
            with suppress(TimeoutError):
                async with asyncio.timeout(120):  # a lease of a killed node, and the delays after failures
                    while arrived(endpoint.receiver.events, chats) != expected:
                        await asyncio.sleep(0.2)
            assert arrived(endpoint.receiver.events, chats) == expected
            assert {type_ for order in expected.values() for _, type_ in order} == set(types)
    finally:
        await endpoint.close()


@pytest.mark.timeout(300)
async def test_one_fault_of_each_kind_loses_no_event(tmp_path: Path, redis_url: str, postgres_url: str) -> None:
    await run_faults(tmp_path, redis_url, postgres_url, list(KINDS), seed=1)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
async def test_twenty_faults_lose_no_event(tmp_path: Path, redis_url: str, database_url: str, seed: int) -> None:
    await run_faults(tmp_path, redis_url, database_url, random.Random(seed).choices(KINDS, k=20), seed)
