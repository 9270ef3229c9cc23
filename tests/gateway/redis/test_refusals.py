"""Redis rejects our password or rights: reported once, and recovered without a restart."""

import asyncio
import logging
import re
from pathlib import Path

import pytest
import redis

from gateway.redis.backend import RedisEvents, open_redis
from gateway.redis.namespace import Namespace
from tests.gateway.redis import test_layouts as layouts
from tests.gateway.redis.nodes import NAMES, Ear
from tests.support.redis_cluster import run_redis_cluster
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

ACL = re.compile(r"^ACL SETUSER chat (.+)$", re.MULTILINE)
CLUSTER_RIGHTS = re.compile(r"A cluster needs `(.+?)` too")
PAGE = (Path(__file__).parents[3] / "docs/operations.md").read_text()


def documented(prefix: str = "test:*") -> list[str]:
    """The words of the documented ACL, for the user `chat` with the password `hunter2`."""
    (rules,) = ACL.findall(PAGE)
    return str(rules).replace("PASSWORD", "hunter2").replace("cg:*", prefix).split()


def set_user(server: RedisServer, *rules: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "chat", *rules)  # type: ignore[no-untyped-call]


def as_chat(url: str, password: str = "hunter2") -> str:
    return url.replace("redis://", f"redis://chat:{password}@")


@pytest.mark.parametrize(
    ("rules", "password", "reason"),
    [
        ([], "wrong", "WRONGPASS"),
        (["-publish"], "hunter2", "NOPERM"),
        (["-subscribe"], "hunter2", "NOPERM"),
        (["-evalsha"], "hunter2", "NOPERM"),
        (["-zadd"], "hunter2", "NOPERM"),
        (["resetkeys"], "hunter2", "NOPERM"),
        (["resetchannels"], "hunter2", "NOPERM"),
    ],
)
async def test_rejection_by_redis_is_logged_once_and_ends_when_fixed(
    redis_server: RedisServer, rules: list[str], password: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    set_user(redis_server, *documented(), *rules)
    url, ear = as_chat(redis_server.url, password), Ear()
    async with open_redis(url, NAMES, "node", messages_per_minute=10, events=lambda _: RedisEvents()) as rooms:
        rooms.start(ear, ear)
        await eventually(lambda: reason in rooms.broker.refusal)
        await asyncio.sleep(1.5)  # further attempts
        assert reason in rooms.broker.refusal
        set_user(redis_server, *documented(), ">wrong")
        await eventually(lambda: not rooms.broker.refusal and not rooms.broker.down and not rooms.broker.deaf)
    refusals = [record for record in caplog.records if record.getMessage().endswith("_refused")]
    assert refusals and len(refusals) <= 2  # of the command link and of the subscription
    assert {record.levelno for record in refusals} == {logging.ERROR}
    assert password == "hunter2" or f":{password}@" not in str([record.__dict__ for record in caplog.records])
    assert "hunter2" not in str([record.__dict__.get("fields") for record in caplog.records])


async def test_missing_password_is_reported_as_rejection(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", "hunter2")
    ear = Ear()
    async with open_redis(
        redis_server.url, NAMES, "node", messages_per_minute=10, events=lambda _: RedisEvents()
    ) as rooms:
        rooms.start(ear, ear)
        await eventually(lambda: "NOAUTH" in rooms.broker.refusal)


async def test_rights_revoked_later_are_reported_as_rejection(redis_server: RedisServer) -> None:
    set_user(redis_server, *documented())
    ear = Ear()
    async with open_redis(
        as_chat(redis_server.url), NAMES, "node", messages_per_minute=10, events=lambda _: RedisEvents()
    ) as rooms:
        rooms.start(ear, ear)
        await eventually(lambda: not rooms.broker.down and not rooms.broker.deaf)
        set_user(redis_server, "-evalsha")
        await rooms.limits.admit(1, "m1")
        assert "NOPERM" in rooms.broker.refusal


async def test_documented_rights_are_sufficient(redis_server: RedisServer) -> None:
    set_user(redis_server, *documented())
    await everything_works(as_chat(redis_server.url))


async def test_documented_rights_are_sufficient_in_a_cluster(tmp_path: Path) -> None:
    (more,) = CLUSTER_RIGHTS.findall(PAGE)
    with run_redis_cluster(tmp_path / "cluster") as cluster:
        for master in cluster.masters:
            master.ask("ACL", "SETUSER", "chat", *documented(), *more.split())
        await everything_works(cluster.url.replace("redis+cluster://", "redis+cluster://chat:hunter2@"))


async def everything_works(url: str) -> None:
    async with layouts.node(url, "a") as a, layouts.node(url, "b") as b:
        await layouts.every_publication_is_heard(a, b)
        await layouts.who_speaks_to_a_node_or_to_all_is_heard(a, b)
        await layouts.presence_is_shared(a, b)
        await layouts.limits_and_tickets_hold_over_both(a, b)
        await layouts.clients_are_found(a, b)
        assert a.rooms.broker.refusal == b.rooms.broker.refusal == ""
    await layouts.failed_logins_are_counted_over_all_processes(url)


def test_documented_pattern_matches_default_prefix() -> None:
    assert "~cg:*" in PAGE and Namespace("5f3a").prefix.startswith("cg:")
