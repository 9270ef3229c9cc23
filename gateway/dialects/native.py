"""Seed 000: many chats on one socket, at /ws/{client_id}. Seed 004's words, each with the `chat_id` that it is about.

A command may bear an `id`, and then gets exactly one answer, which bears it too; without one it is answered as in seed
004. Where `id` is the command's, `message_id` names the message to edit or delete.
"""

from typing import Any

from gateway.dialects.base import Echo, Request
from gateway.dialects.commands import Commands
from gateway.dialects.fields import INVALID_JSON, invalid_field, is_id, is_seq, read_object
from gateway.dialects.objects import push_object, reply_object
from gateway.messages import (
    Command,
    Done,
    ErrorReply,
    Established,
    Hello,
    HistoryPage,
    Ping,
    PresenceState,
    Push,
    Reply,
    Since,
    Stored,
    Subscribe,
    Unsubscribe,
)
from gateway.since import read_since
from gateway.wire import to_json

_Fields = dict[str, Any]


class NativeDialect:
    """The native protocol's JSON."""

    name = "native"
    echo = Echo.ALL

    def __init__(self, max_text_length: int = 1000) -> None:
        self._commands = Commands(max_text_length)

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message; an error bears the `id` as far as one could be read."""
        fields = read_object(payload) if is_text else INVALID_JSON
        if isinstance(fields, ErrorReply):
            return fields
        ref = fields.get("id")
        if not (ref is None or isinstance(ref, str) or type(ref) is int):
            return invalid_field("id", "a string or an integer")
        command = self._read(fields)
        if isinstance(command, ErrorReply):
            return ErrorReply(command.code, command.message, ref=ref)
        chat_id = None if isinstance(command, Hello | Ping) else fields["chat_id"]
        return Request(command, fields["type"], chat_id, ref)

    def _read(self, fields: _Fields) -> Command | ErrorReply:
        kind = fields.get("type")
        if kind == "hello":
            message = fields.get("message", "")
            return Hello(message) if isinstance(message, str) else invalid_field("message", "a string")
        if kind in ("edit_message", "delete_message") and "message_id" in fields:
            if not is_id(fields["message_id"]):
                return invalid_field("message_id", "a positive integer")
            fields = {**fields, "id": fields["message_id"]}
        match kind:
            case "subscribe":
                command = _read_subscribe(fields)
            case "unsubscribe":
                command = Unsubscribe()
            case _:
                command = self._commands.read(fields)
        if isinstance(command, ErrorReply | Ping) or is_id(fields.get("chat_id")):
            return command
        return invalid_field("chat_id", "a positive integer")

    def push(self, push: Push) -> bytes | None:
        """Any push, with its chat."""
        return to_json(push_object(push) | {"chat_id": push.chat_id})

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The one answer to a command with an `id`; what seed 004 would say to one without."""
        answer = _answer(reply, has_ref=request is not None and request.ref is not None)
        if answer is None:
            return None
        ref = reply.ref if isinstance(reply, ErrorReply) and request is None else request and request.ref
        known = {"id": ref, "chat_id": request and request.chat_id}
        return to_json(answer | {name: value for name, value in known.items() if value is not None})


def _read_subscribe(fields: _Fields) -> Command | ErrorReply:
    match fields.get("since"):
        case None:
            return Subscribe(None)
        case str(since):
            return Subscribe(read_since(since))
        case since if is_seq(since):
            return Subscribe(Since(since))
    return invalid_field("since", "a seq, alone or behind its epoch and a colon")


def _answer(reply: Reply, *, has_ref: bool) -> dict[str, object] | None:
    match reply:
        case Established():
            return {
                "type": "ack",
                "chat_id": reply.chat_id,
                "result": {"last_seq": reply.last_seq, "epoch": reply.epoch},
            }
        case Stored(event=event) if has_ref:
            ack = {
                "type": "ack",
                "message_id": event.message_id,
                "seq": event.seq,
                "client_msg_id": event.client_msg_id,
                "epoch": reply.epoch,
            }
            return ack | {"duplicate": True} if reply.duplicate else ack
        case Done() if has_ref:
            return {"type": "ack"}
        case HistoryPage() | PresenceState() if has_ref:
            result = reply_object(reply) or {}
            return {"type": "ack", "result": {name: value for name, value in result.items() if name != "type"}}
    return reply_object(reply)
