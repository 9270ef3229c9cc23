"""Publications across nodes, over one pub/sub connection with one owner task. Meets `gateway.broker.Broker`.

Invariants: a channel counts as subscribed only once its *last* SUBSCRIBE is confirmed; whatever breaks the
subscription, `on_interrupted` follows once it is whole again; a probe through Redis to this node's own channel shows a
connection that is open but deaf.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeVar

import hiredis

from gateway.backoff import full_jitter
from gateway.broker import BrokerListener
from gateway.redis.events import RedisEvents
from gateway.redis.link import Link
from gateway.redis.stream import Stream, StreamBroken, pack

PROBE_INTERVAL_S = 2.5
SILENT_PROBES = 2
"""Probes without an echo after which the connection is rebuilt: it is deaf for three intervals at most."""
SUBSCRIBE_S = 1.0
CHANNELS_A_COMMAND = 512
MAX_UNPUBLISHED = 10_000
RETRY_S = 0.05
ALL_NODES = b"nodes"
STALE_S = 5.0
"""Publications that wait longer than this for Redis are not worth sending: the position check delivers events."""

logger = logging.getLogger("gateway.redis")

_T = TypeVar("_T")


class RedisBroker:
    """See `Broker` for the channels. `run` and `probe` are its owner tasks."""

    def __init__(
        self, url: str, link: Link, node_id: str, events: RedisEvents, *, probe_interval_s: float = PROBE_INTERVAL_S
    ) -> None:
        self._url = url
        self._link = link
        self._events = events
        self._probe_interval_s = probe_interval_s
        self._own_channel = _node_channel(node_id)
        self._stream: Stream | None = None
        self._is_whole = self._was_whole = False
        self._silent_probes = 0
        self._probed_at = 0.0
        """When the first of them was sent."""
        self._wanted: set[int] = set()
        self._changes: dict[int, bool] = {}
        """What to tell Redis at the end of this turn: chat → subscribe (True) or unsubscribe."""
        self._unconfirmed: Counter[bytes] = Counter()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._late: set[int] = set()
        """Chats whose `subscribe` returned before it was confirmed: they may have missed something by then."""
        self._unpublished: deque[tuple[float, bytes, bytes]] = deque(maxlen=MAX_UNPUBLISHED)
        self._has_unpublished = asyncio.Event()
        self._has_flushed = asyncio.Event()

    # --- readiness

    @property
    def deaf(self) -> bool:
        """Whether this node's own subscription is broken although the command link works."""
        return not self._is_whole and self._link.is_up

    @property
    def down(self) -> bool:
        """Whether the command link has no answer either."""
        return not self._link.is_up

    @property
    def unpublished(self) -> int:
        """How many publications wait for Redis."""
        return len(self._unpublished)

    # --- subscriptions

    async def subscribe(self, chat_id: int) -> None:
        """Return once Redis has confirmed; after SUBSCRIBE_S all the same, as a reconnect will check positions."""
        waiting = self._waiting.get(chat_id)
        if waiting is None:
            if chat_id in self._wanted:
                return
            self._wanted.add(chat_id)
            waiting = self._waiting[chat_id] = asyncio.get_running_loop().create_future()
            self._change(chat_id, subscribe=True)
        await asyncio.wait([waiting], timeout=SUBSCRIBE_S)
        if not waiting.done():
            self._late.add(chat_id)

    def unsubscribe(self, chat_id: int) -> None:
        """Nobody local is left; whoever still waits for the confirmation is let go."""
        self._wanted.discard(chat_id)
        self._late.discard(chat_id)
        waiting = self._waiting.pop(chat_id, None)
        if waiting is not None:
            waiting.set_result(None)
        self._change(chat_id, subscribe=False)

    def _change(self, chat_id: int, *, subscribe: bool) -> None:
        if not self._changes:
            asyncio.get_running_loop().call_soon(self._send_changes)
        self._changes.pop(chat_id, None)
        self._changes[chat_id] = subscribe

    def _send_changes(self) -> None:
        changes, self._changes = self._changes, {}
        if self._stream is None:
            return  # the owner subscribes all that is wanted when it has connected
        try:
            self._unsubscribe(self._stream, [_channel(chat) for chat, subscribe in changes.items() if not subscribe])
            self._subscribe(self._stream, [_channel(chat) for chat, subscribe in changes.items() if subscribe])
        except StreamBroken:
            self._stream.close()

    def _unsubscribe(self, stream: Stream, channels: list[bytes]) -> None:
        for start in range(0, len(channels), CHANNELS_A_COMMAND):
            stream.write(pack("UNSUBSCRIBE", *channels[start : start + CHANNELS_A_COMMAND]))

    def _subscribe(self, stream: Stream, channels: list[bytes]) -> None:
        for start in range(0, len(channels), CHANNELS_A_COMMAND):
            batch = channels[start : start + CHANNELS_A_COMMAND]
            self._unconfirmed.update(batch)
            stream.write(pack("SUBSCRIBE", *batch))

    # --- publishing

    def publish(self, chat_id: int, payload: bytes) -> None:
        """See `Broker`."""
        self._publish(_channel(chat_id), payload)

    def announce(self, payload: bytes) -> None:
        """See `Broker`."""
        self._publish(ALL_NODES, payload)

    def send(self, node_id: str, payload: bytes) -> None:
        """See `Broker`."""
        self._publish(_node_channel(node_id), payload)

    def _publish(self, channel: bytes, payload: bytes) -> None:
        """Send in order with all else of this turn; while Redis is away, keep the newest for a short while."""
        if not self._unpublished and self._link.send("PUBLISH", channel, payload):
            return
        if len(self._unpublished) == MAX_UNPUBLISHED:
            self._events.happened("publish_dropped")
        self._unpublished.append((asyncio.get_running_loop().time(), channel, payload))
        self._has_unpublished.set()

    async def flush(self) -> None:
        """Send, for ever, what waited for Redis, as soon as it is back."""
        while True:
            await self._has_unpublished.wait()
            await self._link.connected.wait()
            while self._unpublished:
                queued_at, channel, payload = self._unpublished[0]
                if asyncio.get_running_loop().time() - queued_at > STALE_S:
                    self._events.happened("publish_dropped")
                elif not self._link.send("PUBLISH", channel, payload):
                    await asyncio.sleep(RETRY_S)  # the link is full, or gone again
                    break
                self._unpublished.popleft()
            else:
                self._has_unpublished.clear()
                self._has_flushed.set()

    async def flushed(self) -> None:
        """Return once nothing waits for Redis to be back."""
        while self._unpublished:
            self._has_flushed.clear()
            await self._has_flushed.wait()

    # --- the connection

    async def run(self, listener: BrokerListener) -> None:
        """Keep the subscription for ever."""
        attempt = 0
        while True:
            try:
                stream = await Stream.open(self._url)
            except StreamBroken:
                attempt += 1
            else:
                try:
                    await self._listen(stream, listener)
                except StreamBroken as error:
                    logger.warning("subscription_lost", extra={"fields": {"error": str(error)}})
                finally:
                    stream.close()
                    attempt = 0 if self._is_whole else attempt + 1
                    self._stream = None
                    self._is_whole = False
                self._events.happened("reconnected")
            await asyncio.sleep(full_jitter(attempt))

    async def _listen(self, stream: Stream, listener: BrokerListener) -> None:
        self._unconfirmed.clear()
        self._changes.clear()  # `wanted` says it all
        self._subscribe(stream, [self._own_channel, ALL_NODES, *map(_channel, self._wanted)])
        self._stream = stream
        self._silent_probes = 0
        while True:
            batch: list[tuple[int, bytes]] = []
            announcements: list[bytes] = []
            was_interrupted = False
            for reply in await stream.read():
                match reply:
                    case [b"message", self._own_channel, b""]:
                        if self._silent_probes:
                            self._events.probed(asyncio.get_running_loop().time() - self._probed_at)
                        self._silent_probes = 0
                    case [b"message", self._own_channel | b"nodes", bytes() as payload]:
                        announcements.append(payload)
                    case [b"message", bytes() as channel, bytes() as payload]:
                        chat_id = _chat_id(channel)
                        if chat_id is not None:
                            batch.append((chat_id, payload))
                    case [b"subscribe", bytes() as channel, _]:
                        was_interrupted |= self._confirm(channel)
                    case hiredis.ReplyError():
                        raise StreamBroken(str(reply))
            if batch:
                was_interrupted |= not _hand_over(listener.on_publications, batch)
            if announcements:
                was_interrupted |= not _hand_over(listener.on_announcements, announcements)
            if not self._is_whole and not self._unconfirmed:
                self._is_whole = True
                was_interrupted |= self._was_whole
                self._was_whole = True
            if was_interrupted:
                listener.on_interrupted()

    def _confirm(self, channel: bytes) -> bool:
        """Note a confirmation; True if something may have been missed before it.

        That is: nobody here had asked for it, so the subscription was broken behind our back; or it comes too late.
        """
        if not self._unconfirmed[channel]:
            del self._unconfirmed[channel]
            return True
        self._unconfirmed[channel] -= 1
        if not self._unconfirmed[channel]:
            del self._unconfirmed[channel]
            chat_id = _chat_id(channel)
            if chat_id is None:
                return False
            waiting = self._waiting.pop(chat_id, None)
            if waiting is not None:
                waiting.set_result(None)
            if chat_id in self._late:
                self._late.discard(chat_id)
                return True
        return False

    async def probe(self) -> None:
        """Publish to this node's own channel for ever; rebuild a connection that no longer brings it back."""
        while True:
            await asyncio.sleep(self._probe_interval_s)
            stream = self._stream
            if stream is not None and self._silent_probes >= SILENT_PROBES:
                self._events.happened("probe_failed")
                logger.warning("probe_failed")
                self._is_whole = False
                stream.close()
            elif stream is not None and self._link.send("PUBLISH", self._own_channel, b""):
                if not self._silent_probes:
                    self._probed_at = asyncio.get_running_loop().time()
                self._silent_probes += 1
            else:
                self._silent_probes = 0  # without the command link there is no probe, and silence proves nothing


def _hand_over(take: Callable[[list[_T]], None], batch: list[_T]) -> bool:
    """Whether the listener took the batch. A defect of its own must not cost the node its ears."""
    try:
        take(batch)
    except Exception:
        logger.exception("publications_failed")
        return False
    return True


def _node_channel(node_id: str) -> bytes:
    return b"node:" + node_id.encode()


def _channel(chat_id: int) -> bytes:
    return b"chat:%d" % chat_id


def _chat_id(channel: Any) -> int | None:
    digits = channel[5:]
    return int(digits) if channel.startswith(b"chat:") and digits.isdigit() else None
