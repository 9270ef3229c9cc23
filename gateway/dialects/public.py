"""Seed 003's public channel, at /channels/public: seed 004's dialect, for clients that may not even speak JSON."""

from gateway.dialects.base import Echo, Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.commands import Commands
from gateway.dialects.fields import INVALID_JSON
from gateway.messages import ErrorReply, Push, Reply


class PublicDialect:
    """Seed 004's JSON; what is no JSON object is a message of that text."""

    name = "public"
    echo = Echo.ALL

    def __init__(self, max_text_length: int = 1000) -> None:
        self._commands = Commands(max_text_length)
        self._chat = ChatDialect(max_text_length)

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or seed 004's error for it."""
        request = self._chat.decode(payload, is_text)
        if request is not INVALID_JSON or not is_text:
            return request
        command = self._commands.read({"type": "message", "text": payload.decode()})
        return command if isinstance(command, ErrorReply) else Request(command, name="message")

    def push(self, push: Push) -> bytes | None:
        """As seed 004's."""
        return self._chat.push(push)

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """As seed 004's."""
        return self._chat.reply(reply, request)
