"""The supervisor's side of one gateway process of `up`; gateway.up.startup is the replica's side."""

import asyncio
import logging
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.up.child_process import Child
from gateway.up.startup import GO, LISTENING, OWN_REDIS

logger = logging.getLogger("gateway.up")

START_S: Final = 30.0
"""A replica that does not listen within this time is killed, and thereby restarted."""

MAX_READ: Final = 4096

ReplicaCommand = Callable[[int, int], Sequence[str]]
"""(own port, file descriptor of the startup barrier) → the replica's command line."""


def gateway_command(own_port: int, gate_fd: int) -> list[str]:
    """The command line of one node with the auth service."""
    options = ["--with-auth", "--shared", "--own-port", str(own_port), "--gate", str(gate_fd)]
    return [sys.executable, "-m", "gateway.cli", "gateway", *options]


class Replica:
    """One supervised replica with its own port. `on_listening` is called each time it starts to listen.

    `on_request(line)` is called with every other line that it sends (`gateway.up.startup`).
    """

    def __init__(
        self,
        number: int,
        own_port: int,
        environ: Mapping[str, str],
        command: ReplicaCommand,
        on_listening: Callable[[], None],
        on_request: Callable[[bytes], None] = lambda _: None,
        *,
        has_own_redis: bool = False,
    ) -> None:
        self.own_port = own_port
        self.is_listening = False
        self.child = Child(f"replica {number}", self._launch)
        self._environ = environ
        self._command = command
        self._on_listening = on_listening
        self._on_request = on_request
        self._has_own_redis = has_own_redis
        self._unread = b""
        self._link: socket.socket | None = None
        self._overdue: asyncio.TimerHandle | None = None

    async def _launch(self) -> Process:
        self.is_listening = False
        self.close()
        self._link, theirs = socket.socketpair()
        self._link.setblocking(False)
        self._unread = b""
        if self._has_own_redis:
            self._link.send(OWN_REDIS)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command(self.own_port, theirs.fileno()),
                env=self._environ,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl+C must reach only the supervisor, which decides when a replica drains
            )
        loop = asyncio.get_running_loop()
        loop.add_reader(self._link, self._on_readable, self._link)
        self._overdue = loop.call_later(START_S, self._on_overdue)
        return process

    def _on_overdue(self) -> None:
        logger.error("start_overdue", extra={"fields": {"process": self.child.name, "after_s": START_S}})
        self.child.signal(signal.SIGKILL)

    def _on_readable(self, link: socket.socket) -> None:
        try:
            received = link.recv(MAX_READ)
        except OSError:
            received = b""
        if not received:  # the replica has ended; `Child.keep` restarts it
            self.is_listening = False
            asyncio.get_running_loop().remove_reader(link)
            return
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            if line == LISTENING:
                self._is_up()
            else:
                self._on_request(line)

    def _is_up(self) -> None:
        self.is_listening = self.child.has_worked = True
        if self._overdue is not None:
            self._overdue.cancel()
        self._on_listening()

    def go(self) -> None:
        """Open the replica's startup barrier; has no effect if it is open."""
        if self._link is not None:
            try:
                self._link.send(GO)
            except OSError:  # the replica has just ended
                return

    def close(self) -> None:
        """Close the link; a replica that is still running then ends itself."""
        if self._overdue is not None:
            self._overdue.cancel()
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link)
            self._link.close()
            self._link = None
