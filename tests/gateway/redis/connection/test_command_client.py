"""Commands whose replies arrive together, over a real Redis."""

import asyncio
from collections import Counter

from gateway.redis.connection.command_client import WAKES_A_TURN, CommandClient
from tests.support.servers import RedisServer


async def test_replies_of_one_read_wake_tasks_over_several_turns(redis_server: RedisServer) -> None:
    client, turn, woken = CommandClient(redis_server.url), 0, list[tuple[int, int]]()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def call(number: int) -> None:
        await client.call("ECHO", number)
        woken.append((turn, number))

    many = 10 * WAKES_A_TURN
    async with asyncio.TaskGroup() as group:
        owners = [group.create_task(client.run()), group.create_task(count_turns())]
        await client.connected.wait()
        await asyncio.gather(*(call(number) for number in range(many)))
        for owner in owners:
            owner.cancel()
    assert [number for _, number in woken] == list(range(many))
    assert max(Counter(turn for turn, _ in woken).values()) == WAKES_A_TURN
