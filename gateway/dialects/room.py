"""Seed 002: what is said in one room, at /updates/{room_id}. The server sends messages only, the client nothing."""

from gateway.codes import ErrorCode
from gateway.dialects.base import Echo, Request
from gateway.dialects.objects import reply_object
from gateway.messages import CaughtUp, ErrorReply, Push, Reply, Reset
from gateway.wire import to_json
from storage.records import ChatEvent

UNASKED = ErrorReply(ErrorCode.UNKNOWN_TYPE, "This socket takes no commands")


class RoomDialect:
    """Seed 002's JSON in the room of a name; of replies only who came with `since` (`resumes`) hears any."""

    name = "room"
    echo = Echo.ALL

    def __init__(self, room_name: str, *, resumes: bool = False) -> None:
        self._room_name = room_name
        self._resumes = resumes

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """Nothing is a command here; the error is counted, and never written."""
        return UNASKED

    def push(self, push: Push) -> bytes | None:
        """A message, and nothing else."""
        if not isinstance(push, ChatEvent):
            return None
        return to_json(
            {
                "room_id": self._room_name,
                "content": push.text,
                "id": push.message_id,
                "seq": push.seq,
                "created_at": push.created_at,
                "client_msg_id": push.client_msg_id,
            }
        )

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """Where a resume ended, or that it cannot be."""
        if self._resumes and isinstance(reply, CaughtUp | Reset):
            return to_json(reply_object(reply))
        return None
