"""One master of a cluster: its connections, and its rejections of commands for slots that it does not own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import hiredis

from gateway.interfaces.broker import BrokerListener
from gateway.redis.cluster.slot_map import slot_of
from gateway.redis.connection.command_client import CommandClient
from gateway.redis.connection.connection import pack
from gateway.redis.connection.events import RedisEvents
from gateway.redis.namespace import Namespace
from gateway.redis.pubsub.broker import Publisher
from gateway.redis.pubsub.subscriber import SHARDED, Subscriber
from gateway.redis.rights import check, needed
from gateway.tasks import Tasks

Words = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Astray:
    """A command sent without a waiter that a master may reject; `sent_at` is the loop time of the first attempt."""

    words: Words
    sent_at: float


class MasterListener(Protocol):
    """Notifications from a master to the cluster; synchronous."""

    def on_turn(self, master: "Master", is_up: bool) -> None:
        """The master's command connection was made or lost."""
        ...

    def on_astray(self, master: "Master", slot: int) -> None:
        """A slot to which this node was subscribed at `master` has, or may have, moved to another master."""
        ...

    def on_refused(self, master: "Master", error: str, command: Astray) -> None:
        """The master rejected a command that has no waiter."""
        ...


class Master:
    """One master. Its command tasks start at construction, those of the subscription at `start`."""

    def __init__(
        self,
        address: str,
        url: str,
        names: Namespace,
        events: RedisEvents,
        listener: MasterListener,
        *,
        probe_interval_s: float,
    ) -> None:
        self.address = address
        self.is_refusing = False
        """Whether it replies but executes no commands, because the cluster is down."""
        self._listener = listener
        commands = needed(names, SHARDED.publish)
        self.link = CommandClient(
            url,
            events.answered,
            lambda is_up: listener.on_turn(self, is_up),
            lambda stream: check(stream, commands),
        )
        self.connected: asyncio.Event = self.link.connected
        self.publisher = Publisher(self, events, SHARDED.publish)
        self.subscription = Subscriber(
            url,
            self,
            names,
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
        """Whether it executes commands."""
        return self.link.is_up and not self.is_refusing

    @property
    def refusal(self) -> str:
        """Why it rejects the password or rights; empty if it does not."""
        return self.link.refusal or self.subscription.refusal

    @property
    def is_deaf(self) -> bool:
        """Whether the subscription is broken although commands work."""
        return self.is_up and not self.subscription.is_whole

    def start(self, listener: BrokerListener) -> None:
        """Start the subscription, which notifies `listener`."""
        self._tasks.spawn(self.subscription.run(listener), "redis subscription")
        self._tasks.spawn(self.subscription.probe(), "redis probe")

    def send(self, *words: str | bytes | int) -> bool:
        """Send a command; the listener is notified if it is rejected."""
        return self.send_again(Astray(words, asyncio.get_running_loop().time()))

    def send_again(self, command: Astray) -> bool:
        """Send a command that another master rejected."""
        return self.link.push(pack(*command.words), _RejectionWaiter(self._take, command))

    def _take(self, reply: Any, command: Astray) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._listener.on_refused(self, str(reply), command)
        else:
            self.is_refusing = False

    async def flushed(self) -> None:
        """Return once the master has received every publication.

        Raises: RedisUnavailable.
        """
        await self.publisher.flushed()
        await self.link.call("PING")  # its reply follows those to all earlier commands

    async def close(self) -> None:
        """End its tasks, because it is no longer a master."""
        await self._tasks.close()


class _RejectionWaiter:
    """Receives the reply to a command that no caller waits for. Implements `Waiter`."""

    __slots__ = ("_command", "_take")

    def __init__(self, take: Callable[[Any, Astray], None], command: Astray) -> None:
        self._take = take
        self._command = command

    def done(self) -> Literal[False]:
        """Implement `Waiter.done`."""
        return False

    def set_result(self, reply: Any, /) -> None:
        """Implement `Waiter.set_result`."""
        self._take(reply, self._command)

    def set_exception(self, error: BaseException, /) -> None:
        """Do nothing: a command pending when a connection broke may or may not have been executed."""
