"""One connection to RabbitMQ and one channel on it, with publisher confirms; both queues are there before it is used.

Invariants: one task owns the connection and connects again for ever, with full jitter; connecting and closing are
bounded, heartbeats find a peer that is silent; whoever uses the channel hears of every trouble as QueueUnavailable.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import AMQPError

from gateway.backoff import full_jitter
from gateway.errors import QueueUnavailable

QUEUE = "messages"
DEAD_QUEUE = "messages.dead"

CONNECT_S = 5.0
CLOSE_S = 2.0
HEARTBEAT_S = 10
"""aiormq gives up on a peer after three of them."""
MAX_BACKOFF_S = 5.0
STABLE_S = 5.0
"""A connection that breaks sooner counts as a failed attempt to connect."""

Serve = Callable[[AbstractChannel], Awaitable[None]]

logger = logging.getLogger("gateway.ingest")


@contextmanager
def queue_trouble() -> Iterator[None]:
    """Everything that goes wrong inside, as QueueUnavailable; a time limit belongs inside."""
    try:
        yield
    except asyncio.CancelledError:
        # aiormq cancels what waits on a connection that closes; only our own task's cancellation is one to us
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise QueueUnavailable("the connection closed") from None
    except (AMQPError, OSError, RuntimeError) as error:  # RuntimeError: a closed channel; OSError: a time limit too
        raise QueueUnavailable(f"{type(error).__name__}: {error}") from error


class Link:
    """`run` is its owner task; `serve` runs as long as a connection lives, and ends with it.

    `on_lost` hears of every connection that ended.
    """

    def __init__(self, url: str, name: str, serve: Serve, on_lost: Callable[[], None]) -> None:
        self._url = url
        self._name = name
        self._serve = serve
        self._on_lost = on_lost
        self._lost = asyncio.Event()
        self._channel: AbstractChannel | None = None
        self.connected = asyncio.Event()
        """Set at the first connection."""

    @property
    def channel(self) -> AbstractChannel | None:
        """The channel, while there is one."""
        return self._channel

    def drop(self) -> None:
        """Break the connection, because something is wrong with it; another follows. Never blocks."""
        self._channel = None
        self._lost.set()

    async def run(self) -> None:
        """Keep a connection for ever."""
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            started = loop.time()
            try:
                await self._connect_and_live()
            except QueueUnavailable as error:
                if attempt == 0:
                    logger.warning("queue_unreachable", extra={"fields": {"link": self._name, "error": str(error)}})
            attempt = 0 if loop.time() - started > STABLE_S else attempt + 1
            await asyncio.sleep(full_jitter(attempt, MAX_BACKOFF_S))

    async def _connect_and_live(self) -> None:
        """Return when the connection ended.

        Raises: QueueUnavailable if there was none.
        """
        self._lost = asyncio.Event()
        with queue_trouble():
            async with asyncio.timeout(CONNECT_S):
                connection = await self._connect()
        try:
            with queue_trouble():
                async with asyncio.timeout(CONNECT_S):
                    channel = await self._prepare(connection)
            self._channel = channel
            self.connected.set()
            await self._live(channel)
        finally:
            self._channel = None
            await _close(connection)

    async def _connect(self) -> AbstractConnection:
        try:
            return await aio_pika.connect(
                self._url, client_properties={"connection_name": self._name}, heartbeat=HEARTBEAT_S
            )
        except ValueError as error:  # of a URL; its text may hold the URL
            raise QueueUnavailable(f"AMQP_URL cannot be used: {type(error).__name__}") from None

    async def _prepare(self, connection: AbstractConnection) -> AbstractChannel:
        # the context manager of a channel would wait for the broker's goodbye, and the connection ends it anyway
        channel = connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.initialize()
        lost = self._lost
        channel.close_callbacks.add(lambda *_: lost.set())
        underlying = await channel.get_underlay_channel()
        underlying.on_consumer_cancel_callbacks.add(lambda _: lost.set())  # the queue was deleted, or moved
        for name in (QUEUE, DEAD_QUEUE):  # without arguments: others declare them too, and must say the same
            await channel.declare_queue(name, durable=True)
        return channel

    async def _live(self, channel: AbstractChannel) -> None:
        logger.info("queue_connected", extra={"fields": {"link": self._name}})
        try:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._serve_channel(channel))
                await self._lost.wait()
                serving.cancel()
        finally:
            logger.warning("queue_link_ended", extra={"fields": {"link": self._name}})
            self._on_lost()

    async def _serve_channel(self, channel: AbstractChannel) -> None:
        try:
            await self._serve(channel)
        except* QueueUnavailable as troubles:
            error = str(troubles.exceptions[0])
            logger.warning("queue_link_failed", extra={"fields": {"link": self._name, "error": error}})
            self.drop()


async def _close(connection: AbstractConnection) -> None:
    """Close it, if the broker still listens; else the socket closes when the heartbeat gives up."""
    try:
        with queue_trouble():
            async with asyncio.timeout(CLOSE_S):
                await connection.close()
    except QueueUnavailable as error:
        logger.debug("queue_close_failed", extra={"fields": {"error": str(error)}})
