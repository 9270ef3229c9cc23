"""Redis rejects our password: gateway and auth report it once and recover when it is fixed."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from tests.support.auth_node import AuthNode
from tests.support.cluster import GatewayNode
from tests.support.migrated import make_store
from tests.support.servers import RedisServer
from tests.support.waiting import eventually_async

PASSWORD = "hunter2"
SECONDS = 10.0


@pytest.fixture
def locked_redis(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the Redis whose user `chat` has the password."""
    with redis.Redis.from_url(redis_server.url) as client:
        allow(client, PASSWORD)
        yield client


def allow(client: redis.Redis, password: str) -> None:
    client.execute_command("ACL", "SETUSER", "chat", "reset", "on", f">{password}", "~*", "&*", "+@all")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("kind", [GatewayNode, AuthNode])
async def test_wrong_redis_password_is_reported_as_configuration_error(
    kind: type[GatewayNode | AuthNode],
    locked_redis: redis.Redis,
    redis_server: RedisServer,
    sqlite_url: str,
    tmp_path: Path,
) -> None:
    await make_store(sqlite_url)
    url = redis_server.url.replace("redis://", "redis://chat:wrong-one@")
    node = kind(tmp_path / "node", REDIS_URL=url, DATABASE_URL=sqlite_url)
    node.is_up = lambda: _answers(node.url)  # type: ignore[method-assign]  # not: whether it is ready
    node.start()
    try:

        async def says(status: int, word: str) -> bool:
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"{node.url}/readyz")
            return (answer.status_code, answer.json()["status"]) == (status, word)

        await eventually_async(lambda: says(503, "refused"), SECONDS)
        async with httpx.AsyncClient() as http:
            answer = (await http.get(f"{node.url}/readyz")).json()
        assert answer["reasons"] == ["Redis rejects the user or password of REDIS_URL (WRONGPASS)"]
        allow(locked_redis, "wrong-one")
        await eventually_async(lambda: says(200, "ready"), SECONDS)
        assert node.log.count("redis_access_refused") == 1
        assert "wrong-one" not in node.log
    finally:
        node.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez").status_code == 200
    except httpx.TransportError:
        return False
