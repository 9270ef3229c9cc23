"""Runs one application on already bound sockets, with a graceful shutdown.

Keeps invariant 8: uvicorn closes every socket at once when it exits, so the first SIGTERM or SIGINT starts our own
drain, while the listeners still accept; uvicorn's shutdown follows it.
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

from gateway.config.settings import Settings
from gateway.errors import CannotListen
from gateway.server.proxy_headers import ProxyHeaders
from gateway.server.startup import StartupBarrier
from gateway.transport.server_queues import InputLimits, queues_of

logger = logging.getLogger("gateway.serve")

T = TypeVar("T")

MAX_FRAME_BYTES: Final = 65_536
PONG_TIMEOUT_S: Final = 20.0
DRAIN_MARGIN_S: Final = 5.0
"""How long a drain may take beyond its two settings."""
SHUTDOWN_S: Final = 3
"""The time for requests that are still in progress when the drain has ended."""
BACKLOG: Final = 2048
ACCEPTS_A_TURN: Final = 8
"""uvloop accepts one connection of a listener in one turn of the event loop: behind a herd of 400 clients a probe would
wait for 400 turns. So each listener is opened so many times."""
COLLECTIONS: Final = (5_000, 1, 200)
"""The thresholds of `gc.set_threshold`: new objects before a collection of the youngest generation, and collections of
each generation before one of the next. The second generation is collected at every other time: with 20 in place of 1
it had 100,000 objects, and each collection blocked the loop for 50 ms. A full one takes 10 ms for 1,000 sockets."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the main coroutine of a process, on uvloop if it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind a TCP socket to this address; `shared` lets other processes of this user bind it too (SO_REUSEPORT).

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


DrainCallback = Callable[[], Coroutine[Any, Any, None]]


async def _no_drain() -> None:
    """The default drain, for applications without sessions."""


def _tune_gc() -> None:
    """Exclude the present objects, which live as long as the process, from garbage collection, and collect less often.

    Measured with 3,000 members connecting: without this, collections took 45 % of the time, mostly by traversing the
    modules again and again; a full collection blocked the loop for 0.3 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


def _listen(bound: socket.socket) -> None:
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise CannotListen(f"Port {port} on {host} cannot be used: {error.strerror}.") from None


class Server(uvicorn.Server):
    """uvicorn's server, with a startup barrier and a drain before its shutdown.

    `drain()` is awaited after the first signal, for at most `bound_s`; further signals call `hurry()`.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        gate: StartupBarrier,
        drain: DrainCallback,
        hurry: Callable[[], None],
        bound_s: float,
    ) -> None:
        super().__init__(config)
        self._gate = gate
        self._drain = drain
        self._hurry = hurry
        self._bound_s = bound_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start uvicorn, then notify the startup barrier.

        Raises: CannotListen. Without this check uvloop would drop the error, and the node would run without its port.
        """
        listeners = list(sockets or ())
        for bound in listeners:
            _listen(bound)
        again = [bound.dup() for bound in listeners for _ in range(ACCEPTS_A_TURN - 1)]
        await super().startup([*listeners, *again])  # closes them all
        _tune_gc()
        self._gate.listening()

    async def main_loop(self) -> None:
        """Run uvicorn's loop until the first signal, then the drain, during which everything is still served."""
        await super().main_loop()
        try:
            await asyncio.wait_for(self._drain(), self._bound_s)
        except TimeoutError:
            logger.error("drain_overdue", extra={"fields": {"after_s": self._bound_s}})  # noqa: TRY400  the traceback adds nothing
        except Exception:
            logger.exception("drain_failed")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install our signal handlers: with uvicorn's, the signal would end the process, without exit status 0."""
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
    gate: StartupBarrier,
    *,
    drain: DrainCallback = _no_drain,
    hurry: Callable[[], None] = lambda: None,
    websockets: str = "gateway.transport.websocket_protocol:WebSocketProtocol",
    input_limits: InputLimits | None = None,
) -> None:
    """Serve until a signal, then drain. `sockets` must be bound; they are closed when this returns.

    The caller opens the resources of `app` before this call and closes them after it; there is no ASGI lifespan.

    Raises: CannotListen.
    """
    if settings.trusted_proxies:
        app = ProxyHeaders(app, settings.trusted_proxies)
    config = uvicorn.Config(
        app,
        ws=websockets,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,  # costs 40 kB a socket, and a small frame can be a decompression bomb
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=PONG_TIMEOUT_S,
        http="gateway.transport.http_protocol:HttpProtocol",
        lifespan="off",
        log_config=None,
        access_log=False,  # would log query strings, which may contain tokens
        server_header=False,
        proxy_headers=False,  # done above
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    bound_s = settings.drain_delay_s + settings.drain_s + DRAIN_MARGIN_S
    server = Server(config, gate, drain, hurry, bound_s)
    queues_of(server.server_state, config, input_limits)
    try:
        await server.serve(list(sockets))
    finally:
        for bound in sockets:
            with suppress(OSError):
                bound.close()
