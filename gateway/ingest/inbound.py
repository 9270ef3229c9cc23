"""What comes out of the queue, read strictly: a message for a room, or the reason why it never will be one. Pure."""

from enum import StrEnum
from hashlib import blake2b

from gateway.codes import ErrorCode
from gateway.dialects.fields import read_object
from gateway.messages import MAX_CLIENT_MSG_ID, ErrorReply, check_client_msg_id, check_text, new_client_msg_id
from gateway.rooms import RoomMessage, is_room_name

MAX_BODY_BYTES = 64 * 1024
"""As of a request over HTTP."""


class Reason(StrEnum):
    """Why a message is in the dead letter queue; the values are metrics' labels and headers."""

    TOO_LARGE = "too_large"
    INVALID_JSON = "invalid_json"
    INVALID_ROOM = "invalid_room"
    INVALID_ID = "invalid_id"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    INVALID_TEXT = "invalid_text"
    ID_REUSED = "id_reused"  # its id stands for another message already
    NOT_STORED = "not_stored"  # the database takes others, and not this one


_TEXT_REASONS = {
    ErrorCode.EMPTY_TEXT: Reason.EMPTY_TEXT,
    ErrorCode.TEXT_TOO_LONG: Reason.TEXT_TOO_LONG,
    ErrorCode.INVALID_TEXT: Reason.INVALID_TEXT,
}


def read_message(body: bytes, message_id: str | None, max_text_length: int) -> RoomMessage | Reason:
    """The message in `body`; never raises. `message_id` is the AMQP property, an id where the JSON has none.

    Without either, the message gets an id now: then it is another one at its next delivery.
    """
    if len(body) > MAX_BODY_BYTES:
        return Reason.TOO_LARGE
    fields = read_object(body)
    if isinstance(fields, ErrorReply):
        return Reason.INVALID_TEXT if fields.code == ErrorCode.INVALID_TEXT else Reason.INVALID_JSON
    room, text = fields.get("room_id"), fields.get("content")
    if not is_room_name(room):
        return Reason.INVALID_ROOM
    if (wrong := check_text(text, max_text_length)) is not None:
        return _TEXT_REASONS[wrong]
    given = fields.get("client_msg_id")
    if given is not None and not (isinstance(given, str) and given):
        return Reason.INVALID_ID
    return RoomMessage(room, str(text), _fitting(given or message_id or new_client_msg_id()))


def _fitting(name: str) -> str:
    """An id for a message of this name, always the same: the name itself if it can be one."""
    if check_client_msg_id(name):
        return name
    return blake2b(name.encode(errors="surrogatepass"), digest_size=MAX_CLIENT_MSG_ID // 2).hexdigest()
