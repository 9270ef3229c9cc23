"""Kinds of field that several families' messages have."""

from typing import Annotated, Final

from msgspec import Meta

from gateway.messages import MAX_CLIENT_MSG_ID, MAX_HISTORY, MAX_ID

_NO_NUL: Final = "^[^\\u0000]*$"

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Seq = Annotated[int, Meta(ge=0, le=MAX_ID)]
Limit = Annotated[int, Meta(ge=1, le=MAX_HISTORY)]
ClientMsgId = Annotated[str, Meta(min_length=1, max_length=MAX_CLIENT_MSG_ID, pattern=_NO_NUL)]
Ref = Annotated[int, Meta(extra_json_schema={"minimum": -(2**63), "maximum": 2**64 - 1})] | str
"""What a command is numbered with: as an integer, one that orjson reads as such."""


class Text:
    """The text of a message, whose greatest length is a setting."""


class EchoText:
    """Any text."""


class EchoBytes:
    """Any bytes."""


def schema_of(kind: type, max_text_length: int) -> dict[str, object]:
    """The schema of what is no type of Python's.

    Raises: NotImplementedError.
    """
    if issubclass(kind, Text):
        # Something that is no white space, and no NUL, which PostgreSQL cannot store.
        pattern = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"
        return {"type": "string", "minLength": 1, "maxLength": max_text_length, "pattern": pattern}
    if kind is EchoText:
        return {"type": "string"}
    if kind is EchoBytes:
        return {"type": "string", "format": "binary"}
    raise NotImplementedError(kind)
