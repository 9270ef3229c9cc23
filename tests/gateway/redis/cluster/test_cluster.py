"""Changes of a cluster under a node: slots move, masters die, are replaced, or return without data."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis.crc import key_slot

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Seat
from gateway.interfaces.rate_limits import RateLimited
from gateway.redis.presence.lease import lease_key
from tests.gateway.redis.layout_nodes import LIMIT, Half, node
from tests.gateway.redis.nodes import NAMES
from tests.support.redis_cluster import ClusterNode, RedisCluster, run_redis_cluster
from tests.support.waiting import eventually, eventually_async

PACE_S = 0.002


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with run_redis_cluster(tmp_path_factory.mktemp("redis") / "cluster") as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: RedisCluster) -> RedisCluster:
    """The module's, well and empty; its slots may have other masters by now."""
    shared_cluster.wait()
    for master in shared_cluster.masters:
        master.ask("FLUSHALL")
    return shared_cluster


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[RedisCluster]:
    with run_redis_cluster(tmp_path / "cluster", replicated=True) as cluster:
        yield cluster


def other_than(cluster: RedisCluster, master: ClusterNode) -> ClusterNode:
    return next(node for node in cluster.masters if node is not master)


def chat_at(cluster: RedisCluster, master: ClusterNode, *, here: bool = True) -> int:
    """A chat whose channel is (or is not) at the master."""
    slots = cluster.masters[0].slots_of()
    return next(c for c in range(1, 1000) if (slots[key_slot(NAMES.chat_channel(c))] == master.id) is here)


class Talk:
    """Numbers said in a chat, and which of them may be missing: those said before a position check was asked for."""

    def __init__(self, speaker: Half, listener: Half, chat_id: int) -> None:
        self._speaker, self._listener, self._chat_id = speaker, listener, chat_id
        self.said = 0
        self.excused = 0
        interrupted = listener.ear.on_interrupted

        def on_interrupted() -> None:
            interrupted()
            self.excused = self.said

        # Whoever listens looked this method up at the start, but asks the ear.
        listener.ear.on_interrupted = on_interrupted  # type: ignore[method-assign]

    @property
    def heard(self) -> set[int]:
        return {int(said) for chat, said in self._listener.ear.heard if chat == self._chat_id}

    def say(self) -> None:
        self._speaker.rooms.broker.publish(self._chat_id, b"%d" % self.said)
        self.said += 1

    async def go_on(self, seconds: float) -> None:
        async with asyncio.timeout(seconds + 10):
            for _ in range(int(seconds / PACE_S)):
                self.say()
                await asyncio.sleep(PACE_S)

    async def until_heard(self, timeout_s: float = 15) -> None:
        """Speak until one who speaks last is heard."""

        async def is_heard() -> bool:
            self.say()
            await asyncio.sleep(0.05)
            return self.said - 1 in self.heard

        await eventually_async(is_heard, timeout_s)

    @property
    def lost(self) -> set[int]:
        """Ignored."""
        return set(range(self.excused, self.said)) - self.heard


async def test_slot_moving_under_load_loses_no_publication(cluster: RedisCluster) -> None:
    async with node(cluster.url, "a") as a, node(cluster.url, "b") as b:
        source = cluster.master_of("test:chat:1")
        quiet_chat = chat_at(cluster, source, here=False)
        await asyncio.gather(*(a.rooms.broker.subscribe(chat) for chat in (1, quiet_chat)))
        moving, quiet = Talk(b, a, 1), Talk(b, a, quiet_chat)
        quiet.excused = 0
        target = other_than(cluster, source)
        for origin, goal in ((source, target), (target, source)):
            talking = asyncio.gather(moving.go_on(0.6), quiet.go_on(0.6))
            await asyncio.sleep(0.2)
            before = a.ear.interruptions
            await asyncio.to_thread(cluster.move, key_slot(b"test:chat:1"), origin, goal)
            await talking
            await eventually(lambda before=before: a.ear.interruptions > before)  # type: ignore[misc]
            await moving.until_heard()
            await eventually(lambda: not moving.lost)  # what was refused may come behind the last
        await quiet.until_heard()
        assert quiet.heard == set(range(quiet.said))
        assert not a.rooms.broker.down and not a.rooms.broker.deaf
        assert "probe_failed" not in a.happened + b.happened


async def test_publication_to_old_master_of_slot_reaches_subscriber(cluster: RedisCluster) -> None:
    async with node(cluster.url, "a") as a, node(cluster.url, "b") as b:
        await a.rooms.broker.subscribe(1)
        source = cluster.master_of("test:chat:1")
        a.ear.interruptions = 0
        await asyncio.to_thread(cluster.move, key_slot(b"test:chat:1"), source, other_than(cluster, source))
        await eventually(lambda: a.ear.interruptions > 0)
        for number in range(100):  # the publisher does not know it yet
            b.rooms.broker.publish(1, b"%d" % number)
        await eventually(lambda: len(a.ear.heard) == 100)
        assert a.ear.heard == [(1, b"%d" % number) for number in range(100)]


async def test_rate_limit_holds_while_its_slot_moves(cluster: RedisCluster) -> None:
    async with node(cluster.url, "a") as a:
        key, slot = "test:limit:1", key_slot(b"test:limit:1")
        source = cluster.master_of(key)
        target = other_than(cluster, source)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        answers = [await a.rooms.limits.admit(1, f"m{number}") for number in range(2)]  # asked of the target
        a.rooms.limits.forget(1, "m1")
        await eventually(lambda: target.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 1)
        await asyncio.to_thread(cluster.move, slot, source, target)
        answers += [await a.rooms.limits.admit(1, f"m{number}") for number in range(2, LIMIT + 2)]
        assert [isinstance(answer, RateLimited) for answer in answers] == [False] * (LIMIT + 1) + [True]


@pytest.mark.parametrize("how", ["kill", pytest.param("asked", marks=pytest.mark.full)])
async def test_replica_takeover_affects_only_its_chats(replicated: RedisCluster, how: str) -> None:
    async with node(replicated.url, "a") as a, node(replicated.url, "b") as b:
        victim = replicated.masters[0]
        replica = replicated.replicas[0]
        lost_chat, kept_chat = chat_at(replicated, victim), chat_at(replicated, victim, here=False)
        await asyncio.gather(*(a.rooms.broker.subscribe(chat) for chat in (lost_chat, kept_chat)))
        lost, kept = Talk(b, a, lost_chat), Talk(b, a, kept_chat)
        seat = Seat(lost_chat, 7, "ann", "x", exclusive=True)
        await a.rooms.presence.enter(seat)
        if how == "kill":
            victim.kill()
            await eventually(lambda: a.rooms.broker.down)
        else:
            replica.ask("CLUSTER", "FAILOVER")
        await asyncio.gather(lost.go_on(1), kept.go_on(1))
        await lost.until_heard()
        await kept.until_heard()
        await eventually(lambda: not lost.lost)
        assert kept.heard == set(range(kept.said))
        await eventually(lambda: not any(half.rooms.broker.down or half.rooms.broker.deaf for half in (a, b)))

        async def is_seated() -> bool:
            return [present.user_id for present in await b.rooms.presence.members(lost_chat)] == [7]

        await eventually_async(is_seated)
        victim.restart()  # a replica by now
        await lost.until_heard()
        await eventually(lambda: not lost.lost)


async def test_seats_lost_by_restarted_master_are_asserted_again(
    cluster: RedisCluster,
) -> None:
    async with node(cluster.url, "a") as a:
        keeper = cluster.master_of(NAMES.prefix + lease_key("a.1"))
        victim = other_than(cluster, keeper)
        slots = keeper.slots_of()
        chats = [chat for chat in range(1, 500) if slots[key_slot(b"test:presence:%d" % chat)] == victim.id]
        assert len(chats) > 50  # a few would be asserted again in turn
        await asyncio.gather(*(a.rooms.presence.enter(Seat(chat, 7, "ann", "x", exclusive=False)) for chat in chats))
        victim.restart()

        async def are_seated() -> bool:
            try:
                return all([len(await a.rooms.presence.members(chat)) == 1 for chat in chats])
            except RedisUnavailable:
                return False

        await eventually_async(are_seated)
        assert "lease_lost" not in a.happened


async def test_dead_master_without_replica_affects_only_its_slots(cluster: RedisCluster) -> None:
    async with node(cluster.url, "a") as a, node(cluster.url, "b") as b:
        victim = cluster.masters[2]
        lost_chat, kept_chat = chat_at(cluster, victim), chat_at(cluster, victim, here=False)
        kept = Talk(b, a, kept_chat)
        await a.rooms.broker.subscribe(kept_chat)
        victim.kill()
        await eventually(lambda: a.rooms.broker.down and b.rooms.broker.down)
        async with asyncio.timeout(6):
            await a.rooms.broker.subscribe(lost_chat)  # returns after its bound
        await kept.go_on(1)
        assert not a.rooms.broker.deaf
        b.rooms.broker.publish(lost_chat, b"-1")  # waits, if it is not too long
        victim.start()
        await eventually(lambda: not a.rooms.broker.down and not a.rooms.broker.deaf)
        lost = Talk(b, a, lost_chat)
        await lost.until_heard()
        await kept.until_heard()
        assert kept.heard == set(range(kept.said))


@pytest.mark.full
async def test_cluster_without_coverage_is_down_and_not_deaf(cluster: RedisCluster) -> None:
    try:
        for master in cluster.masters:
            master.ask("CONFIG", "SET", "cluster-require-full-coverage", "yes")
        async with node(cluster.url, "a") as a:
            await a.rooms.broker.subscribe(1)
            cluster.masters[0].kill()
            await eventually(lambda: a.rooms.broker.down)
            for _ in range(40):  # the probes fail, and their connections are made again
                await asyncio.sleep(0.25)
                assert a.rooms.broker.down and not a.rooms.broker.deaf
            with pytest.raises(RedisUnavailable):
                await a.rooms.presence.members(1)
            cluster.masters[0].start()
            await eventually(lambda: not a.rooms.broker.down and not a.rooms.broker.deaf, 20)
            await Talk(a, a, 1).until_heard()
    finally:
        for master in cluster.masters:
            master.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")


async def test_node_waits_for_cluster_to_start(cluster: RedisCluster) -> None:
    for master in cluster.masters:
        master.kill()
    starting = asyncio.create_task(_speak_to_oneself(cluster.url))
    await asyncio.sleep(0)
    for master in cluster.masters:
        master.start()
    async with asyncio.timeout(60):
        await starting


async def _speak_to_oneself(url: str) -> None:
    async with node(url, "a") as a:
        await a.rooms.broker.subscribe(1)
        await Talk(a, a, 1).until_heard()

        async def enters() -> bool:
            with suppress(RedisUnavailable):  # another master may not have found the others yet
                return await a.rooms.presence.enter(Seat(1, 7, "ann", "x", exclusive=True)) is not None
            return False

        await eventually_async(enters)
