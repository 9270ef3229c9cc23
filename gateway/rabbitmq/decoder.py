"""Strict decoding of queue messages: one for a room or a chat, or the reason for its dead letter. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

from gateway.dialects.command_decoder import read_object
from gateway.interfaces.rooms import RoomMessage, is_room_name
from gateway.interfaces.users.senders import SenderFault
from gateway.protocol.codes import ErrorCode
from gateway.protocol.ids import is_id
from gateway.protocol.message_data import data_text
from gateway.protocol.replies import ErrorReply
from gateway.protocol.validation import MAX_CLIENT_MSG_ID, check_client_msg_id, check_text, new_client_msg_id

MAX_BODY_BYTES = 64 * 1024
"""The same limit as for an HTTP request."""
MAX_SENDER: Final = 259
"""In code points: `sub:` and a subject."""


class DeadLetterReason(StrEnum):
    """Why a message is in the dead letter queue; the values are used as metric labels and headers."""

    TOO_LARGE = "too_large"
    INVALID_JSON = "invalid_json"
    INVALID_ROOM = "invalid_room"
    INVALID_CHAT = "invalid_chat"
    INVALID_FIELD = "invalid_field"  # an unknown key
    INVALID_DATA = "invalid_data"
    INVALID_SENDER = SenderFault.INVALID.value
    UNKNOWN_SENDER = SenderFault.UNKNOWN.value
    BANNED_SENDER = SenderFault.BANNED.value
    INVALID_ID = "invalid_id"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    INVALID_TEXT = "invalid_text"
    ID_REUSED = "id_reused"  # another message already has its id
    NOT_A_MEMBER = "not_a_member"  # the user is none of the chat's, or there is no such chat
    REJECTED = "rejected"  # the chat does not take it, or not from this user
    NOT_STORED = "not_stored"  # the database stores others, but not this one


_TEXT_REASONS = {
    ErrorCode.EMPTY_TEXT: DeadLetterReason.EMPTY_TEXT,
    ErrorCode.TEXT_TOO_LONG: DeadLetterReason.TEXT_TOO_LONG,
    ErrorCode.INVALID_TEXT: DeadLetterReason.INVALID_TEXT,
}


def read_message(body: bytes, message_id: str | None, max_text_length: int) -> RoomMessage | DeadLetterReason:
    """The message in `body`; never raises. `message_id` is the AMQP property, used if the JSON has no id.

    Without either, the message gets a new id, so a redelivery of it is not recognized as a duplicate.
    """
    fields = _read_fields(body)
    if isinstance(fields, DeadLetterReason):
        return fields
    room, text = fields.get("room_id"), fields.get("content")
    if not is_room_name(room):
        return DeadLetterReason.INVALID_ROOM
    if (error := check_text(text, max_text_length)) is not None:
        return _TEXT_REASONS[error]
    client_msg_id = _id_in(fields, message_id)
    return client_msg_id if isinstance(client_msg_id, DeadLetterReason) else RoomMessage(room, str(text), client_msg_id)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message for a chat. `data` is the JSON of an object, `on_behalf_of` the name that a service gives a user."""

    chat_id: int
    text: str
    data: str | None
    on_behalf_of: str | None
    client_msg_id: str


_CHAT_KEYS: Final = frozenset({"chat_id", "text", "data", "on_behalf_of", "client_msg_id"})


def read_chat_message(body: bytes, message_id: str | None, max_text_length: int) -> ChatMessage | DeadLetterReason:
    """The message for a chat in `body`, as `read_message`; never raises.

    An unknown key is not ignored: a message whose `on_behalf_of` is misspelled would be the system's.
    """
    fields = _read_fields(body)
    if isinstance(fields, DeadLetterReason):
        return fields
    chat_id, text, data, sender = (fields.get(name) for name in ("chat_id", "text", "data", "on_behalf_of"))
    if not is_id(chat_id):
        return DeadLetterReason.INVALID_CHAT
    if not _CHAT_KEYS.issuperset(fields):
        return DeadLetterReason.INVALID_FIELD
    data = None if data is None else data_text(data) or DeadLetterReason.INVALID_DATA
    if isinstance(data, DeadLetterReason):
        return data
    text = "" if text is None and data is not None else text
    if (error := check_text(text, max_text_length, may_be_empty=data is not None)) is not None:
        return _TEXT_REASONS[error]
    if not (sender is None or is_id(sender) or (isinstance(sender, str) and 1 <= len(sender) <= MAX_SENDER)):
        return DeadLetterReason.INVALID_SENDER
    client_msg_id = _id_in(fields, message_id)
    if isinstance(client_msg_id, DeadLetterReason):
        return client_msg_id
    return ChatMessage(chat_id, str(text), data, None if sender is None else str(sender), client_msg_id)


def _read_fields(body: bytes) -> dict[str, Any] | DeadLetterReason:
    if len(body) > MAX_BODY_BYTES:
        return DeadLetterReason.TOO_LARGE
    fields = read_object(body)
    if isinstance(fields, ErrorReply):
        return DeadLetterReason.INVALID_TEXT if fields.code == ErrorCode.INVALID_TEXT else DeadLetterReason.INVALID_JSON
    return fields


def _id_in(fields: Mapping[str, Any], message_id: str | None) -> str | DeadLetterReason:
    client_msg_id = fields.get("client_msg_id")
    if client_msg_id is not None and not (isinstance(client_msg_id, str) and client_msg_id):
        return DeadLetterReason.INVALID_ID
    return _valid_id(client_msg_id or message_id or new_client_msg_id())


def _valid_id(name: str) -> str:
    """`name` if it is a valid client_msg_id, else a hash of it, which is always the same."""
    if check_client_msg_id(name):
        return name
    return blake2b(name.encode(errors="surrogatepass"), digest_size=MAX_CLIENT_MSG_ID // 2).hexdigest()
