"""Fixtures with REDIS_URL for each Redis layout."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_cluster import run_redis_cluster
from tests.support.servers import RedisServer

LISTS = ("one", "two", "three")


@pytest.fixture
def redis_servers(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """Three independent Redis servers."""
    running: list[RedisServer] = []
    try:
        for number in range(len(LISTS)):
            (folder := tmp_path / f"redis-{number}").mkdir()
            running.append(RedisServer(folder))
            running[-1].start()
        yield running
    finally:
        for server in running:
            server.stop()


@pytest.fixture
def layout_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of the layout given by the test: one, two, three, cluster or cluster over TLS (`indirect`)."""
    if request.param.startswith("cluster"):
        with run_redis_cluster(tmp_path / "cluster", tls=request.param == "cluster over TLS") as cluster:
            yield cluster.url
    else:
        running = request.getfixturevalue("redis_servers")[: LISTS.index(request.param) + 1]
        yield ", ".join(server.url for server in running)
