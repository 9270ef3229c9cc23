"""Seed 001: a flat form for one chat on one socket, at /ws/service-chats/{chat_id} and /ws/support-chats/{chat_id}.

It carries only messages: no greeting, presence, typing or read receipts.
"""

from datetime import UTC

import orjson

from gateway.dialects.base import EchoPolicy, Request
from gateway.dialects.chat import push_object, reply_object
from gateway.dialects.command_decoder import INVALID_JSON, CommandDecoder, read_object, unknown_type
from gateway.dialects.content import add_content
from gateway.protocol.commands import React, SendMessage
from gateway.protocol.pushes import Push
from gateway.protocol.replies import (
    CaughtUp,
    ErrorReply,
    Pong,
    Refreshed,
    Reply,
    Reset,
    Stored,
    TokenExpiring,
    Unreacted,
)
from httpapi.bounded_json import to_json
from storage.records import SYSTEM, ChatEvent


class ServiceDialect:
    """Seed 001's JSON.

    With `resumes` (the client connected with `since`) a socket receives everything except what it sent itself, and an
    ack for each message that it sent. Otherwise it receives no messages of its own user, and an ack only for a message
    with a `client_msg_id`.
    """

    name = "service"

    def __init__(self, max_text_length: int = 1000, *, resumes: bool = False) -> None:
        self._commands = CommandDecoder(max_text_length)
        self._resumes = resumes

    @property
    def echo(self) -> EchoPolicy:
        """OTHER_SOCKETS if the client resumes, else NONE: a message is not pushed to its sender."""
        return EchoPolicy.OTHER_SOCKETS if self._resumes else EchoPolicy.NONE

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or the error that seed 004 defines."""
        fields = read_object(payload) if is_text else INVALID_JSON
        if isinstance(fields, ErrorReply):
            return fields
        match fields.get("type"):
            case "message":
                fields["text"] = fields.get("content")
            case "react" | "ping" | "refresh":
                pass
            case kind:
                return unknown_type(kind)
        command = self._commands.read(fields)
        return command if isinstance(command, ErrorReply) else Request(command, name=fields["type"])

    def push(self, push: Push) -> bytes | None:
        """A message in its current state, with the keys in the seed's order; clients upsert by `id`. Or a reaction."""
        match push:
            case ChatEvent(reaction=None):
                return to_json(_message_object(push))
            case ChatEvent():
                return to_json(push_object(push) | {"chat_id": push.chat_id})
            case _:
                return None

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The encoding of `reply`; None if this client does not expect such a reply."""
        match reply:
            case Stored(event=event) if self._resumes or _has_id(request):
                ack = {"type": "ack", "client_msg_id": event.client_msg_id, "id": event.message_id, "seq": event.seq}
                ack["epoch"] = reply.epoch
                return to_json(ack | {"duplicate": True} if reply.duplicate else ack)
            case Unreacted() if self._resumes or _has_id(request):
                return to_json({"type": "ack", "id": reply.message_id, "duplicate": True} | _id_of(request))
            case CaughtUp() | Reset() if self._resumes:
                return to_json(reply_object(reply))
            case Pong() | Refreshed() | TokenExpiring() | ErrorReply():
                return to_json(reply_object(reply))
            case _:
                return None


def _has_id(request: Request | None) -> bool:
    return bool(_id_of(request))


def _id_of(request: Request | None) -> dict[str, object]:
    if request is None or not isinstance(request.command, SendMessage | React):
        return {}
    client_msg_id = request.command.client_msg_id
    return {} if client_msg_id is None else {"client_msg_id": client_msg_id}


def _message_object(event: ChatEvent) -> dict[str, object]:
    fields: dict[str, object] = {
        "type": "message",
        "id": event.message_id,
        "content": event.text,
        "sender_id": event.sender.id,
        "chat_id": event.chat_id,
        "created_at": event.created_at.astimezone(UTC).replace(tzinfo=None),  # no suffix, as in the seed
        "seq": event.seq,
        "client_msg_id": event.client_msg_id,
        "is_edited": event.is_edited,
        "is_deleted": event.is_deleted,
    }
    if event.sender.id == SYSTEM.id:
        fields["kind"] = "system"
    if event.by is not None:
        fields["by_id"] = event.by.id
    add_content(fields, event, is_named=False)
    if event.reactions is not None:
        fields["reactions"] = orjson.Fragment(event.reactions)
    return fields
