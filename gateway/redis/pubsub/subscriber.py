"""One server's pub/sub connection, with one owner task: plain channels, or those of a cluster's slots.

Invariants: a channel counts as subscribed only once its *last* SUBSCRIBE is confirmed; whatever breaks the
subscription, `on_interrupted` follows once it is complete again; a probe, published to this node's own channel,
detects a connection that is open but receives nothing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import hiredis

from gateway.config.redis_url import whereabouts
from gateway.errors import RedisAccessRefused, RedisConnectionLost
from gateway.interfaces.broker import BrokerListener
from gateway.redis.connection.connection import ServerConnection, lost_by, pack
from gateway.redis.connection.events import RedisEvents
from gateway.redis.namespace import Namespace
from gateway.tasks import full_jitter, settle

PROBE_INTERVAL_S = 2.5
SILENT_PROBES = 2
"""Lost probes after which the connection is rebuilt; it receives nothing for three intervals at most."""
SUBSCRIBE_S = 1.0

logger = logging.getLogger("gateway.redis")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Verbs:
    """The commands of one kind of pub/sub, and how many channels one of them may name."""

    subscribe: str
    unsubscribe: str
    publish: str
    channels_a_command: int


PLAIN: Final = Verbs("SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", 512)
SHARDED: Final = Verbs("SSUBSCRIBE", "SUNSUBSCRIBE", "SPUBLISH", 1)  # all channels of one must be of one slot


class Sender(Protocol):
    """The part of the command client that publications and subscriptions need."""

    connected: asyncio.Event
    """Set while commands can be sent."""

    def send(self, *words: str | bytes | int) -> bool:
        """Send a command and ignore its reply; False if there is no connection. Never blocks."""


class Subscriber:
    """`run` and `probe` are its owner tasks.

    In a cluster `on_astray(slot)` is called when a slot has, or may have, moved to another server; its channels are
    then no longer subscribed here.
    """

    def __init__(
        self,
        url: str,
        link: Sender,
        names: Namespace,
        events: RedisEvents,
        *,
        channels: Iterable[bytes] = (),
        probe_channel: bytes | None,
        verbs: Verbs = PLAIN,
        slot_of: Callable[[bytes], int] = lambda _: 0,
        on_astray: Callable[[int], None] = lambda _: None,
        probe_interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        self._url = url
        self._link = link
        self._names = names
        self._events = events
        self._verbs = verbs
        self._slot_of = slot_of
        self._on_astray = on_astray
        self._probe_interval_s = probe_interval_s
        self.probe_channel = probe_channel
        """The node's own; None while there is none to probe with."""
        self._stream: ServerConnection | None = None
        self._was_whole = False
        self.is_whole = False
        """Whether every channel wanted at connect time is confirmed."""
        self._has_heard_others = False
        self.refusal = ""
        """Why Redis rejects the subscription; empty if it does not."""
        self._silent_probes = 0
        self._probed_at = 0.0
        """When the first of the unanswered probes was sent."""
        self._wanted = set(channels)
        self._changes: dict[bytes, bool] = {}
        """Commands to send at the end of this loop iteration: channel → subscribe (True) or unsubscribe."""
        self._unconfirmed: Counter[bytes] = Counter()
        self._waiting: dict[bytes, dict[asyncio.Future[None], None]] = {}
        """The callers who wait for the confirmation of each channel."""
        self._late: set[bytes] = set()
        """Channels that may have missed publications before their confirmation."""

    # --- channels

    async def subscribe(self, channel: bytes) -> None:
        """Return once Redis has confirmed, or after SUBSCRIBE_S; a late confirmation causes a position check."""
        waiting = self._waiting.get(channel)
        if waiting is None:
            if channel in self._wanted:
                return
            self._wanted.add(channel)
            waiting = self._waiting[channel] = {}
            self._change(channel, subscribe=True)
        loop = asyncio.get_running_loop()
        confirmed: asyncio.Future[None] = loop.create_future()  # `asyncio.wait` for a shared one takes twice as long
        waiting[confirmed] = None
        timeout = loop.call_later(SUBSCRIBE_S, self._wait_no_longer, channel, confirmed)
        try:
            await confirmed
        finally:
            timeout.cancel()
            waiting.pop(confirmed, None)

    def _wait_no_longer(self, channel: bytes, confirmed: asyncio.Future[None]) -> None:
        if not confirmed.done():
            self._late.add(channel)
            confirmed.set_result(None)

    def take_over(self, channel: bytes) -> None:
        """Subscribe to a channel that moved here or was lost; its confirmation causes a position check."""
        self._wanted.add(channel)
        self._late.add(channel)
        self._change(channel, subscribe=True)

    def unsubscribe(self, channel: bytes) -> None:
        """Unsubscribe from a channel without local subscribers, and release callers that wait for its confirmation."""
        self._let_go(channel)
        self._change(channel, subscribe=False)

    def forget(self, channel: bytes) -> None:
        """Drop a channel that moved to another server; no UNSUBSCRIBE is needed."""
        self._let_go(channel)
        self._changes.pop(channel, None)
        self._unconfirmed.pop(channel, None)

    def _let_go(self, channel: bytes) -> None:
        self._wanted.discard(channel)
        self._late.discard(channel)
        self._release(channel)

    def _release(self, channel: bytes) -> None:
        """Let the callers go who wait for this channel's confirmation."""
        for confirmed in self._waiting.pop(channel, ()):
            settle(confirmed, None)

    def probe_by(self, channel: bytes) -> None:
        """Probe with another channel, because there was none or its slot has moved to another server."""
        self.probe_channel = channel
        self._silent_probes = 0
        self._change(channel, subscribe=True)

    def _change(self, channel: bytes, *, subscribe: bool) -> None:
        if not self._changes:
            asyncio.get_running_loop().call_soon(self._send_changes)
        self._changes.pop(channel, None)
        self._changes[channel] = subscribe

    def _send_changes(self) -> None:
        changes, self._changes = self._changes, {}
        if self._stream is None:
            return  # the owner subscribes all that is wanted when it has connected
        try:
            self._send(self._stream, self._verbs.unsubscribe, [c for c, subscribe in changes.items() if not subscribe])
            self._send_subscribe(self._stream, [channel for channel, subscribe in changes.items() if subscribe])
        except RedisConnectionLost:
            self._stream.close()

    def _send_subscribe(self, stream: ServerConnection, channels: list[bytes]) -> None:
        self._unconfirmed.update(channels)
        self._send(stream, self._verbs.subscribe, channels)

    def _send(self, stream: ServerConnection, verb: str, channels: list[bytes]) -> None:
        most = self._verbs.channels_a_command
        for start in range(0, len(channels), most):
            stream.write(pack(verb, *channels[start : start + most]))

    # --- the connection

    async def run(self, listener: BrokerListener) -> None:
        """Keep the subscription until cancelled."""
        attempt = 0
        while True:
            try:
                stream = await ServerConnection.open(self._url)
            except RedisAccessRefused as error:
                self._note_refusal(error)
                attempt += 1
            except RedisConnectionLost:
                self.refusal = ""
                attempt += 1
            else:
                try:
                    await self._listen(stream, listener)
                except RedisAccessRefused as error:
                    self._note_refusal(error)
                except RedisConnectionLost as error:
                    fields = {"error": str(error), "redis": whereabouts(self._url)}
                    logger.warning("subscription_lost", extra={"fields": fields})
                finally:
                    stream.close()
                    attempt = 0 if self.is_whole else attempt + 1
                    self._stream = None
                    self.is_whole = False
                self._events.happened("reconnected")
            await asyncio.sleep(full_jitter(attempt))

    def _note_refusal(self, error: RedisAccessRefused) -> None:
        if not self.refusal:
            fields = {"error": str(error), "redis": whereabouts(self._url)}
            logger.error("subscription_refused", extra={"fields": fields})
        self.refusal = error.reason

    async def _listen(self, stream: ServerConnection, listener: BrokerListener) -> None:
        self._unconfirmed.clear()
        self._changes.clear()  # `_wanted` is complete
        own = [] if self.probe_channel is None else [self.probe_channel]
        self._send_subscribe(stream, [*own, *self._wanted])
        self._stream = stream
        self._silent_probes = 0
        await stream.serve(partial(self._take, listener))

    def _take(self, listener: BrokerListener, replies: list[Any]) -> bool:
        """Hand over the publications of one read. Raises: RedisConnectionLost."""
        mark, chat = self._names.mark, self._names.chat
        batch: list[tuple[int, bytes]] = []
        announcements: list[bytes] = []
        was_interrupted = False
        for reply in replies:
            match reply:
                case [b"message" | b"smessage", bytes() as channel, bytes() as payload]:
                    if not payload.startswith(mark):
                        self._take_unmarked(channel, payload)
                    elif channel.startswith(chat):
                        batch.append((int(channel[len(chat) :]), payload[len(mark) :]))
                    else:
                        announcements.append(payload[len(mark) :])
                case [b"subscribe" | b"ssubscribe", bytes() as channel, _]:
                    was_interrupted |= self._confirm(channel)
                case [b"sunsubscribe", bytes() as channel, _]:
                    self._end(channel)
                case hiredis.ReplyError():
                    self._refuse(str(reply))
        if batch:
            was_interrupted |= not _hand_over(listener.on_publications, batch)
        if announcements:
            was_interrupted |= not _hand_over(listener.on_announcements, announcements)
        if not self.is_whole and not self._unconfirmed:
            self.is_whole, self.refusal = True, ""
            was_interrupted |= self._was_whole
            self._was_whole = True
        if was_interrupted:
            listener.on_interrupted()
        return False

    def _confirm(self, channel: bytes) -> bool:
        """Note a confirmation; True if something may have been missed before it.

        That is the case if it was not requested, so that the subscription was lost unnoticed, or if it is late.
        """
        if not self._unconfirmed[channel]:
            del self._unconfirmed[channel]
            return channel in self._wanted
        self._unconfirmed[channel] -= 1
        if not self._unconfirmed[channel]:
            del self._unconfirmed[channel]
            self._release(channel)
            if channel in self._late:
                self._late.discard(channel)
                return True
        return False

    def _end(self, channel: bytes) -> None:
        """Handle a cluster's SUNSUBSCRIBE: it was requested, or the channel's slot moves to another server."""
        if channel not in self._changes and not self._unconfirmed[channel]:
            del self._unconfirmed[channel]
            if channel in self._wanted or channel == self.probe_channel:
                self._on_astray(self._slot_of(channel))

    def _refuse(self, error: str) -> None:
        """Handle an error: MOVED gives up the slot, any other error ends the connection and resubscribes everything."""
        code, _, rest = error.partition(" ")
        if code != "MOVED":
            raise lost_by(error)
        slot = int(rest.partition(" ")[0])
        for channel in [channel for channel in self._unconfirmed if self._slot_of(channel) == slot]:
            del self._unconfirmed[channel]
        self._on_astray(slot)

    # --- the probe

    async def probe(self) -> None:
        """Publish to this node's own channel until cancelled; rebuild a connection that no longer receives it."""
        while True:
            await asyncio.sleep(self._probe_interval_s)
            stream, channel = self._stream, self.probe_channel
            if stream is not None and self._silent_probes >= SILENT_PROBES:
                self._events.happened("probe_failed")
                logger.warning("probe_failed", extra={"fields": {"redis": whereabouts(self._url)}})
                self.is_whole = False
                stream.close()
            elif stream is not None and channel and self._link.send(self._verbs.publish, channel, b""):
                if not self._silent_probes:
                    self._probed_at = asyncio.get_running_loop().time()
                self._silent_probes += 1
            else:
                self._silent_probes = 0  # no probe was sent, so the silence proves nothing

    def _take_unmarked(self, channel: bytes, payload: bytes) -> None:
        """Handle a probe, or a publication of another system with the same REDIS_PREFIX, which is logged once."""
        if channel == self.probe_channel and not payload:
            self._take_probe()
            return
        self._events.happened("foreign_publication")
        if not self._has_heard_others:
            self._has_heard_others = True
            logger.error("foreign_publication", extra={"fields": {"redis": whereabouts(self._url)}})

    def _take_probe(self) -> None:
        if self._silent_probes:
            self._events.probed(asyncio.get_running_loop().time() - self._probed_at)
        self._silent_probes = 0


def _hand_over(take: Callable[[list[_T]], None], batch: list[_T]) -> bool:
    """Whether the listener accepted the batch. An exception in the listener must not end the subscription."""
    try:
        take(batch)
    except Exception:
        logger.exception("publications_failed")
        return False
    return True
