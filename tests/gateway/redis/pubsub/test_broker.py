"""Publications across nodes: confirmed, in order, in batches, and complete again after every failure."""

import asyncio

import redis

from gateway.redis.backend import FLUSH_S, open_redis
from gateway.redis.connection.events import RedisEvents
from tests.gateway.redis.nodes import NAMES, PROBE_INTERVAL_S, Ear, open_node
from tests.gateway.redis.proxy import open_proxy
from tests.gateway.redis.scripted import scripted_redis
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


def unheard(_shard: int) -> RedisEvents:
    return RedisEvents()


async def test_publication_after_subscribe_is_received(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        for chat_id in range(200):
            await a.broker.subscribe(chat_id)
            b.broker.publish(chat_id, b"first")
        await eventually(lambda: len(a.ear.heard) == 200)
    assert a.ear.heard == [(chat_id, b"first") for chat_id in range(200)]


async def test_concurrent_first_subscribers_share_one_subscribe(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await asyncio.gather(*(node.broker.subscribe(7) for _ in range(1000)))
        node.broker.publish(7, b"x")
        await eventually(lambda: node.ear.heard == [(7, b"x")])
        assert _calls(redis_server, "subscribe") == 2  # one is the node's own channel


async def test_many_chats_are_subscribed_in_few_commands(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await asyncio.gather(*(node.broker.subscribe(chat_id) for chat_id in range(1000)))
        assert _calls(redis_server, "subscribe") == 3  # one is the node's own channel
        for chat_id in range(1000):
            node.broker.publish(chat_id, b"x")
        await eventually(lambda: len(node.ear.heard) == 1000)


async def test_publications_arrive_in_order_and_in_batches(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        await a.broker.subscribe(1)
        for number in range(5000):
            b.broker.publish(1, b"%d" % number)
        await eventually(lambda: len(a.ear.heard) == 5000)
    assert a.ear.heard == [(1, b"%d" % number) for number in range(5000)]
    assert len(a.ear.batches) < 500


async def test_publications_of_one_read_are_handed_over_together(redis_url: str) -> None:
    """What is handed over together leaves in one write for each socket (tests/gateway/delivery/test_hub)."""
    async with scripted_redis() as server, open_node(redis_url, subscription_url=server.url, wait=False) as node:
        await eventually(lambda: len(server.asked) == 2)  # the node's own channels
        server.confirm(2)
        subscribed = asyncio.create_task(node.broker.subscribe(1))
        await eventually(lambda: len(server.asked) == 3)
        server.confirm()
        await subscribed
        server.publish([(NAMES.chat_channel(1), NAMES.mark + b"%d" % number) for number in range(50)])
        await eventually(lambda: bool(node.ear.batches))
        assert node.ear.batches == [[(1, b"%d" % number) for number in range(50)]]


async def test_subscribe_directly_after_unsubscribe_is_effective(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        for round_ in range(300):
            await a.broker.subscribe(1)
            a.broker.unsubscribe(1)
            if round_ % 3:
                await asyncio.sleep(0)  # the UNSUBSCRIBE is on its way, or not yet
            if round_ % 3 == 2:
                pending = asyncio.create_task(a.broker.subscribe(1))
                await asyncio.sleep(0)
                a.broker.unsubscribe(1)
                await asyncio.wait_for(pending, 0.5)
            await a.broker.subscribe(1)
            b.broker.publish(1, b"%d" % round_)
            await eventually(lambda: bool(a.ear.heard) and a.ear.heard[-1] == (1, b"%d" % round_))  # noqa: B023
            a.broker.unsubscribe(1)
    assert a.ear.heard == [(1, b"%d" % round_) for round_ in range(300)]
    assert a.ear.interruptions == 0


async def test_only_confirmation_of_last_subscribe_counts(redis_url: str) -> None:
    async with scripted_redis() as server, open_node(redis_url, subscription_url=server.url, wait=False) as node:
        await eventually(lambda: len(server.asked) == 2)  # the node's own channels
        server.confirm(2)
        impatient = asyncio.create_task(node.broker.subscribe(1))
        await eventually(lambda: len(server.asked) == 3)
        node.broker.unsubscribe(1)
        await eventually(lambda: len(server.asked) == 4)
        patient = asyncio.create_task(node.broker.subscribe(1))
        await eventually(lambda: len(server.asked) == 5)
        assert [verb for verb, _ in server.asked[2:]] == ["subscribe", "unsubscribe", "subscribe"]
        await asyncio.wait_for(impatient, 0.5)  # who has left is let go
        server.confirm()  # the first, which the UNSUBSCRIBE behind it takes back
        node.broker.unsubscribe(2)  # what is answered by then has been read
        await eventually(lambda: node.broker._subscription._unconfirmed[b"test:chat:1"] == 1)
        assert not patient.done()
        server.confirm(2)
        await asyncio.wait_for(patient, 0.5)
        assert node.ear.interruptions == 0


async def test_last_publications_are_flushed_when_node_stops(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a:
        await a.broker.subscribe(1)
        for round_ in range(3):
            async with open_redis(redis_url, NAMES, f"b{round_}", messages_per_minute=0, events=unheard) as rooms:
                await eventually(lambda rooms=rooms: not rooms.broker.down)  # type: ignore[misc]
                rooms.start(Ear(), Ear())
                for number in range(1000):
                    rooms.broker.publish(1, b"%d" % number + bytes(10_000))  # more than the kernel takes at once
            await eventually(lambda round_=round_: len(a.ear.heard) == 1000 * (round_ + 1), 5)  # type: ignore[misc]


async def test_stop_is_bounded_with_unsent_publications(redis_server: RedisServer) -> None:
    async with open_redis(redis_server.url, NAMES, "b", messages_per_minute=0, events=unheard) as rooms:
        await eventually(lambda: not rooms.broker.down)
        rooms.start(Ear(), Ear())
        redis_server.kill()
        await eventually(lambda: rooms.broker.down)
        rooms.broker.publish(1, b"x")
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < FLUSH_S + 0.5


async def test_no_publication_is_received_after_unsubscribe(redis_url: str) -> None:
    async with open_node(redis_url) as node:
        await node.broker.subscribe(1)
        await node.broker.subscribe(2)
        node.broker.unsubscribe(1)
        await node.broker.subscribe(3)
        for chat_id in (1, 2, 3):
            node.broker.publish(chat_id, b"x")
        await eventually(lambda: len(node.ear.heard) >= 2)
    assert node.ear.heard == [(2, b"x"), (3, b"x")]


async def test_redis_restart_resubscribes_and_reports_interruption(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await asyncio.gather(*(node.broker.subscribe(chat_id) for chat_id in range(1500)))
        redis_server.kill()
        await eventually(lambda: node.broker.down)
        assert not node.broker.deaf
        redis_server.start()
        await eventually(lambda: node.ear.interruptions == 1 and not node.broker.down)
        assert not node.broker.deaf
        for chat_id in range(1500):
            node.broker.publish(chat_id, b"x")
        await eventually(lambda: len(node.ear.heard) == 1500)


async def test_publications_of_short_outage_are_sent_after_it(
    redis_server: RedisServer,
) -> None:
    async with open_node(redis_server.url) as node:
        await node.broker.subscribe(1)
        redis_server.kill()
        await eventually(lambda: node.broker.down)
        for number in range(100):
            node.broker.publish(1, b"%d" % number)
        redis_server.start()
        await eventually(lambda: node.ear.interruptions == 1)
        node.broker.publish(1, b"last")
        await eventually(lambda: (1, b"last") in node.ear.heard)
    numbers = [int(payload) for _, payload in node.ear.heard[:-1]]
    assert numbers == sorted(numbers)


async def test_full_outage_buffer_drops_oldest_and_counts(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        redis_server.kill()
        await eventually(lambda: node.broker.down)
        for _ in range(10_050):
            node.broker.publish(1, b"x")
        assert node.happened.count("publish_dropped") == 50


async def test_subscribe_during_outage_takes_effect_after_it(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        redis_server.kill()
        await eventually(lambda: node.broker.down)
        async with asyncio.timeout(6):
            await asyncio.gather(*(node.broker.subscribe(chat_id) for chat_id in range(100)))
        redis_server.start()
        await eventually(lambda: node.ear.interruptions == 1)
        node.broker.publish(99, b"x")
        await eventually(lambda: node.ear.heard == [(99, b"x")])


async def test_node_started_without_redis_checks_positions_later(redis_server: RedisServer) -> None:
    redis_server.kill()
    async with open_node(redis_server.url, wait=False) as node:
        await node.broker.subscribe(1)  # returns after its bound
        assert node.broker.down
        redis_server.start()
        await eventually(lambda: node.ear.interruptions == 1)
        node.broker.publish(1, b"x")
        await eventually(lambda: node.ear.heard == [(1, b"x")])


async def test_killed_subscription_is_rebuilt_and_reported(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await node.broker.subscribe(1)
        _ask(redis_server, "CLIENT", "KILL", "TYPE", "pubsub")
        await eventually(lambda: node.ear.interruptions == 1)
        assert not node.broker.deaf
        node.broker.publish(1, b"x")
        await eventually(lambda: node.ear.heard == [(1, b"x")])


async def test_frozen_redis_is_down_and_recovers(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await node.broker.subscribe(1)
        redis_server.pause()
        await eventually(lambda: node.broker.down, 5)
        assert not node.broker.deaf
        redis_server.resume()
        await eventually(lambda: not node.broker.down and not node.broker.deaf)
        node.broker.publish(1, b"x")
        await eventually(lambda: (1, b"x") in node.ear.heard)


async def test_silent_subscription_is_detected_and_rebuilt(redis_server: RedisServer) -> None:
    async with (
        open_proxy(redis_server.port) as proxy,
        open_node(redis_server.url, subscription_url=proxy.url) as node,
    ):
        await node.broker.subscribe(1)
        proxy.freeze()
        # In earnest the interval is ten times as long: 15 s would be 1.5 s here.
        took_s = await eventually(lambda: node.broker.deaf)
        assert took_s < 5 * PROBE_INTERVAL_S
        assert not node.broker.down
        assert node.happened.count("probe_failed") == 1
        proxy.thaw()
        await eventually(lambda: node.ear.interruptions == 1)
        assert not node.broker.deaf
        node.broker.publish(1, b"x")
        await eventually(lambda: (1, b"x") in node.ear.heard)


async def test_late_subscribe_confirmation_requests_position_check(redis_server: RedisServer) -> None:
    async with (
        open_proxy(redis_server.port) as proxy,
        open_node(redis_server.url, subscription_url=proxy.url, probe_interval_s=60) as node,
    ):
        proxy.freeze()
        await node.broker.subscribe(1)  # returns after its bound, unconfirmed
        proxy.thaw()
        await eventually(lambda: node.ear.interruptions == 1)


async def test_listener_failure_does_not_end_subscription(redis_url: str) -> None:
    async with open_node(redis_url) as node:
        await node.broker.subscribe(1)
        hear = node.ear.on_publications
        node.ear.on_publications = _fail  # type: ignore[method-assign, assignment]
        node.broker.publish(1, b"x")
        await eventually(lambda: bool(node.failures) or node.ear.interruptions == 1)
        node.ear.on_publications = hear  # type: ignore[method-assign]
        assert not node.failures
        await node.broker.subscribe(2)
        node.broker.publish(2, b"y")
        await eventually(lambda: (2, b"y") in node.ear.heard)


def _fail(_batch: object) -> None:
    raise RuntimeError("a defect of the listener's")


def _ask(server: RedisServer, *words: str) -> object:
    with redis.Redis(port=server.port) as client:
        return client.execute_command(*words)


def _calls(server: RedisServer, command: str) -> int:
    with redis.Redis(port=server.port) as client:
        return int(client.info("commandstats")[f"cmdstat_{command}"]["calls"])
