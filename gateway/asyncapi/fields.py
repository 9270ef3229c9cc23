"""Types of fields that the messages of several families have."""

from typing import Annotated, Final

from msgspec import Meta

from gateway.dialects.command_decoder import MAX_TOKEN_LENGTH
from gateway.protocol.commands import MAX_HISTORY, MAX_MENTIONS
from gateway.protocol.ids import MAX_ID
from gateway.protocol.message_data import EXPECTED_DATA
from gateway.protocol.validation import MAX_CLIENT_MSG_ID
from storage.blank import BLANKS, CONTROLS, INVISIBLE
from storage.reaction_records import MAX_REACTION_KEY

_NO_NUL: Final = "^[^\\u0000]*$"
VISIBLE_KEY: Final = f"^[{BLANKS}]*[^{INVISIBLE}\\u0000][^\\u0000{CONTROLS}]*$"

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
UserId = Annotated[int, Meta(ge=0, le=MAX_ID)]
"""The id of a user, or 0 for the system."""
Seq = Annotated[int, Meta(ge=0, le=MAX_ID)]
HistoryLimit = Annotated[int, Meta(ge=1, le=MAX_HISTORY)]
ClientMsgId = Annotated[str, Meta(min_length=1, max_length=MAX_CLIENT_MSG_ID, pattern=_NO_NUL)]
ReactionKey = Annotated[str, Meta(min_length=1, max_length=MAX_REACTION_KEY, pattern=VISIBLE_KEY)]
CloseCode = Annotated[int, Meta(ge=4000, le=4499)]
TokenText = Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_LENGTH)]
Ref = Annotated[int, Meta(extra_json_schema={"minimum": -(2**63), "maximum": 2**64 - 1})] | str
"""The `id` of a command: a string, or an integer in the range that orjson reads as an integer."""


MentionedUsers = Annotated[list[Id], Meta(max_length=MAX_MENTIONS)]
"""Ids of users; those of the chat's members count."""


class TextField:
    """The text of a message, whose maximum length is a setting."""


class AnyTextField:
    """The text of a message with data, which may be empty."""


class DataField:
    """The data of a message: a JSON object of the application."""


class EchoText:
    """Any text."""


class EchoBytes:
    """Any bytes."""


def schema_of(kind: type, max_text_length: int) -> dict[str, object]:
    """The JSON schema of the classes in this module.

    Raises: NotImplementedError.
    """
    if issubclass(kind, TextField):
        # At least one visible character, and no NUL, which PostgreSQL cannot store.
        pattern = f"^[{INVISIBLE}]*[^{INVISIBLE}\\u0000][^\\u0000]*$"
        return {"type": "string", "minLength": 1, "maxLength": max_text_length, "pattern": pattern}
    if issubclass(kind, AnyTextField):
        return {"type": "string", "maxLength": max_text_length, "pattern": _NO_NUL}
    if issubclass(kind, DataField):
        return {"type": "object", "description": EXPECTED_DATA}
    if kind is EchoText:
        return {"type": "string"}
    if kind is EchoBytes:
        return {"type": "string", "format": "binary"}
    raise NotImplementedError(kind)
