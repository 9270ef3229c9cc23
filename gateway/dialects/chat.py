"""Seed 004: one chat on one socket, at /ws/chat/{chat_id}/. Its texts are the seed's, to the letter."""

from gateway.dialects.base import Echo, Request
from gateway.dialects.commands import Commands
from gateway.dialects.fields import INVALID_JSON, read_object
from gateway.dialects.objects import push_object, reply_object
from gateway.messages import ErrorReply, Push, Reply
from gateway.wire import to_json


class ChatDialect:
    """Seed 004's JSON."""

    name = "chat"
    echo = Echo.ALL

    def __init__(self, max_text_length: int = 1000) -> None:
        self._commands = Commands(max_text_length)

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or the seed's error for it."""
        fields = read_object(payload) if is_text else INVALID_JSON
        if isinstance(fields, ErrorReply):
            return fields
        command = self._commands.read(fields)
        return command if isinstance(command, ErrorReply) else Request(command, name=fields["type"])

    def push(self, push: Push) -> bytes | None:
        """Any push; all of them are spoken here."""
        return to_json(push_object(push))

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The answer, but for Stored: the sender's own copy of the message is its ack."""
        answer = reply_object(reply)
        return None if answer is None else to_json(answer)
