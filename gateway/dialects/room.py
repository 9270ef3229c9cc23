"""Seed 002: the messages of one room, at /updates/{room_id}. Only the server sends."""

import orjson

from gateway.dialects.base import EchoPolicy, Request
from gateway.dialects.chat import reply_object
from gateway.protocol.codes import ErrorCode
from gateway.protocol.pushes import Push
from gateway.protocol.replies import CaughtUp, ErrorReply, Reply, Reset
from httpapi.bounded_json import to_json
from storage.records import ChatEvent

UNASKED = ErrorReply(ErrorCode.UNKNOWN_TYPE, "This socket takes no commands")


class RoomDialect:
    """Seed 002's JSON for the room `room_name`; only a client that connected with `since` (`resumes`) gets replies."""

    name = "room"
    echo = EchoPolicy.ALL

    def __init__(self, room_name: str, *, resumes: bool = False) -> None:
        self._room_name = room_name
        self._resumes = resumes

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """An error for any message, because there are no commands; the error is counted but never sent."""
        return UNASKED

    def push(self, push: Push) -> bytes | None:
        """The encoding of a stored event; None for every other push, and for reactions, which no guest can send."""
        if not isinstance(push, ChatEvent) or push.reaction is not None:
            return None
        fields: dict[str, object] = {
            "room_id": self._room_name,
            "content": push.text,
            "id": push.message_id,
            "seq": push.seq,
            "created_at": push.created_at,
            "client_msg_id": push.client_msg_id,
        }
        if push.data is not None:
            fields["data"] = orjson.Fragment(push.data)
        return to_json(fields)

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The encoding of CaughtUp or Reset for a client that resumes; None for every other reply."""
        if self._resumes and isinstance(reply, CaughtUp | Reset):
            return to_json(reply_object(reply))
        return None
