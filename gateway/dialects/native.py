"""Seed 000: many chats on one socket, at /ws/{client_id}. Its messages are seed 004's, each with a `chat_id`.

A command may have an `id`; it then gets exactly one reply, with the same `id`. A command without one gets the replies
of seed 004. If `id` identifies the command, `message_id` identifies the message to edit or delete.
"""

from collections.abc import Mapping
from typing import Final

from gateway.dialects.base import EchoPolicy, Request
from gateway.dialects.chat import push_object, reply_object
from gateway.dialects.command_decoder import INVALID_JSON, CommandDecoder, Fields, invalid_field, read_object
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import (
    MAX_USERS,
    Command,
    GetUsersPresence,
    Hello,
    Ping,
    Refresh,
    Subscribe,
    SubscribePresence,
    Unsubscribe,
)
from gateway.protocol.ids import Since, is_id, is_seq, read_since
from gateway.protocol.pushes import MessagesRead, Push
from gateway.protocol.replies import (
    Done,
    ErrorReply,
    Established,
    Greeting,
    HistoryPage,
    PresenceState,
    Reply,
    Stored,
    Unreacted,
    UsersPresence,
)
from httpapi.bounded_json import to_json

_EVERY: Final = frozenset({"type", "id", "traceparent"})
_IN_CHAT: Final = _EVERY | {"chat_id"}
KEYS: Final[Mapping[str, frozenset[str]]] = {
    "ping": _EVERY,
    "refresh": _EVERY | {"token"},
    "subscribe": _IN_CHAT | {"since"},
    "unsubscribe": _IN_CHAT,
    "message": _IN_CHAT | {"text", "client_msg_id", "data", "reply_to", "mentions"},
    "edit_message": _IN_CHAT | {"message_id", "text", "client_msg_id", "data"},
    "delete_message": _IN_CHAT | {"message_id", "client_msg_id"},
    "react": _IN_CHAT | {"message_id", "key", "remove", "client_msg_id"},
    "typing": _IN_CHAT | {"is_typing"},
    "read_messages": _IN_CHAT | {"seq"},
    "history": _IN_CHAT | {"before_seq", "after_seq", "limit"},
    "presence": _IN_CHAT | {"user_ids"},
    "subscribe_presence": _EVERY | {"user_ids"},
}
"""The fields that each command may have; `gateway.tracing` reads `traceparent`, if tracing is on.

`hello` is not listed: it comes from seed 000 and accepts any extra field.
"""
_MAX_KEY_LENGTH_IN_ERROR: Final = 64


class NativeDialect:
    """The native protocol's JSON."""

    name = "native"
    echo = EchoPolicy.ALL
    acks_without_id = False
    """Whether a command without an `id` gets the reply of one that has one."""

    def __init__(self, max_text_length: int = 1000) -> None:
        self._commands = CommandDecoder(max_text_length)
        self._max_text_length = max_text_length

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or an error, with the command's `id` if that could be decoded."""
        fields = read_object(payload) if is_text else INVALID_JSON
        if isinstance(fields, ErrorReply):
            return fields
        ref = fields.get("id")
        if not (ref is None or isinstance(ref, str) or type(ref) is int):
            return invalid_field("id", "a string or an integer")
        command = self._read(fields)
        if not isinstance(command, ErrorReply | Hello) and not KEYS[fields["type"]].issuperset(fields):
            command = _unknown_key(fields)
        if isinstance(command, ErrorReply):
            return ErrorReply(command.code, command.message, ref=ref)
        chat_id = None if isinstance(command, _NOT_IN_A_CHAT) else fields["chat_id"]
        return Request(command, fields["type"], chat_id, ref)

    def _read(self, fields: Fields) -> Command | ErrorReply:
        kind = fields.get("type")
        if kind == "hello":
            message = fields.get("message", "")
            warns = fields.get("refresh") is True
            return Hello(message, warns) if isinstance(message, str) else invalid_field("message", "a string")
        if kind in ("edit_message", "delete_message") and "message_id" in fields:
            if not is_id(fields["message_id"]):
                return invalid_field("message_id", "a positive integer")
            fields = {**fields, "id": fields["message_id"]}
        match kind:
            case "subscribe":
                command = _read_subscribe(fields)
            case "unsubscribe":
                command = Unsubscribe()
            case "presence" if "user_ids" in fields:
                return _read_users(fields)
            case "subscribe_presence":
                return _read_watched(fields)
            case _:
                command = self._commands.read(fields)
        if isinstance(command, ErrorReply | Ping | Refresh) or is_id(fields.get("chat_id")):
            return command
        return invalid_field("chat_id", "a positive integer")

    def push(self, push: Push) -> bytes | None:
        """The encoding of `push` with its `chat_id`; this dialect includes every kind."""
        return to_json(push_object(push, is_named=True) | {"chat_id": push.chat_id})

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The single reply to a command with an `id`; seed 004's reply to a command without one."""
        fields = _reply_fields(reply, has_ref=request is not None and (self.acks_without_id or request.ref is not None))
        if fields is None:
            return None
        if isinstance(reply, Greeting) and request is not None and request.ref is not None:  # seed 000 has no `id`
            fields |= {"node": reply.node, "max_text_length": self._max_text_length}
        ref = reply.ref if isinstance(reply, ErrorReply) and request is None else request and request.ref
        address = {"id": ref, "chat_id": request and request.chat_id}
        return to_json(fields | {name: value for name, value in address.items() if value is not None})


_NOT_IN_A_CHAT: Final = (Hello, Ping, Refresh, GetUsersPresence, SubscribePresence)


def _read_watched(fields: Fields) -> SubscribePresence | ErrorReply:
    user_ids = fields.get("user_ids")
    if isinstance(user_ids, list) and len(user_ids) <= MAX_USERS and all(map(is_id, user_ids)):
        return SubscribePresence(user_ids)
    return invalid_field("user_ids", f"up to {MAX_USERS} ids")


def _read_users(fields: Fields) -> GetUsersPresence | ErrorReply:
    user_ids = fields["user_ids"]
    if not isinstance(user_ids, list) or not 1 <= len(user_ids) <= MAX_USERS or not all(map(is_id, user_ids)):
        return invalid_field("user_ids", f"1 to {MAX_USERS} ids")
    if "chat_id" in fields:
        return invalid_field("user_ids", "user_ids or chat_id, not both")
    return GetUsersPresence(user_ids)


def _unknown_key(fields: Fields) -> ErrorReply:
    key = next(key for key in fields if key not in KEYS[fields["type"]])
    return ErrorReply(ErrorCode.INVALID_FIELD, f"Unknown field: {key[:_MAX_KEY_LENGTH_IN_ERROR]}")


def _read_subscribe(fields: Fields) -> Command | ErrorReply:
    match fields.get("since"):
        case None:
            return Subscribe(None)
        case str(since):
            return Subscribe(read_since(since))
        case since if is_seq(since):
            return Subscribe(Since(since))
    return invalid_field("since", "a seq, alone or behind its epoch and a colon")


def _reply_fields(reply: Reply, *, has_ref: bool) -> dict[str, object] | None:
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
        case Unreacted() if has_ref:
            return {"type": "ack", "message_id": reply.message_id, "duplicate": True}
        case Done() if has_ref:
            return {"type": "ack"}
        case MessagesRead():
            return None  # the feed's `chat_read` carries it
        case HistoryPage() | PresenceState() | UsersPresence() if has_ref:
            result = reply_object(reply, is_named=True) or {}
            return {"type": "ack", "result": {name: value for name, value in result.items() if name != "type"}}
    return reply_object(reply, is_named=True)
