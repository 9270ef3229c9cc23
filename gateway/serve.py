"""Runs one application on sockets of our own making, and leaves politely.

Keeps invariant 8: uvicorn closes every socket at once when it is told to exit, so the first SIGTERM or SIGINT starts
*our* drain, while the listeners still accept, and uvicorn's shutdown comes after it.
"""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import uvicorn
from starlette.types import ASGIApp

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
COLLECTIONS: Final = (5_000, 20, 20)
"""New objects before a collection of the newest, and how many of those before one of the older; see `gc`."""


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


Drain = Callable[[], Coroutine[Any, Any, None]]


async def _nothing() -> None:
    """An application that nobody needs to leave politely."""


def _settle() -> None:
    """What is here now stays for ever: leave it out of every collection, and collect in larger steps.

    Measured, 3,000 members connecting: collections took 45 % of the time without this, most of it in looking through
    the modules again and again; full ones held the loop for 0.3 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


class Server(uvicorn.Server):
    """uvicorn, with a gate at its start and a drain before its end.

    `drain()` is awaited at the first signal, for at most `bound_s`; the next ones call `hurry()`.
    """

    def __init__(
        self, config: uvicorn.Config, gate: Gate, drain: Drain, hurry: Callable[[], None], bound_s: float
    ) -> None:
        super().__init__(config)
        self._gate = gate
        self._drain = drain
        self._hurry = hurry
        self._bound_s = bound_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, and then the gate is told."""
        await super().startup(sockets)
        _settle()
        self._gate.listening()

    async def main_loop(self) -> None:
        """uvicorn's, until the first signal; then the drain, with everything still served."""
        await super().main_loop()
        try:
            await asyncio.wait_for(self._drain(), self._bound_s)
        except TimeoutError:
            logger.error("drain_overdue", extra={"fields": {"after_s": self._bound_s}})  # noqa: TRY400  no news in it
        except Exception:
            logger.exception("drain_failed")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours instead of uvicorn's, which would end the process by the signal it got: a clean drain ends with 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self.should_exit:
            self._hurry()
        self.should_exit = True


async def serve(
    app: ASGIApp,
    settings: Settings,
    sockets: Sequence[socket.socket],
    gate: Gate,
    *,
    drain: Drain = _nothing,
    hurry: Callable[[], None] = lambda: None,
    websockets: str = "gateway.transport:Transport",
) -> None:
    """Serve until a signal, and drain. `sockets` are bound, and closed when this returns.

    The caller opens what `app` stands on before this and closes it after; there is no ASGI lifespan.
    """
    config = uvicorn.Config(
        app,
        ws=websockets,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,  # costs 40 kB a socket, and a bomb is a small frame
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=PONG_TIMEOUT_S,
        http="gateway.http_transport:HttpTransport",
        lifespan="off",
        log_config=None,
        access_log=False,  # it would log query strings, and a token may be in one
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    bound_s = settings.drain_delay_s + settings.drain_s + DRAIN_MARGIN_S
    try:
        await Server(config, gate, drain, hurry, bound_s).serve(list(sockets))
    finally:
        for bound in sockets:
            with suppress(OSError):
                bound.close()
