"""Seed 004: one chat on one socket, at /ws/chat/{chat_id}/. Its texts are the seed's, to the letter."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.codes import ErrorCode
from gateway.dialects.base import Request
from gateway.dialects.fields import INVALID_JSON, INVALID_TEXT, invalid_field, is_id, is_seq, read_object
from gateway.messages import (
    MAX_HISTORY,
    CaughtUp,
    Command,
    DeleteMessage,
    EditMessage,
    ErrorReply,
    Established,
    GetHistory,
    GetPresence,
    HistoryPage,
    MarkRead,
    MessagesRead,
    Ping,
    Pong,
    PresenceChange,
    PresenceCount,
    PresenceState,
    Push,
    Reply,
    Reset,
    SendMessage,
    SetTyping,
    Stored,
    Typing,
    check_client_msg_id,
    check_text,
    message_object,
    present_object,
)
from gateway.wire import to_json
from storage.records import ChatEvent

_Fields = Mapping[str, Any]
_DEFAULT_HISTORY = 50
_SHOWN_TYPE_LENGTH = 64


class ChatDialect:
    """Seed 004's JSON."""

    name = "chat"

    def __init__(self, max_text_length: int = 1000) -> None:
        self._max_text_length = max_text_length
        self._readers: dict[str, Callable[[_Fields], Command | ErrorReply]] = {
            "message": self._read_message,
            "edit_message": self._read_edit,
            "delete_message": _read_delete,
            "typing": _read_typing,
            "read_messages": _read_mark,
            "history": _read_history,
            "presence": lambda _: GetPresence(),
            "ping": lambda _: Ping(),
        }

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or the seed's error for it."""
        fields = read_object(payload) if is_text else INVALID_JSON
        if isinstance(fields, ErrorReply):
            return fields
        kind = fields.get("type")
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        if reader is None:
            return _unknown_type(kind)
        command = reader(fields)
        return command if isinstance(command, ErrorReply) else Request(command, name=str(kind))

    def push(self, push: Push) -> bytes | None:
        """Any push; all of them are spoken here."""
        return to_json(push_object(push))

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The answer, but for Stored: the sender's own copy of the message is its ack."""
        answer = reply_object(reply)
        return None if answer is None else to_json(answer)

    def _read_message(self, fields: _Fields) -> Command | ErrorReply:
        error = self._text_error(fields) or _client_msg_id_error(fields)
        return error or SendMessage(fields["text"], fields.get("client_msg_id"))

    def _read_edit(self, fields: _Fields) -> Command | ErrorReply:
        error = _id_error(fields) or self._text_error(fields) or _client_msg_id_error(fields)
        return error or EditMessage(fields["id"], fields["text"], fields.get("client_msg_id"))

    def _text_error(self, fields: _Fields) -> ErrorReply | None:
        code = check_text(fields.get("text"), self._max_text_length)
        match code:
            case None:
                return None
            case ErrorCode.EMPTY_TEXT:
                return ErrorReply(code, "Message text cannot be empty")
            case ErrorCode.TEXT_TOO_LONG:
                return ErrorReply(code, f"Message text is too long (maximum {self._max_text_length} characters)")
            case _:
                return INVALID_TEXT


def _read_delete(fields: _Fields) -> Command | ErrorReply:
    error = _id_error(fields) or _client_msg_id_error(fields)
    return error or DeleteMessage(fields["id"], fields.get("client_msg_id"))


def _read_typing(fields: _Fields) -> Command | ErrorReply:
    is_typing = fields.get("is_typing")
    return SetTyping(is_typing) if isinstance(is_typing, bool) else invalid_field("is_typing", "true or false")


def _read_mark(fields: _Fields) -> Command | ErrorReply:
    seq = fields.get("seq")
    return MarkRead(seq) if seq is None or is_seq(seq) else invalid_field("seq", "an integer from 0")


def _read_history(fields: _Fields) -> Command | ErrorReply:
    before, after, limit = fields.get("before_seq"), fields.get("after_seq"), fields.get("limit", _DEFAULT_HISTORY)
    if before is not None and after is not None:
        return invalid_field("after_seq", "before_seq or after_seq, not both")
    if not (before is None or is_seq(before)):
        return invalid_field("before_seq", "an integer from 0")
    if not (after is None or is_seq(after)):
        return invalid_field("after_seq", "an integer from 0")
    if not (is_id(limit) and limit <= MAX_HISTORY):
        return invalid_field("limit", f"an integer from 1 to {MAX_HISTORY}")
    return GetHistory(before, after, limit)


def _id_error(fields: _Fields) -> ErrorReply | None:
    return None if is_id(fields.get("id")) else invalid_field("id", "a positive integer")


def _client_msg_id_error(fields: _Fields) -> ErrorReply | None:
    value = fields.get("client_msg_id")
    if value is None or check_client_msg_id(value):
        return None
    return invalid_field("client_msg_id", "a string of 1 to 64 characters")


def _unknown_type(kind: object) -> ErrorReply:
    shown = kind if isinstance(kind, str) else orjson.dumps(kind).decode()
    return ErrorReply(ErrorCode.UNKNOWN_TYPE, f"Unknown message type: {shown[:_SHOWN_TYPE_LENGTH]}")


def push_object(push: Push) -> dict[str, object]:
    """A push as seed 004 spells it."""
    match push:
        case ChatEvent():
            return {"type": "message", "data": message_object(push)}
        case Typing(person=person):
            return {
                "type": "typing",
                "user_id": person.id,
                "username": person.username,
                "is_typing": push.is_typing,
            }
        case MessagesRead(person=person):
            return {"type": "messages_read", "user_id": person.id, "username": person.username, "seq": push.seq}
        case PresenceChange():
            return {
                "type": "presence",
                "user_id": push.user_id,
                "username": push.username,
                "status": push.status,
            }
        case PresenceCount():
            return {"type": "presence_count", "count": push.count}


def reply_object(reply: Reply) -> dict[str, object] | None:
    """A reply as seed 004 spells it."""
    match reply:
        case Established():
            return {
                "type": "connection_established",
                "message": "Successfully connected to chat",
                "chat_id": reply.chat_id,
                "node": reply.node,
                "last_seq": reply.last_seq,
                "epoch": reply.epoch,
            }
        case Stored(duplicate=False):
            return None
        case Stored():
            return {"type": "message", "data": message_object(reply.event), "duplicate": True}
        case HistoryPage():
            return {
                "type": "history",
                "messages": [message_object(event) for event in reply.events],
                "last_seq": reply.last_seq,
            }
        case PresenceState():
            return {"type": "presence_state", "members": [present_object(present) for present in reply.members]}
        case CaughtUp():
            return {"type": "caught_up", "chat_id": reply.chat_id, "seq": reply.seq, "epoch": reply.epoch}
        case Reset():
            return {"type": "reset", "chat_id": reply.chat_id, "last_seq": reply.last_seq, "epoch": reply.epoch}
        case Pong():
            return {"type": "pong"}
        case ErrorReply():
            error: dict[str, object] = {"type": "error", "message": reply.message, "code": reply.code}
            if reply.retry_after_s is not None:
                error["retry_after_s"] = reply.retry_after_s
            return error
