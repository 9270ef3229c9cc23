"""One server's pub/sub connection, with one owner task: plain channels, or those of a cluster's slots.

Invariants: a channel counts as subscribed only once its *last* SUBSCRIBE is confirmed; whatever breaks the
subscription, `on_interrupted` follows once it is whole again; a probe through Redis to a channel of this node's own
shows a connection that is open but deaf.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import hiredis

from gateway.backoff import full_jitter
from gateway.broker import BrokerListener
from gateway.redis.events import RedisEvents
from gateway.redis.publisher import Sender
from gateway.redis.stream import Stream, StreamBroken, pack
from gateway.redis_urls import whereabouts

PROBE_INTERVAL_S = 2.5
SILENT_PROBES = 2
"""Probes without an echo after which the connection is rebuilt: it is deaf for three intervals at most."""
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


class Subscription:
    """`run` and `probe` are its owner tasks.

    `url` is asked for at each connection. `on_astray(slot)` hears, in a cluster, that a slot is (or may be) another
    server's: its channels are not subscribed here any more.
    """

    def __init__(
        self,
        url: str,
        link: Sender,
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
        self._events = events
        self._verbs = verbs
        self._slot_of = slot_of
        self._on_astray = on_astray
        self._probe_interval_s = probe_interval_s
        self.probe_channel = probe_channel
        """The node's own; None while there is none to probe with."""
        self._stream: Stream | None = None
        self._was_whole = False
        self.is_whole = False
        """Whether all that was wanted on connecting is confirmed."""
        self._silent_probes = 0
        self._probed_at = 0.0
        """When the first of them was sent."""
        self._wanted = set(channels)
        self._changes: dict[bytes, bool] = {}
        """What to tell Redis at the end of this turn: channel → subscribe (True) or unsubscribe."""
        self._unconfirmed: Counter[bytes] = Counter()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._late: set[bytes] = set()
        """Channels that may have missed something by the time that they are confirmed."""

    # --- what to hear

    async def subscribe(self, channel: bytes) -> None:
        """Return once Redis has confirmed; after SUBSCRIBE_S all the same, as a reconnect will check positions."""
        waiting = self._waiting.get(channel)
        if waiting is None:
            if channel in self._wanted:
                return
            self._wanted.add(channel)
            waiting = self._waiting[channel] = asyncio.get_running_loop().create_future()
            self._change(channel, subscribe=True)
        await asyncio.wait([waiting], timeout=SUBSCRIBE_S)
        if not waiting.done():
            self._late.add(channel)

    def take_over(self, channel: bytes) -> None:
        """Subscribe what was another server's, or was lost here: once confirmed, it asks for a position check."""
        self._wanted.add(channel)
        self._late.add(channel)
        self._change(channel, subscribe=True)

    def unsubscribe(self, channel: bytes) -> None:
        """Nobody local is left; whoever still waits for the confirmation is let go."""
        self._let_go(channel)
        self._change(channel, subscribe=False)

    def forget(self, channel: bytes) -> None:
        """It is not this server's any more, which therefore need not be told."""
        self._let_go(channel)
        self._changes.pop(channel, None)
        self._unconfirmed.pop(channel, None)

    def _let_go(self, channel: bytes) -> None:
        self._wanted.discard(channel)
        self._late.discard(channel)
        waiting = self._waiting.pop(channel, None)
        if waiting is not None:
            waiting.set_result(None)

    def probe_by(self, channel: bytes) -> None:
        """Probe with another channel from now on; there was none, or it is not this server's any more."""
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
        except StreamBroken:
            self._stream.close()

    def _send_subscribe(self, stream: Stream, channels: list[bytes]) -> None:
        self._unconfirmed.update(channels)
        self._send(stream, self._verbs.subscribe, channels)

    def _send(self, stream: Stream, verb: str, channels: list[bytes]) -> None:
        most = self._verbs.channels_a_command
        for start in range(0, len(channels), most):
            stream.write(pack(verb, *channels[start : start + most]))

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
                    fields = {"error": str(error), "redis": whereabouts(self._url)}
                    logger.warning("subscription_lost", extra={"fields": fields})
                finally:
                    stream.close()
                    attempt = 0 if self.is_whole else attempt + 1
                    self._stream = None
                    self.is_whole = False
                self._events.happened("reconnected")
            await asyncio.sleep(full_jitter(attempt))

    async def _listen(self, stream: Stream, listener: BrokerListener) -> None:
        self._unconfirmed.clear()
        self._changes.clear()  # `wanted` says it all
        own = [] if self.probe_channel is None else [self.probe_channel]
        self._send_subscribe(stream, [*own, *self._wanted])
        self._stream = stream
        self._silent_probes = 0
        while True:
            batch: list[tuple[int, bytes]] = []
            announcements: list[bytes] = []
            was_interrupted = False
            for reply in await stream.read():
                match reply:
                    case [b"message" | b"smessage", bytes() as channel, bytes() as payload]:
                        if channel.startswith(b"chat:"):
                            batch.append((int(channel[5:]), payload))
                        elif payload:
                            announcements.append(payload)
                        else:
                            self._take_probe()
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
                self.is_whole = True
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
            return channel in self._wanted
        self._unconfirmed[channel] -= 1
        if not self._unconfirmed[channel]:
            del self._unconfirmed[channel]
            waiting = self._waiting.pop(channel, None)
            if waiting is not None:
                waiting.set_result(None)
            if channel in self._late:
                self._late.discard(channel)
                return True
        return False

    def _end(self, channel: bytes) -> None:
        """A cluster says that a channel is heard no more: we had asked for it, or its slot goes elsewhere."""
        if channel not in self._changes and not self._unconfirmed[channel]:
            del self._unconfirmed[channel]
            if channel in self._wanted or channel == self.probe_channel:
                self._on_astray(self._slot_of(channel))

    def _refuse(self, error: str) -> None:
        """A cluster says that a slot is elsewhere. Any other error ends the connection, and all is asked for again."""
        code, _, rest = error.partition(" ")
        if code != "MOVED":
            raise StreamBroken(error)
        slot = int(rest.partition(" ")[0])
        for channel in [channel for channel in self._unconfirmed if self._slot_of(channel) == slot]:
            del self._unconfirmed[channel]
        self._on_astray(slot)

    # --- the probe

    async def probe(self) -> None:
        """Publish to this node's own channel for ever; rebuild a connection that no longer brings it back."""
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
                self._silent_probes = 0  # without the command link there is no probe, and silence proves nothing

    def _take_probe(self) -> None:
        if self._silent_probes:
            self._events.probed(asyncio.get_running_loop().time() - self._probed_at)
        self._silent_probes = 0


def _hand_over(take: Callable[[list[_T]], None], batch: list[_T]) -> bool:
    """Whether the listener took the batch. A defect of its own must not cost the node its ears."""
    try:
        take(batch)
    except Exception:
        logger.exception("publications_failed")
        return False
    return True
