"""The names of one system in RabbitMQ."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueNames:
    """`inbound` is the queue in AMQP_QUEUE, `store_id` the store for its messages."""

    inbound: str
    store_id: str

    @property
    def dead(self) -> str:
        """The dead letter queue."""
        return f"{self.inbound}.dead"

    @property
    def owner(self) -> str:
        """An exchange without messages, which records the store that owns the queue."""
        return f"{self.inbound}.owner"

    @property
    def owner_mark(self) -> str:
        """The alternate exchange of `owner`, an argument that RabbitMQ compares; it need not exist."""
        return f"{self.inbound}.owner.{self.store_id}"
