"""One connection to RabbitMQ with one channel, with publisher confirms; both queues are declared before it is used.

Two systems on one virtual host would consume each other's messages. So the declaration of an exchange names the store
that owns the queue, and RabbitMQ rejects a redeclaration for another store.

Invariants: one task owns the connection and reconnects with full jitter until cancelled; connecting and closing have
timeouts, and heartbeats detect a silent peer; every error on the channel reaches its user as QueueUnavailable.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, TimeoutType
from aiormq.abc import FieldTable
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelPreconditionFailed,
    ProbableAuthenticationError,
)

from gateway.errors import QueueRefused, QueueUnavailable
from gateway.rabbitmq.names import QueueNames
from gateway.tasks import full_jitter

CONNECT_S = 5.0
CLOSE_S = 2.0
HEARTBEAT_S = 10
"""aiormq closes the connection after three missed heartbeats."""
MAX_BACKOFF_S = 5.0
STABLE_S = 5.0
"""A connection that breaks sooner counts as a failed attempt to connect."""

Serve = Callable[[AbstractChannel], Awaitable[None]]

logger = logging.getLogger("gateway.ingest")


_REFUSALS = (
    AuthenticationError,
    ProbableAuthenticationError,
    ChannelAccessRefused,
    ChannelPreconditionFailed,  # another program declared a queue of this name with other arguments
)


@contextmanager
def queue_trouble() -> Iterator[None]:
    """Convert every error inside to QueueUnavailable; timeouts must be inside as well."""
    try:
        yield
    except asyncio.CancelledError:
        # aiormq cancels waiters when the connection closes; only a cancellation of the current task is a real one
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise QueueUnavailable("the connection closed") from None
    except (
        AMQPError,
        OSError,
        RuntimeError,
    ) as error:  # RuntimeError: a closed channel; OSError: includes TimeoutError
        if isinstance(error, _REFUSALS):
            text = f"RabbitMQ rejects our login, our rights or the queue: {type(error).__name__}"
            raise QueueRefused(text) from error
        raise QueueUnavailable(f"{type(error).__name__}: {error}") from error


class _Connection(aio_pika.Connection):
    """Closed if it cannot connect: of one that is open, `__del__` calls `close`, in a task or without any."""

    async def connect(self, timeout: TimeoutType = None) -> None:
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


class Link:
    """A connection that is re-established when lost. `run` is its owner task.

    `serve` runs for as long as a connection is open; `on_lost` is called whenever one has ended.
    """

    def __init__(self, url: str, names: QueueNames, name: str, serve: Serve, on_lost: Callable[[], None]) -> None:
        self._url = url
        self._names = names
        self._name = name
        self._serve = serve
        self._on_lost = on_lost
        self._lost = asyncio.Event()
        self._channel: AbstractChannel | None = None
        self.refusal = ""
        """Why RabbitMQ rejects this connection; empty if it does not, or does not answer."""
        self.connected = asyncio.Event()
        """Set once the first connection was made."""

    @property
    def channel(self) -> AbstractChannel | None:
        """The open channel, or None."""
        return self._channel

    def drop(self) -> None:
        """Close a faulty connection, which is then replaced. Never blocks."""
        self._channel = None
        self._lost.set()

    async def run(self) -> None:
        """Keep a connection open until cancelled."""
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            started = loop.time()
            try:
                await self._connect_and_live()
            except QueueUnavailable as error:
                self._note(error, is_first=attempt == 0)
            attempt = 0 if loop.time() - started > STABLE_S else attempt + 1
            await asyncio.sleep(full_jitter(attempt, MAX_BACKOFF_S))

    def _note(self, error: QueueUnavailable, *, is_first: bool) -> None:
        """Log once per reason, not per attempt."""
        fields = {"link": self._name, "error": str(error)}
        if isinstance(error, QueueRefused):
            fields["answer"] = str(error.__cause__)
        if not isinstance(error, QueueRefused):
            self.refusal = ""
            if is_first:
                logger.warning("queue_unreachable", extra={"fields": fields})
        elif self.refusal != str(error):
            self.refusal = str(error)
            logger.error("queue_refused", extra={"fields": fields})

    async def _connect_and_live(self) -> None:
        """Connect, and return when the connection has ended.

        Raises: QueueUnavailable if it could not be made.
        """
        self._lost = asyncio.Event()
        with queue_trouble():
            async with asyncio.timeout(CONNECT_S):
                connection = await _connect(self._url, self._name)
        try:
            with queue_trouble():
                async with asyncio.timeout(CONNECT_S):
                    channel = await self._prepare(connection)
            self._channel = channel
            self.refusal = ""
            self.connected.set()
            await self._live(channel)
        finally:
            self._channel = None
            await _close(connection)

    async def _prepare(self, connection: AbstractConnection) -> AbstractChannel:
        # the channel's context manager would wait for the broker's close, and closing the connection closes it anyway
        channel = connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.initialize()
        lost = self._lost
        channel.close_callbacks.add(lambda *_: lost.set())
        underlying = await channel.get_underlay_channel()
        underlying.on_consumer_cancel_callbacks.add(lambda _: lost.set())  # the queue was deleted, or moved
        await self._declare(channel)
        return channel

    async def _declare(self, channel: AbstractChannel) -> None:
        """Declare what this connection uses.

        Raises: QueueRefused if the queue belongs to another store.
        """
        await self._claim(channel)
        for name in (self._names.inbound, self._names.dead):  # no arguments: other programs declare the same queues
            await channel.declare_queue(name, durable=True)

    async def _claim(self, channel: AbstractChannel) -> None:
        """Claim the queue for this store.

        Raises: QueueRefused if it belongs to another store.
        """
        mark: FieldTable = {"alternate-exchange": self._names.owner_mark}
        try:
            await channel.declare_exchange(self._names.owner, durable=True, arguments=mark)
        except ChannelPreconditionFailed as error:
            raise QueueRefused(
                f"the queue {self._names.inbound} of this virtual host belongs to another store:"
                " give this system a virtual host of its own in AMQP_URL, or a queue in AMQP_QUEUE"
            ) from error

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
    """Close the connection if the broker responds; else the socket closes at the heartbeat timeout."""
    try:
        with queue_trouble():
            async with asyncio.timeout(CLOSE_S):
                await connection.close()
    except QueueUnavailable as error:
        logger.debug("queue_close_failed", extra={"fields": {"error": str(error)}})


async def _connect(url: str, name: str) -> AbstractConnection:
    """A connection that RabbitMQ's own page shows under this name."""
    try:
        return await aio_pika.connect(
            url,
            client_properties={"connection_name": name},
            heartbeat=HEARTBEAT_S,
            connection_class=_Connection,
        )
    except ValueError as error:  # an invalid URL; the error's text may contain it
        raise QueueUnavailable(f"AMQP_URL cannot be used: {type(error).__name__}") from None


async def check_login(url: str) -> None:
    """Connect and disconnect.

    Raises: QueueUnavailable after CONNECT_S at most, QueueRefused.
    """
    with queue_trouble():
        async with asyncio.timeout(CONNECT_S):
            connection = await _connect(url, "chat-gateway doctor")
    await _close(connection)
