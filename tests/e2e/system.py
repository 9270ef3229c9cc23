"""The whole system, as a user has it: two nodes with the auth service, and a load balancer in front of them."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.support.cluster import GatewayNode
from tests.support.migrated import make_store
from tests.support.servers import NginxServer, RedisServer
from tests.up.run import Up


@dataclass(frozen=True)
class System:
    """A running system. `url` is the balancer's, `replica_urls` are the replicas' own.

    `replicas` are the nodes, for a test that kills them and starts them again, unless `up` runs them.
    """

    url: str
    replica_urls: tuple[str, ...]
    replicas: tuple[GatewayNode, ...] = ()


class _Replica(GatewayNode):
    """A node as `up` starts it."""

    arguments: ClassVar = ("gateway", "--with-auth")


@contextmanager
def run_system(
    folder: Path, environ: Mapping[str, str] | None = None, balancer: NginxServer | None = None
) -> Iterator[System]:
    """A system of forked nodes on a new SQLite database, with settings (`environ`) and a balancer of its own.

    It is ready when this is entered, gone when it is left. A warning of Python in a node is an error.
    """
    for name in ("redis", "nginx"):
        (folder / name).mkdir()
    balancer = balancer or NginxServer(folder / "nginx", [])
    with ExitStack() as servers:
        redis = servers.enter_context(RedisServer(folder / "redis"))
        settings = {"DATABASE_URL": f"sqlite://{folder / 'chat.db'}", "REDIS_URL": redis.url, **(environ or {})}
        with ThreadPoolExecutor(1) as thread:  # an asynchronous test has a loop here
            thread.submit(asyncio.run, make_store(settings["DATABASE_URL"])).result()
        settings |= {"DRAIN_S": "2", "PYTHONWARNINGS": "error"}
        replicas = [servers.enter_context(_Replica(folder / f"replica-{number}", **settings)) for number in (1, 2)]
        balancer.configure([replica.port for replica in replicas])
        with balancer:
            yield System(balancer.url, tuple(replica.url for replica in replicas), tuple(replicas))
        for replica in replicas:
            replica.terminate()
        for replica in replicas:
            assert replica.wait() == 0, replica.log
            assert "Traceback" not in replica.log, replica.log


@contextmanager
def run_up(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[System]:
    """The same started by `chat-gateway up`, as a shell starts it."""
    for name in ("up", "nginx"):
        (folder / name).mkdir()
    up = Up(folder / "up", program=("-m", "gateway.cli"), environ=environ)
    try:
        up.start()
        with NginxServer(folder / "nginx", up.own_ports()) as balancer:
            yield System(balancer.url, tuple(f"http://127.0.0.1:{port}" for port in up.own_ports()))
        assert up.end() == 0, up.output()
        assert "Traceback" not in up.output(), up.output()
    finally:
        up.stop()
