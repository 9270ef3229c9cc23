"""Validation of message texts, keys of reactions and client_msg_ids."""

import random
import re
import uuid
from typing import Final, TypeGuard

from gateway.protocol.codes import ErrorCode
from storage.blank import CONTROLS, is_blank
from storage.reaction_records import MAX_REACTION_KEY

MAX_CLIENT_MSG_ID = 64


def check_text(text: object, max_length: int, *, may_be_empty: bool = False) -> ErrorCode | None:
    """The error in a message's text, or None; `max_length` is in code points.

    NUL is invalid because PostgreSQL cannot store it, a lone surrogate because it has no UTF-8 encoding.
    """
    if not isinstance(text, str) or (not may_be_empty and is_blank(text)):
        return ErrorCode.EMPTY_TEXT
    if len(text) > max_length:
        return ErrorCode.TEXT_TOO_LONG
    if "\x00" in text or not _is_encodable(text):
        return ErrorCode.INVALID_TEXT
    return None


def _is_encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_CONTROL: Final = re.compile(f"[\\u0000{CONTROLS}]")


def check_reaction_key(value: object) -> TypeGuard[str]:
    """Whether `value` is a valid key of a reaction: 1–32 visible code points without control characters."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_REACTION_KEY
        and _CONTROL.search(value) is None
        and not is_blank(value)
        and _is_encodable(value)
    )


def check_client_msg_id(value: object) -> bool:
    """Whether `value` is a valid client_msg_id: 1–64 characters that a database can store."""
    return (
        isinstance(value, str) and 1 <= len(value) <= MAX_CLIENT_MSG_ID and "\x00" not in value and _is_encodable(value)
    )


_GENERATED = "node-"
_PROCESS = f"{_GENERATED}{uuid.uuid4().hex}-"


def new_client_msg_id() -> str:
    """An id for a message without one, so that the node can retry a commit whose outcome is unknown.

    It is globally unique: a random prefix per process, and 64 random bits, which a forked process does not repeat. A
    UUID per message took a twentieth of the message's total cost.
    """
    return f"{_PROCESS}{random.getrandbits(64):x}"


def may_be_retry(client_msg_id: str) -> bool:
    """Whether a client chose this id, so that a message with it may already be stored."""
    return not client_msg_id.startswith(_GENERATED)
