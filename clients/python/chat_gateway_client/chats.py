"""The subscriptions of a client, and the events that wait for the application. Has no socket.

Keeps: of each chat the application is given every event once, in seq order. What the socket brings again after a
reconnect is dropped by its seq. An event that finds no room is not taken, and neither is what follows in its chat: the
subscription starts again after the last event taken once there is room. So a slow application costs no memory.
"""

import asyncio
from collections import deque

from chat_gateway_client.events import CaughtUp, Event, Message, Position, Reaction, Reset, Truncated

MAX_EVENTS = 1000
"""Events that wait for the application."""


class Subscription:
    """One chat: where its replay starts, and how far the application has been told."""

    __slots__ = ("is_behind", "is_starting", "position")

    def __init__(self, since: Position | None) -> None:
        self.position = since
        """None until the first acknowledgement, which says where the chat starts."""
        self.is_behind = False
        """Whether an event was not taken. Nothing is, until the subscription has started again."""
        self.is_starting = True
        """Whether it is not acknowledged. What comes until then is of an earlier one to this chat, and not taken."""


class Inbox:
    """All chats of a client, with one queue of events."""

    def __init__(self, most: int = MAX_EVENTS) -> None:
        self.subscriptions: dict[int, Subscription] = {}
        self._most = most
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False
        self.dropped = 0
        """Pushes without a position that found no room."""

    def established(self, chat_id: int, epoch: str, last_seq: int) -> None:
        """The gateway has acknowledged a subscription: what comes from now on follows its `since`."""
        subscription = self.subscriptions.get(chat_id)
        if subscription is not None:
            subscription.is_behind = subscription.is_starting = False
            if subscription.position is None:
                subscription.position = Position(epoch, last_seq)

    def put(self, event: Event) -> None:
        """Take an event, unless the application has it or there is no room."""
        if not isinstance(event, Message | Reaction | Reset | Truncated | CaughtUp):
            if len(self._events) < self._most:
                self._append(event)
            else:
                self.dropped += 1
            return
        subscription = self.subscriptions.get(event.chat_id)
        if subscription is None or subscription.is_behind or subscription.is_starting:
            return
        if self._is_known(event, subscription.position):
            return
        if len(self._events) >= self._most:
            subscription.is_behind = True
            return
        position = subscription.position
        if isinstance(event, Reset | CaughtUp):
            subscription.position = event.position
        elif isinstance(event, Message | Reaction) and position is not None:
            subscription.position = Position(position.epoch, event.seq)
        self._append(event)

    def _is_known(self, event: Event, position: Position | None) -> bool:
        return isinstance(event, Message | Reaction) and position is not None and event.seq <= position.seq

    def _append(self, event: Event) -> None:
        self._events.append(event)
        self._arrived.set()

    def close(self) -> None:
        """No event will come any more."""
        self._is_closed = True
        self._arrived.set()

    async def next(self) -> Event | None:
        """The next event, in the order of arrival; None after the last one."""
        while not self._events:
            if self._is_closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()

    def behind(self) -> list[int]:
        """The chats to subscribe to again now that half of the room is free; each is returned once."""
        if len(self._events) > self._most // 2:
            return []
        chats = [chat_id for chat_id, one in self.subscriptions.items() if one.is_behind and not one.is_starting]
        for chat_id in chats:
            self.subscriptions[chat_id].is_starting = True
        return chats
