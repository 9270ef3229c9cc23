"""Seed 001: a flat form for one chat on one socket, at /ws/service-chats/{chat_id} and /ws/support-chats/{chat_id}.

It speaks of messages and nothing else: no greeting, presence, typing or receipts.
"""

from datetime import UTC

from gateway.dialects.base import Echo, Request
from gateway.dialects.commands import Commands, unknown_type
from gateway.dialects.fields import INVALID_JSON, read_object
from gateway.dialects.objects import reply_object
from gateway.messages import CaughtUp, ErrorReply, Pong, Push, Reply, Reset, SendMessage, Stored
from gateway.wire import to_json
from storage.records import ChatEvent


class ServiceDialect:
    """Seed 001's JSON.

    With `resumes` (the client came with `since`) a socket gets all but what it sends itself, and an ack for each of
    that; else it gets nothing of its user's, and acks where it asks for them with a `client_msg_id`.
    """

    name = "service"

    def __init__(self, max_text_length: int = 1000, *, resumes: bool = False) -> None:
        self._commands = Commands(max_text_length)
        self._resumes = resumes

    @property
    def echo(self) -> Echo:
        """A message goes to everyone but its sender."""
        return Echo.OTHER_SOCKETS if self._resumes else Echo.NONE

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or seed 004's error for it."""
        fields = read_object(payload) if is_text else INVALID_JSON
        if isinstance(fields, ErrorReply):
            return fields
        match fields.get("type"):
            case "message":
                fields["text"] = fields.get("content")
            case "ping":
                pass
            case kind:
                return unknown_type(kind)
        command = self._commands.read(fields)
        return command if isinstance(command, ErrorReply) else Request(command, name=fields["type"])

    def push(self, push: Push) -> bytes | None:
        """A message in its present state, in the seed's order of keys; clients upsert by `id`."""
        return to_json(_message_object(push)) if isinstance(push, ChatEvent) else None

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The answer, if the client knows of such."""
        match reply:
            case Stored(event=event) if self._resumes or _has_id(request):
                ack = {"type": "ack", "client_msg_id": event.client_msg_id, "id": event.message_id, "seq": event.seq}
                ack["epoch"] = reply.epoch
                return to_json(ack | {"duplicate": True} if reply.duplicate else ack)
            case CaughtUp() | Reset() if self._resumes:
                return to_json(reply_object(reply))
            case Pong() | ErrorReply():
                return to_json(reply_object(reply))
            case _:
                return None


def _has_id(request: Request | None) -> bool:
    return (
        request is not None and isinstance(request.command, SendMessage) and request.command.client_msg_id is not None
    )


def _message_object(event: ChatEvent) -> dict[str, object]:
    return {
        "type": "message",
        "id": event.message_id,
        "content": event.text,
        "sender_id": event.sender.id,
        "chat_id": event.chat_id,
        "created_at": event.created_at.astimezone(UTC).replace(tzinfo=None),  # no suffix, as the seed shows it
        "seq": event.seq,
        "client_msg_id": event.client_msg_id,
        "is_edited": event.is_edited,
        "is_deleted": event.is_deleted,
    }
