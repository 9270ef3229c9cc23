"""Seed 004's `ChatWebSocket` as a test drives it, wherever it runs."""

import abc
import asyncio
from typing import Any

TIMEOUT_S = 30.0

Event = tuple[str, Any]


class ChatWebSocket(abc.ABC):
    """The seed's class, of one user in one chat; its methods under the seed's own names.

    `events` is all that it showed (displayMessage, showTypingIndicator, showReadIndicator) and wrote to its console
    (log, error), in order.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._arrived = asyncio.Condition()
        self._taken = 0

    @abc.abstractmethod
    async def call(self, method: str, *arguments: object) -> None:
        """Call a method of the class."""

    async def connect(self) -> None:
        """Connect, and wait until the class has said that the connection is established."""
        await self.call("connect")
        await self.next("log", lambda value: value[0] == "Connection established:")

    async def send_message(self, text: str) -> None:
        """Send a message; the class drops it silently if it is not connected."""
        await self.call("sendMessage", text)

    async def start_typing(self) -> None:
        """Say that the user types; after 3 s the class says by itself that they stopped."""
        await self.call("startTyping")

    async def stop_typing(self) -> None:
        """Say that the user has stopped."""
        await self.call("stopTyping")

    async def mark_as_read(self) -> None:
        """Say that everything has been read."""
        await self.call("markAsRead")

    async def disconnect(self) -> None:
        """Close the socket, and wait until it is closed."""
        await self.call("disconnect")
        await self.next("log", lambda value: value == ["Disconnected from chat"])

    async def next(self, name: str, is_meant: Any = lambda value: True) -> Any:
        """The value of the next event of that name that is meant; looks only behind the one it returned last.

        Raises TimeoutError after TIMEOUT_S, with everything that came instead.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S), self._arrived:
                while True:
                    for index in range(self._taken, len(self.events)):
                        event, value = self.events[index]
                        if event == name and is_meant(value):
                            self._taken = index + 1
                            return value
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(f"no such {name} in {self.events[self._taken :]}") from None

    async def hear(self, event: str, value: object) -> None:
        """Take an event from where the class runs."""
        async with self._arrived:
            self.events.append((event, value))
            self._arrived.notify_all()
