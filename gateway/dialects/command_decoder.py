"""Decodes JSON objects strictly, and the commands of seed 004, which the other dialects share."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import (
    MAX_HISTORY,
    MAX_MENTIONS,
    Command,
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    MarkRead,
    Ping,
    React,
    Refresh,
    SendMessage,
    SetTyping,
)
from gateway.protocol.ids import is_id, is_seq
from gateway.protocol.message_data import EXPECTED_DATA, data_text
from gateway.protocol.replies import ErrorReply
from gateway.protocol.validation import check_client_msg_id, check_reaction_key, check_text
from httpapi.bounded_json import has_lone_surrogate, read_json
from httpapi.errors import InvalidJson, TooDeep
from storage.reaction_records import MAX_REACTION_KEY

Fields = Mapping[str, Any]
"""The JSON object of a command."""
_DEFAULT_HISTORY = 50
MAX_TOKEN_LENGTH = 8192
_MAX_TYPE_LENGTH_IN_ERROR = 64

INVALID_JSON = ErrorReply(ErrorCode.INVALID_JSON, "Invalid JSON format")
TOO_DEEP = ErrorReply(ErrorCode.INVALID_JSON, "Invalid JSON format: nested too deeply")
INVALID_TEXT = ErrorReply(ErrorCode.INVALID_TEXT, "Message text contains characters that cannot be stored")


def read_object(payload: bytes) -> dict[str, Any] | ErrorReply:
    """The JSON object in `payload`, or the error in it; never raises."""
    try:
        value = read_json(payload)
    except TooDeep:
        return TOO_DEEP if payload.lstrip().startswith(b"{") else INVALID_JSON
    except InvalidJson:
        return INVALID_TEXT if has_lone_surrogate(payload) else INVALID_JSON
    return value if isinstance(value, dict) else INVALID_JSON


def invalid_field(name: str, expected: str) -> ErrorReply:
    """The error for a field of the wrong type or range."""
    return ErrorReply(ErrorCode.INVALID_FIELD, f"Invalid field {name}: expected {expected}")


class CommandDecoder:
    """Decodes commands; a text may have up to `max_text_length` code points."""

    def __init__(self, max_text_length: int) -> None:
        self._max_text_length = max_text_length
        self._readers: dict[str, Callable[[Fields], Command | ErrorReply]] = {
            "message": self._read_message,
            "edit_message": self._read_edit,
            "delete_message": _read_delete,
            "react": _read_react,
            "typing": _read_typing,
            "read_messages": _read_mark,
            "history": _read_history,
            "presence": lambda _: GetPresence(),
            "ping": lambda _: Ping(),
            "refresh": _read_refresh,
        }

    def read(self, fields: Fields) -> Command | ErrorReply:
        """The command in a JSON object, or the error in it."""
        kind = fields.get("type")
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        return reader(fields) if reader is not None else unknown_type(kind)

    def _read_message(self, fields: Fields) -> Command | ErrorReply:
        data = _read_data(fields)
        if isinstance(data, ErrorReply):
            return data
        text: Any = fields.get("text")
        if text is None and data is not None:
            text = ""
        error = self._text_error(text, data) or _client_msg_id_error(fields) or _references_error(fields)
        if error is not None:
            return error
        mentions = fields.get("mentions")
        mentioned = tuple(sorted(set(mentions))) if mentions else ()
        return SendMessage(text, fields.get("client_msg_id"), data, fields.get("reply_to"), mentioned)

    def _read_edit(self, fields: Fields) -> Command | ErrorReply:
        data = _read_data(fields)
        if isinstance(data, ErrorReply):
            return data
        error = _id_error(fields) or self._text_error(fields.get("text"), data) or _client_msg_id_error(fields)
        return error or EditMessage(fields["id"], fields["text"], fields.get("client_msg_id"), data)

    def _text_error(self, text: object, data: str | None) -> ErrorReply | None:
        code = check_text(text, self._max_text_length, may_be_empty=data is not None)
        match code:
            case None:
                return None
            case ErrorCode.EMPTY_TEXT:
                return ErrorReply(code, "Message text cannot be empty")
            case ErrorCode.TEXT_TOO_LONG:
                return ErrorReply(code, f"Message text is too long (maximum {self._max_text_length} characters)")
            case _:
                return INVALID_TEXT


def _read_data(fields: Fields) -> str | ErrorReply | None:
    value = fields.get("data")
    if value is None:
        return None
    return data_text(value) or invalid_field("data", EXPECTED_DATA)


def _read_delete(fields: Fields) -> Command | ErrorReply:
    error = _id_error(fields) or _client_msg_id_error(fields)
    return error or DeleteMessage(fields["id"], fields.get("client_msg_id"))


def _read_react(fields: Fields) -> Command | ErrorReply:
    message_id, key, removes = fields.get("message_id"), fields.get("key"), fields.get("remove")
    if not is_id(message_id):
        return invalid_field("message_id", "a positive integer")
    if not check_reaction_key(key):
        return invalid_field("key", f"a visible string of 1 to {MAX_REACTION_KEY} characters, none of them a control")
    if not (removes is None or isinstance(removes, bool)):
        return invalid_field("remove", "true or false")
    return _client_msg_id_error(fields) or React(message_id, key, removes is True, fields.get("client_msg_id"))


def _read_typing(fields: Fields) -> Command | ErrorReply:
    is_typing = fields.get("is_typing")
    return SetTyping(is_typing) if isinstance(is_typing, bool) else invalid_field("is_typing", "true or false")


def _read_refresh(fields: Fields) -> Command | ErrorReply:
    token = fields.get("token")
    if isinstance(token, str) and 1 <= len(token) <= MAX_TOKEN_LENGTH:
        return Refresh(token)
    return invalid_field("token", f"a string of 1 to {MAX_TOKEN_LENGTH} characters")


def _read_mark(fields: Fields) -> Command | ErrorReply:
    seq = fields.get("seq")
    return MarkRead(seq) if seq is None or is_seq(seq) else invalid_field("seq", "an integer from 0")


def _read_history(fields: Fields) -> Command | ErrorReply:
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


def _id_error(fields: Fields) -> ErrorReply | None:
    return None if is_id(fields.get("id")) else invalid_field("id", "a positive integer")


def _client_msg_id_error(fields: Fields) -> ErrorReply | None:
    value = fields.get("client_msg_id")
    if value is None or check_client_msg_id(value):
        return None
    return invalid_field("client_msg_id", "a string of 1 to 64 characters")


def _references_error(fields: Fields) -> ErrorReply | None:
    reply_to, mentions = fields.get("reply_to"), fields.get("mentions")
    if reply_to is not None and not is_id(reply_to):
        return invalid_field("reply_to", "a positive integer")
    if mentions is None or (isinstance(mentions, list) and len(mentions) <= MAX_MENTIONS and all(map(is_id, mentions))):
        return None
    return invalid_field("mentions", f"a list of at most {MAX_MENTIONS} ids of users")


def unknown_type(kind: object) -> ErrorReply:
    """The error for a command that the dialect does not have; `kind` is the JSON value of its `type`."""
    text = kind if isinstance(kind, str) else orjson.dumps(kind).decode()
    return ErrorReply(ErrorCode.UNKNOWN_TYPE, f"Unknown message type: {text[:_MAX_TYPE_LENGTH_IN_ERROR]}")
