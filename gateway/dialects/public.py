"""Seed 003's public channel, at /channels/public: seed 004's dialect, which also accepts plain text."""

from gateway.dialects.base import Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.command_decoder import INVALID_JSON
from gateway.protocol.replies import ErrorReply


class PublicDialect(ChatDialect):
    """Seed 004's JSON; a text frame that is not a JSON object is a message with that text."""

    name = "public"

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or the error that seed 004 defines."""
        request = super().decode(payload, is_text)
        if request is not INVALID_JSON or not is_text:
            return request
        command = self._commands.read({"type": "message", "text": payload.decode()})
        return command if isinstance(command, ErrorReply) else Request(command, name="message")
