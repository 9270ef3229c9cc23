"""Dead letters: what a message that cannot be stored becomes in `messages.dead`, for a person to look at."""

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from gateway.ingest.inbound import Reason
from gateway.ingest.link import QUEUE


def dead_letter(message: AbstractIncomingMessage, reason: Reason, node_id: str) -> Message:
    """The same body and description, with headers that say why, from where, and who says so.

    What makes the broker act stays behind: an expiration would empty the queue of dead letters, `CC` and `BCC` headers
    (with all others) send copies elsewhere, and a `user_id` or `reply_to` of somebody else ends our channel.
    """
    return Message(
        message.body,
        headers={"x-dead-reason": reason.value, "x-dead-queue": QUEUE, "x-dead-node": node_id},
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        correlation_id=message.correlation_id,
        message_id=message.message_id,
        timestamp=message.timestamp,
        type=message.type,
        app_id=message.app_id,
        delivery_mode=DeliveryMode.PERSISTENT,
    )
