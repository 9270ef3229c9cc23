"""The cost of each step in the processing of a message: the gateway's own functions with real Redis and PostgreSQL.

Alone: one message with everything that it causes. In a burst: a fiftieth of the cost of fifty messages at once.
"""

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from starlette.types import Receive, Scope, Send

from benchmarks import product
from benchmarks.load import handshake
from benchmarks.measured import SERVER_CORE
from benchmarks.progress import Progress
from benchmarks.result import Figure, Section
from benchmarks.workloads.step import BURST, RUNS, Step, chart_of, quartiles, remote, table_of, timed
from gateway.delivery.hub import Hub
from gateway.dialects.chat import ChatDialect
from gateway.interfaces.connection import CONNECTION, Connection
from gateway.protocol import publications
from gateway.protocol.frames import NOT_DIRECT, FrameSink, text_frame, write_to_all
from gateway.protocol.validation import new_client_msg_id
from gateway.redis.connection.command_client import CommandClient
from gateway.redis.connection.connection import ServerConnection, pack
from gateway.redis.namespace import Namespace
from gateway.redis.rate_limits import RedisRateLimits
from gateway.sessions.send_queue import SendQueue
from gateway.transport.websocket_protocol import WebSocketProtocol
from storage.database.database import open_database
from storage.log.chat_log import open_chat_log
from storage.records import ChatEvent, Committed, EventKind, NewEvent, Outcome, Person
from tests.support.transport_server import running as running_server

TEXT = "x" * 90
NAMES = Namespace("0123456789abcdef")
SENDER = Person(1, "somebody", "Some", "Body")
EVENT = ChatEvent(
    7, 1, EventKind.MESSAGE, 41, SENDER, TEXT, datetime(2025, 1, 1, 12, tzinfo=UTC), False, False, "0123456789abcdef"
)


@dataclass(slots=True)
class Socket:
    """A real connection between our transport and a client that reads on demand."""

    transport: WebSocketProtocol
    lane: Connection
    client: asyncio.StreamReader


class _Ears:
    """A session that does nothing."""

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """Nothing."""

    def on_closed(self, code: int) -> None:
        """Nothing."""


class _Nowhere(asyncio.WriteTransport):
    """A transport for a stream that is only read."""

    def is_closing(self) -> bool:
        """Never."""
        return True


class _Everything:
    """An outlet that accepts everything, and writes nothing."""

    fd = NOT_DIRECT

    def queue(self, frames: bytes) -> bool:
        """Accept it."""
        return True


class _Reader:
    """A subscriber that accepts everything."""

    dialect = ChatDialect()
    user_id = 2
    outlet: FrameSink = _Everything()

    def consume_echo(self, event: ChatEvent) -> bool:
        """Nothing."""
        return False

    def reset(self, last_seq: int, epoch: str) -> None:
        """Nothing."""

    def truncate(self, first_seq: int) -> None:
        """Nothing."""


def count_steps(quick: bool) -> int:
    """One for all steps together."""
    return 1


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure each step."""
    progress.next("steps of one message")
    with product.running(folder, nodes=0, MESSAGES_PER_MINUTE=0) as started:
        ((writer, _),) = started.chats([2])
        with _on_the_server_core(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            steps = runner.run(_all(started, writer, 40 if quick else 200))
    return Section("steps", [table_of(steps)], [chart_of(steps)])


async def _all(started: product.Product, writer: product.Member, rounds: int) -> list[Step]:
    async with _socket() as socket:
        incoming = [_frame_in(socket, rounds), _decode(rounds)]
        outgoing = [await _hub(rounds), *_encodings(rounds), await _write(socket, rounds)]
    async with _link(started.redis[0].url) as link:
        limit, publish = await _limit(link, started, rounds), await _publish(link, started, rounds)
    commit = await _commit(started, writer, rounds)
    crossing = [_publication_out(rounds), publish, await _read(rounds), _publication_in(rounds)]
    return [*incoming, limit, commit, *crossing, *outgoing]


# --- in


def _frame_in(socket: Socket, rounds: int) -> Step:
    frame = product.message(TEXT)
    alone = timed(lambda: socket.transport.data_received(frame), rounds * BURST)
    burst = timed(lambda: socket.transport.data_received(frame * BURST), rounds, BURST)
    return Step("frame in → message", "`Transport.data_received`", alone, burst)


def _decode(rounds: int) -> Step:
    dialect, payload = ChatDialect(), b'{"type":"message","text":"%s"}' % TEXT.encode()
    cost = timed(lambda: dialect.decode(payload, True), rounds * BURST)
    return Step("message → checked command", "`ChatDialect.decode`", cost, cost)


async def _limit(link: CommandClient, started: product.Product, rounds: int) -> Step:
    limits, users = RedisRateLimits(link, 100_000), itertools.count(1)

    async def admit(count: int) -> None:
        await asyncio.gather(*(limits.admit(next(users), "7:0123456789abcdef") for _ in range(count)))

    return await remote("limit of the sender", "`RedisRateLimits.admit`", admit, "Redis", started.redis_cpu_s, rounds)


async def _commit(started: product.Product, writer: product.Member, rounds: int) -> Step:
    async with open_database(started.database_url) as database, open_chat_log(database) as log:

        async def commit(count: int) -> None:
            outcomes: list[Outcome] = []
            all_stored = asyncio.Event()

            def done(outcome: Outcome) -> None:
                outcomes.append(outcome)
                if len(outcomes) == count:
                    all_stored.set()

            for _ in range(count):
                event = NewEvent(writer.chat_id, writer.person, new_client_msg_id(), EventKind.MESSAGE, TEXT)
                log.submit(event, done)
            await all_stored.wait()
            if not all(isinstance(outcome, Committed) for outcome in outcomes):
                raise RuntimeError(f"not committed: {outcomes}")

        name = "commit, acknowledged"
        return await remote(
            name, "`StoredChatLog.submit`", commit, "PostgreSQL", started.database_cpu_s, max(5, rounds // 10)
        )


# --- across


def _publication_out(rounds: int) -> Step:
    cost = timed(lambda: publications.encode(EVENT), rounds * BURST)
    return Step("event → publication", "`publications.encode`", cost, cost)


async def _publish(link: CommandClient, started: product.Product, rounds: int) -> Step:
    channel, payload = NAMES.chat_channel(7), NAMES.mark + publications.encode(EVENT)

    async def publish(count: int) -> None:
        for _ in range(count - 1):
            link.send("PUBLISH", channel, payload)
        await link.call("PUBLISH", channel, payload)

    return await remote("PUBLISH", "`Link.send`", publish, "Redis", started.redis_cpu_s, rounds)


async def _read(rounds: int) -> Step:
    reply = pack("message", NAMES.chat_channel(7), NAMES.mark + publications.encode(EVENT))
    loop = asyncio.get_running_loop()
    unused = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    stream = ServerConnection(asyncio.StreamWriter(_Nowhere(), unused, None, loop))
    taken: list[object] = []

    def take(replies: list[object]) -> bool:
        taken.extend(replies)
        return False

    serving = asyncio.create_task(stream.serve(take))
    await asyncio.sleep(0)

    def read(count: int, times: int) -> Figure:
        costs = []
        for _ in range(RUNS):
            begun = time.thread_time_ns()
            for _ in range(times):
                taken.clear()
                stream.data_received(reply * count)
                if len(taken) != count:
                    raise RuntimeError("not all replies were read")
            costs.append((time.thread_time_ns() - begun) / times / count / 1000)
        return Figure(tuple(costs))

    alone, burst = read(1, rounds * BURST), read(BURST, rounds)
    serving.cancel()
    return Step("Redis' bytes → reply", "`ServerConnection.data_received`, hiredis", alone, burst)


def _publication_in(rounds: int) -> Step:
    payload = publications.encode(EVENT)
    cost = timed(lambda: publications.decode(payload), rounds * BURST)
    return Step("publication → event", "`publications.decode`", cost, cost)


# --- out


async def _hub(rounds: int) -> Step:
    """Timeline, encoding, frame, join and offer to one subscriber; the next two rows are parts of it."""
    hub = Hub()
    local, _ = hub.open(EVENT.chat_id)
    hub.start(local, 0, "")
    hub.join(local, _Reader())
    seq = itertools.count(1)

    async def feed(count: int, times: int) -> Figure:
        costs = []
        for _ in range(RUNS):
            events = [[_event(next(seq)) for _ in range(count)] for _ in range(times)]
            begun = time.thread_time_ns()
            for batch in events:
                for event in batch:
                    hub.deliver(local, [event])
                await asyncio.sleep(0)
            costs.append((time.thread_time_ns() - begun) / times / count / 1000)
        return Figure(tuple(costs))

    alone, burst = await feed(1, rounds * BURST), await feed(BURST, rounds)
    return Step("event → frames of one chat", "`Hub.feed` and its flush", alone, burst)


def _encodings(rounds: int) -> list[Step]:
    dialect = ChatDialect()
    payload = dialect.push(EVENT) or b""
    encode = timed(lambda: dialect.push(EVENT), rounds * BURST)
    frame = timed(lambda: text_frame(payload), rounds * BURST)
    return [
        Step("of that: JSON, once a dialect", "`ChatDialect.push`", encode, encode),
        Step("of that: frame, once", "`text_frame`", frame, frame),
    ]


async def _write(socket: Socket, rounds: int) -> Step:
    """A write to a real socket, whose client reads between the measurements: a delivery including the system call."""
    frame = text_frame(ChatDialect().push(EVENT) or b"")
    send_queue = SendQueue(socket.lane, on_slow=lambda: None)

    async def write(frames: bytes, count: int, times: int) -> Figure:
        costs = []
        for _ in range(RUNS * times):
            begun = time.thread_time_ns()
            if write_to_all([send_queue] * count, frames) != count:
                raise RuntimeError("the socket takes no more")
            costs.append((time.thread_time_ns() - begun) / count / 1000)
            await socket.client.readexactly(len(frames) * count)
        return Figure(tuple(costs))

    alone = await write(frame, BURST, rounds // 10)
    burst = await write(frame * BURST, 1, rounds // 2)
    joined = Figure(tuple(us / BURST for us in burst.runs))
    return Step("write, a socket", "`write_to_all`", quartiles(alone), quartiles(joined))


# --- how it is measured


def _event(seq: int) -> ChatEvent:
    at = EVENT.created_at
    return ChatEvent(EVENT.chat_id, seq, EventKind.MESSAGE, 41, SENDER, TEXT, at, False, False, EVENT.client_msg_id)


@contextmanager
def _on_the_server_core() -> Iterator[None]:
    """Move this process, the measured server, to the core of the server."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def _link(url: str) -> AsyncIterator[CommandClient]:
    link = CommandClient(url)
    owner = asyncio.create_task(link.run())
    try:
        await link.connected.wait()
        yield link
    finally:
        owner.cancel()
        await asyncio.gather(owner, return_exceptions=True)


@asynccontextmanager
async def _socket() -> AsyncIterator[Socket]:
    """uvicorn with our transport and a client after its handshake."""
    attached: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        lane: Connection = scope["extensions"][CONNECTION]
        lane.attach(_Ears())
        attached.set_result(lane)

    async with running_server(app) as server:
        client, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**20)
        writer.write(handshake(server.port, "/"))
        await client.readuntil(b"\r\n\r\n")
        lane = await attached
        (transport,) = server.sockets
        if not isinstance(transport, WebSocketProtocol):
            raise TypeError(f"not our transport: {transport!r}")
        yield Socket(transport, lane, client)
        writer.close()
