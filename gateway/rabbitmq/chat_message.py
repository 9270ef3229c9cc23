"""Strict decoding of messages for chats, or the reason for a dead letter. Pure functions."""

from dataclasses import dataclass
from typing import Final

from gateway.protocol.commands import MAX_MENTIONS
from gateway.protocol.ids import is_id
from gateway.protocol.message_data import data_text
from gateway.protocol.validation import check_text
from gateway.rabbitmq.decoder import TEXT_REASONS, DeadLetterReason, read_fields, read_id

MAX_SENDER: Final = 259
"""In code points: `sub:` and a subject."""
_KEYS: Final = frozenset({"chat_id", "text", "data", "reply_to", "mentions", "on_behalf_of", "client_msg_id"})


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message for a chat, as `NewEvent`; `on_behalf_of` is the name that a service gives a user."""

    chat_id: int
    text: str
    data: str | None
    on_behalf_of: str | None
    client_msg_id: str
    reply_to: int | None = None
    mentions: tuple[int, ...] = ()


def read_chat_message(body: bytes, message_id: str | None, max_text_length: int) -> ChatMessage | DeadLetterReason:
    """The message in `body`; never raises. `message_id` is the AMQP property, used if the JSON has no id.

    An unknown key is not ignored: a message whose `on_behalf_of` is misspelled would be the system's.
    """
    fields = read_fields(body)
    if isinstance(fields, DeadLetterReason):
        return fields
    client_msg_id = read_id(fields, message_id)
    if isinstance(client_msg_id, DeadLetterReason):
        return client_msg_id
    has_data = fields.get("data") is not None
    data = data_text(fields["data"]) if has_data else None
    text = "" if has_data and fields.get("text") is None else fields.get("text")
    error = check_text(text, max_text_length, may_be_empty=has_data)
    sender, mentions = fields.get("on_behalf_of"), fields.get("mentions")
    checks = (
        (is_id(fields.get("chat_id")), DeadLetterReason.INVALID_CHAT),
        (_KEYS.issuperset(fields), DeadLetterReason.INVALID_FIELD),
        (data is not None or not has_data, DeadLetterReason.INVALID_DATA),
        (error is None, DeadLetterReason.INVALID_TEXT if error is None else TEXT_REASONS[error]),
        (fields.get("reply_to") is None or is_id(fields["reply_to"]), DeadLetterReason.INVALID_FIELD),
        (mentions is None or _are_mentions(mentions), DeadLetterReason.INVALID_FIELD),
        (sender is None or _is_sender(sender), DeadLetterReason.INVALID_SENDER),
    )
    for is_valid, reason in checks:
        if not is_valid:
            return reason
    name = None if sender is None else str(sender)
    mentioned = tuple(sorted(set(mentions or ())))
    return ChatMessage(fields["chat_id"], str(text), data, name, client_msg_id, fields.get("reply_to"), mentioned)


def _are_mentions(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_MENTIONS and all(map(is_id, value))


def _is_sender(value: object) -> bool:
    return is_id(value) or (isinstance(value, str) and 1 <= len(value) <= MAX_SENDER)
