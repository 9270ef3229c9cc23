"""Strict decoding of queue messages: one for a room, or the reason for its dead letter. Pure functions."""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from gateway.dialects.command_decoder import read_object
from gateway.interfaces.rooms import RoomMessage, is_room_name
from gateway.interfaces.users.senders import SenderFault
from gateway.protocol.codes import ErrorCode
from gateway.protocol.replies import ErrorReply
from gateway.protocol.validation import MAX_CLIENT_MSG_ID, check_client_msg_id, check_text, new_client_msg_id

MAX_BODY_BYTES = 64 * 1024
"""The same limit as for an HTTP request."""


class DeadLetterReason(StrEnum):
    """Why a message is in the dead letter queue; the values are used as metric labels and headers."""

    TOO_LARGE = "too_large"
    INVALID_JSON = "invalid_json"
    INVALID_ROOM = "invalid_room"
    INVALID_CHAT = "invalid_chat"
    INVALID_FIELD = "invalid_field"  # an unknown key, or no valid `reply_to` or `mentions`
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
    NO_SUCH_TARGET = "no_such_target"  # it replies to no message of the chat
    REJECTED = "rejected"  # the chat does not take it, or not from this user
    NOT_STORED = "not_stored"  # the database stores others, but not this one


TEXT_REASONS = {
    ErrorCode.EMPTY_TEXT: DeadLetterReason.EMPTY_TEXT,
    ErrorCode.TEXT_TOO_LONG: DeadLetterReason.TEXT_TOO_LONG,
    ErrorCode.INVALID_TEXT: DeadLetterReason.INVALID_TEXT,
}


def read_message(body: bytes, message_id: str | None, max_text_length: int) -> RoomMessage | DeadLetterReason:
    """The message in `body`; never raises. `message_id` is the AMQP property, used if the JSON has no id.

    Without either, the message gets a new id, so a redelivery of it is not recognized as a duplicate.
    """
    fields = read_fields(body)
    if isinstance(fields, DeadLetterReason):
        return fields
    room, text = fields.get("room_id"), fields.get("content")
    if not is_room_name(room):
        return DeadLetterReason.INVALID_ROOM
    if (error := check_text(text, max_text_length)) is not None:
        return TEXT_REASONS[error]
    client_msg_id = read_id(fields, message_id)
    return client_msg_id if isinstance(client_msg_id, DeadLetterReason) else RoomMessage(room, str(text), client_msg_id)


def read_fields(body: bytes) -> dict[str, Any] | DeadLetterReason:
    """The JSON object of a message."""
    if len(body) > MAX_BODY_BYTES:
        return DeadLetterReason.TOO_LARGE
    fields = read_object(body)
    if isinstance(fields, ErrorReply):
        return DeadLetterReason.INVALID_TEXT if fields.code == ErrorCode.INVALID_TEXT else DeadLetterReason.INVALID_JSON
    return fields


def read_id(fields: Mapping[str, Any], message_id: str | None) -> str | DeadLetterReason:
    """The id of a message: that of its JSON, else its AMQP property, else a new one."""
    client_msg_id = fields.get("client_msg_id")
    if client_msg_id is not None and not (isinstance(client_msg_id, str) and client_msg_id):
        return DeadLetterReason.INVALID_ID
    return _valid_id(client_msg_id or message_id or new_client_msg_id())


def _valid_id(name: str) -> str:
    """`name` if it is a valid client_msg_id, else a hash of it, which is always the same."""
    if check_client_msg_id(name):
        return name
    return blake2b(name.encode(errors="surrogatepass"), digest_size=MAX_CLIENT_MSG_ID // 2).hexdigest()
