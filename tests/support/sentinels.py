"""A real Redis with failover: a master, a replica and three Sentinels that monitor them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import redis
import redis.asyncio

from tests.support.servers import RedisServer, Server, ServerFailed, answers, find_binary, free_port

SERVICE = "chat"
DOWN_AFTER_MS = 1000
FAILOVER_TIMEOUT_MS = 3000
"""A stuck failover is retried after twice this time."""
ORDERS = 3
"""Of one failover, until one is carried out."""
_CONFIG = """
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {service} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {service} {down_after_ms}
sentinel failover-timeout {service} {failover_timeout_ms}
"""


class SentinelServer(Server):
    """One Sentinel, started with the address of the master."""

    def __init__(self, folder: Path, master: int) -> None:
        self.port = free_port()
        config = folder / "sentinel.conf"  # it writes its state there too
        config.write_text(
            _CONFIG.format(
                port=self.port,
                folder=folder,
                service=SERVICE,
                master=master,
                down_after_ms=DOWN_AFTER_MS,
                failover_timeout_ms=FAILOVER_TIMEOUT_MS,
            )
        )
        super().__init__([find_binary("redis-server"), str(config), "--sentinel"], folder)

    def is_up(self) -> bool:
        """Whether it responds to a PING."""
        return answers(self.port, b"PING\r\n", b"+PONG")

    def master(self) -> int:
        """The port of the master in its view. Raises: redis.RedisError."""
        with redis.Redis(port=self.port, socket_timeout=1) as link:
            _, port = link.sentinel_get_master_addr_by_name(SERVICE)
            return int(port)


class RedisTrio:
    """Two Redis servers, one a replica of the other, and three Sentinels. They announce `ports`."""

    def __init__(self, folder: Path, servers: Sequence[RedisServer], ports: Sequence[int]) -> None:
        self.servers = dict(zip(ports, servers, strict=True))
        self._first, self._second = ports
        self._folder = folder
        self.sentinels: list[SentinelServer] = []

    @classmethod
    def local(cls, folder: Path) -> "RedisTrio":
        """The same, with servers that announce their own ports."""
        servers = []
        for name in ("a", "b"):
            (folder / name).mkdir(parents=True)
            servers.append(RedisServer(folder / name, "--repl-diskless-sync-delay", "0"))
        return cls(folder, servers, [server.port for server in servers])

    @property
    def url(self) -> str:
        """The value for REDIS_URL."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def start(self) -> None:
        """Start all and wait until a failover is possible."""
        for server in self.servers.values():
            server.start()
        with redis.Redis(port=self.servers[self._second].port) as link:
            link.replicaof("127.0.0.1", self._first)
        for number in range(3):
            folder = self._folder / f"sentinel-{number}"
            folder.mkdir()
            self.sentinels.append(SentinelServer(folder, self._first))
            self.sentinels[-1].start()

    def stop(self) -> None:
        """Stop all."""
        for server in [*self.sentinels, *self.servers.values()]:
            server.stop()

    async def master(self) -> RedisServer:
        """The master in the view of most Sentinels."""
        ports = await asyncio.to_thread(lambda: [sentinel.master() for sentinel in self.sentinels])
        return self.servers[sorted(ports)[1]]

    async def replica(self) -> RedisServer:
        """The other server."""
        master = await self.master()
        return next(server for server in self.servers.values() if server is not master)

    async def whole(self, within_s: float = 40.0) -> RedisServer:
        """Return the master once all Sentinels agree on it, know each other, and the other server follows it.

        Raises: TimeoutError.
        """
        async with asyncio.timeout(within_s):
            while True:
                with suppress(redis.RedisError, OSError):
                    if await asyncio.to_thread(self._is_whole):
                        return await self.master()
                await asyncio.sleep(0.1)

    def _is_whole(self) -> bool:
        masters = {sentinel.master() for sentinel in self.sentinels}
        if len(masters) > 1:
            return False
        (port,) = masters
        for sentinel in self.sentinels:
            with redis.Redis(port=sentinel.port, socket_timeout=1) as link:
                state = link.sentinel_master(SERVICE)
                replicas = link.sentinel_slaves(SERVICE)
                if state["flags"] != "master" or state["num-other-sentinels"] != 2:
                    return False
                if [replica["flags"] for replica in replicas] != ["slave"]:
                    return False
        for announced, server in self.servers.items():
            with redis.Redis(port=server.port, socket_timeout=1) as link:
                state = link.info("replication")
                if state["role"] != ("master" if announced == port else "slave"):
                    return False
                if announced != port and (state["master_port"], state["master_link_status"]) != (port, "up"):
                    return False
        return True

    async def failed_over(self, old: RedisServer, within_s: float = 30.0) -> RedisServer:
        """Return the new master once most Sentinels report another than `old`. Raises: TimeoutError."""
        async with asyncio.timeout(within_s):
            while (master := await self.master()) is old:
                await asyncio.sleep(0.05)
        return master

    async def order_failover(self, old: RedisServer) -> RedisServer:
        """`SENTINEL FAILOVER`, as before maintenance; the new master.

        It is ordered again where it came to nothing: another Sentinel that is putting the replica right, and has not
        heard of the order yet, makes it a replica again. Raises: ServerFailed, TimeoutError.
        """
        for _ in range(ORDERS):
            async with redis.asyncio.Redis(port=self.sentinels[0].port) as link:
                if await link.execute_command("SENTINEL", "FAILOVER", SERVICE) != b"OK":  # type: ignore[no-untyped-call]
                    raise ServerFailed("no failover")
            with suppress(TimeoutError):
                return await self.failed_over(old, 10)
            if (master := await self.whole()) is not old:
                return master
        raise TimeoutError(f"{ORDERS} orders of a failover came to nothing")
