"""What a queue takes: how its messages are read, and which events they become."""

from typing import Protocol

from gateway.rabbitmq.decoder import DeadLetterReason
from storage.records import NewEvent, Refusal


class Inbound(Protocol):
    """A message that was read from a queue."""

    async def event(self) -> NewEvent | DeadLetterReason:
        """The event to store, or why there is none.

        Raises: StorageUnavailable.
        """
        ...

    def reason(self, refusal: Refusal) -> DeadLetterReason | None:
        """Why the message can never be stored after this refusal; None if it is to be tried again."""
        ...


class Intake(Protocol):
    """Reads the messages of one queue."""

    def read(self, body: bytes, message_id: str | None) -> Inbound | DeadLetterReason:
        """The message, or why it can never be stored; never raises. `message_id` is the AMQP property."""
        ...
