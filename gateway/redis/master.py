"""One master of a cluster: its links, and what it says when a slot is not its own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import hiredis

from gateway.broker import BrokerListener
from gateway.redis.cluster_map import slot_of
from gateway.redis.events import RedisEvents
from gateway.redis.link import Link
from gateway.redis.publisher import Publisher
from gateway.redis.stream import pack
from gateway.redis.subscription import SHARDED, Subscription
from gateway.tasks import Tasks

Words = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Astray:
    """A command without an answer that a master refused, as its slot is elsewhere; `sent_at` first (loop's time)."""

    words: Words
    sent_at: float


class MasterListener(Protocol):
    """What a master tells the cluster; synchronous."""

    def on_turn(self, master: "Master", is_up: bool) -> None:
        """Its link was made, or lost."""
        ...

    def on_astray(self, master: "Master", slot: int) -> None:
        """A slot to which this node was subscribed there is (or may be) another master's."""
        ...

    def on_refused(self, master: "Master", error: str, command: Astray) -> None:
        """It refused a command that was sent to it."""
        ...


class Master:
    """Its tasks run from the beginning; those of the subscription once there is a listener."""

    def __init__(
        self, address: str, url: str, events: RedisEvents, listener: MasterListener, *, probe_interval_s: float
    ) -> None:
        self.address = address
        self.is_refusing = False
        """Whether it answers, but serves nothing: the cluster is down."""
        self._listener = listener
        self.link = Link(url, events.answered, lambda is_up: listener.on_turn(self, is_up))
        self.connected: asyncio.Event = self.link.connected
        self.publisher = Publisher(self, events, SHARDED.publish)
        self.subscription = Subscription(
            url,
            self,
            events,
            probe_channel=None,
            verbs=SHARDED,
            slot_of=slot_of,
            on_astray=lambda slot: listener.on_astray(self, slot),
            probe_interval_s=probe_interval_s,
        )
        self._tasks = Tasks(events.task_failed)
        self._tasks.spawn(self.link.run(), "redis link")
        self._tasks.spawn(self.publisher.flush(), "redis publish queue")

    @property
    def is_up(self) -> bool:
        """Whether it serves commands."""
        return self.link.is_up and not self.is_refusing

    @property
    def is_deaf(self) -> bool:
        """Whether the subscription is broken although it serves commands."""
        return self.is_up and not self.subscription.is_whole

    def start(self, listener: BrokerListener) -> None:
        """Tell the listener what is heard."""
        self._tasks.spawn(self.subscription.run(listener), "redis subscription")
        self._tasks.spawn(self.subscription.probe(), "redis probe")

    def send(self, *words: str | bytes | int) -> bool:
        """See `Commands`; a refusal is told."""
        return self.send_again(Astray(words, asyncio.get_running_loop().time()))

    def send_again(self, command: Astray) -> bool:
        """The same, of what another master refused."""
        return self.link.push(pack(*command.words), _Told(self._take, command))

    def _take(self, reply: Any, command: Astray) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._listener.on_refused(self, str(reply), command)
        else:
            self.is_refusing = False

    async def flushed(self) -> None:
        """Return once it has all that was published.

        Raises: RedisUnavailable.
        """
        await self.publisher.flushed()
        await self.link.call("PING")  # its answer comes after those to all commands before

    async def close(self) -> None:
        """It is no master any more."""
        await self._tasks.close()


class _Told:
    """Hears the answer to a command for which nobody waits. Meets `Waiter`."""

    __slots__ = ("_command", "_take")

    def __init__(self, take: Callable[[Any, Astray], None], command: Astray) -> None:
        self._take = take
        self._command = command

    def done(self) -> Literal[False]:
        """See `Waiter`."""
        return False

    def set_result(self, reply: Any, /) -> None:
        """See `Waiter`."""
        self._take(reply, self._command)

    def set_exception(self, error: BaseException, /) -> None:
        """See `Waiter`: what was under way when a link broke may or may not have arrived, as on any link."""
