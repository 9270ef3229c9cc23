"""Runs one application on sockets of our own making, and leaves politely.

Keeps invariant 8: uvicorn closes every socket at once when it is told to exit, so the first SIGTERM or SIGINT starts
*our* drain, while the listeners still accept, and uvicorn's shutdown comes after it.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import uvicorn
from starlette.applications import Starlette

from gateway.gate import Gate
from gateway.settings import Settings

logger = logging.getLogger("gateway.serve")

T = TypeVar("T")

MAX_FRAME_BYTES: Final = 65_536
PONG_TIMEOUT_S: Final = 20.0
DRAIN_MARGIN_S: Final = 5.0
"""What a drain may take beyond its two settings."""
SHUTDOWN_S: Final = 3
"""For requests that are still being answered when the drain is over."""
BACKLOG: Final = 2048


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a process' main coroutine on uvloop, if it is there."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A TCP socket at this address; `shared` lets other processes of this user bind it too (SO_REUSEPORT).

    Raises: OSError.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


class Server(uvicorn.Server):
    """uvicorn, with a gate at its start and a drain before its end.

    `app.state.drain()` is awaited at the first signal; a second one calls `app.state.hurry()`; a third gives up
    waiting. An application without them is shut down at once.
    """

    def __init__(self, config: uvicorn.Config, app: Starlette, gate: Gate, drain_bound_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._gate = gate
        self._drain_bound_s = drain_bound_s
        self.gave_up = False
        """Whether a signal ended it before it had started."""
        self._signals = 0
        self._task: asyncio.Task[Any] | None = None
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, and then the gate is told."""
        await super().startup(sockets)
        self._gate.listening()

    async def main_loop(self) -> None:
        """uvicorn's, until the first signal; then the drain, with everything still served."""
        await super().main_loop()
        drain = getattr(self._app.state, "drain", None)
        if drain is None:
            return
        self._drain = asyncio.create_task(drain(), name="drain")
        done, _ = await asyncio.wait([self._drain], timeout=self._drain_bound_s)
        if not done:
            logger.error("drain_overdue", extra={"fields": {"after_s": self._drain_bound_s}})
            self._drain.cancel()
        elif not self._drain.cancelled() and (error := self._drain.exception()) is not None:
            logger.error("drain_failed", exc_info=error)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours instead of uvicorn's, which would end the process by the signal it got: a clean drain ends with 0."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        self._signals += 1
        self.should_exit = True
        if not self.started and self._task is not None:  # uvicorn would wait for a start that may never end
            self.gave_up = True
            self._task.cancel()
        if self._signals == 1:
            return
        hurry = getattr(self._app.state, "hurry", None)
        if hurry is not None:
            hurry()
        if self._drain is not None and (hurry is None or self._signals > 2):
            self._drain.cancel()


async def serve(
    app: Starlette,
    settings: Settings,
    sockets: Sequence[socket.socket],
    gate: Gate,
    *,
    websockets: str = "gateway.transport:Transport",
) -> None:
    """Serve until a signal, and drain; `sockets` are bound, and closed when this returns.

    Raises: SystemExit if the application does not start; it has logged why.
    """
    config = uvicorn.Config(
        app,
        ws=websockets,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,  # costs 40 kB a socket, and a bomb is a small frame
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=PONG_TIMEOUT_S,
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would log query strings, and a token may be in one
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    bound_s = settings.drain_delay_s + settings.drain_s + DRAIN_MARGIN_S
    server = Server(config, app, gate, bound_s)
    try:
        await server.serve(list(sockets))
    except asyncio.CancelledError:
        if not server.gave_up:
            raise
    finally:
        for bound in sockets:
            with suppress(OSError):
                bound.close()
