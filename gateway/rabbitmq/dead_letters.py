"""Dead letters: messages that cannot be stored, moved to the queue `….dead` for an operator to inspect."""

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from gateway.rabbitmq.decoder import DeadLetterReason


def dead_letter(message: AbstractIncomingMessage, reason: DeadLetterReason, queue: str, node_id: str) -> Message:
    """The same body and descriptive properties, with headers for the reason, the source queue and this node.

    Properties that the broker acts on are dropped: an expiration would empty the dead letter queue, `CC` and `BCC`
    headers (dropped with all others) send copies elsewhere, and a foreign `user_id` or `reply_to` closes the channel.
    """
    return Message(
        message.body,
        headers={"x-dead-reason": reason.value, "x-dead-queue": queue, "x-dead-node": node_id},
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        correlation_id=message.correlation_id,
        message_id=message.message_id,
        timestamp=message.timestamp,
        type=message.type,
        app_id=message.app_id,
        delivery_mode=DeliveryMode.PERSISTENT,
    )
